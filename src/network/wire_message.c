/* What one line and its frames look like: docs/wire-format.md. */
#include <string.h>

#include "base/assert.h"
#include "base/frame.h"
#include "network/wire_line.h"

enum exchange { EXCHANGE_VOTE, EXCHANGE_APPEND, EXCHANGE_TIMEOUT_NOW };

static const char *const exchange_paths[] = {
    [EXCHANGE_VOTE] = "/raft/vote",
    [EXCHANGE_APPEND] = "/raft/append",
    [EXCHANGE_TIMEOUT_NOW] = "/raft/timeout-now",
};

static const struct kind {
    const char *name;
    enum exchange exchange;
    bool is_request;
} kinds[] = {
    [RAFT_VOTE_REQUEST] = {"vote_request", EXCHANGE_VOTE, true},
    [RAFT_VOTE_RESPONSE] = {"vote_response", EXCHANGE_VOTE, false},
    [RAFT_APPEND_REQUEST] = {"append_request", EXCHANGE_APPEND, true},
    [RAFT_APPEND_RESPONSE] = {"append_response", EXCHANGE_APPEND, false},
    [RAFT_HEARTBEAT_REQUEST] = {"heartbeat_request", EXCHANGE_APPEND, true},
    [RAFT_HEARTBEAT_RESPONSE] = {"heartbeat_response", EXCHANGE_APPEND, false},
    [RAFT_TIMEOUT_NOW] = {"timeout_now", EXCHANGE_TIMEOUT_NOW, true},
};
_Static_assert(sizeof kinds / sizeof kinds[0] == RAFT_TIMEOUT_NOW + 1, "every type has a line");

const char *wire_path(enum raft_message_type type)
{
    RK_ASSERT(type >= RAFT_VOTE_REQUEST && type <= RAFT_TIMEOUT_NOW);
    RK_ASSERT(kinds[type].is_request);
    return exchange_paths[kinds[type].exchange];
}

static void put_vote_request(struct rk_json *json, const struct raft_vote_request *vote)
{
    rk_json_member_bool(json, "pre_vote", vote->pre_vote);
    rk_json_member_bool(json, "transfer", vote->transfer);
    wire_put_number(json, "last_term", vote->last.term);
    wire_put_number(json, "last_index", vote->last.index);
    wire_put_number(json, "campaign", vote->campaign);
}

static void put_vote_response(struct rk_json *json, const struct raft_vote_response *vote)
{
    rk_json_member_bool(json, "pre_vote", vote->pre_vote);
    rk_json_member_bool(json, "granted", vote->granted);
    wire_put_number(json, "request_term", vote->request_term);
    wire_put_number(json, "campaign", vote->campaign);
}

static void put_append_request(struct rk_json *json, const struct raft_append_request *append,
                               uint64_t previous_chain)
{
    RK_ASSERT(append->entries_count <= RAFT_WRITE_ENTRIES_MAX);
    RK_ASSERT(append->entries_last == append->previous.index + append->entries_count);
    wire_put_number(json, "previous_term", append->previous.term);
    wire_put_number(json, "previous_index", append->previous.index);
    wire_put_hex(json, "previous_chain", previous_chain);
    wire_put_number(json, "leader_commit", append->leader_commit);
    wire_put_number(json, "entries_last", append->entries_last);
    wire_put_number(json, "entries_count", append->entries_count);
    wire_put_number(json, "sequence", append->sequence);
}

static void put_append_response(struct rk_json *json, const struct raft_append_response *append)
{
    rk_json_member_bool(json, "accepted", append->accepted);
    wire_put_number(json, "match", append->match);
    wire_put_number(json, "previous", append->previous);
    wire_put_number(json, "hint_term", append->hint.term);
    wire_put_number(json, "hint_index", append->hint.index);
    wire_put_number(json, "sequence", append->sequence);
}

/* Members of later versions: who does not know them does not miss them. */
static void put_check(struct rk_json *json, const struct wire_check *check, bool is_answer)
{
    if (check->index > 0) {
        wire_put_number(json, "check_index", check->index);
    }
    if (check->index > 0 && is_answer) {
        wire_put_hex(json, "check_digest", check->digest);
    }
    if (check->differs > 0) {
        wire_put_number(json, "differs", check->differs);
    }
    if (check->is_repair) {
        wire_put_number(json, "repair", 1);
    }
}

static void put_heartbeat_request(struct rk_json *json,
                                  const struct raft_heartbeat_request *heartbeat)
{
    wire_put_number(json, "commit", heartbeat->commit);
    wire_put_number(json, "round", heartbeat->round);
}

static void put_heartbeat_response(struct rk_json *json,
                                   const struct raft_heartbeat_response *heartbeat)
{
    wire_put_number(json, "round", heartbeat->round);
    wire_put_number(json, "last", heartbeat->last);
    wire_put_number(json, "commit_index", heartbeat->commit_index);
    wire_put_number(json, "last_applied", heartbeat->last_applied);
}

static void put_body(struct rk_json *json, const struct raft_message *message,
                     const struct wire_append_extra *extra, const struct wire_check *check)
{
    switch (message->type) {
    case RAFT_VOTE_REQUEST:
        put_vote_request(json, &message->vote_request);
        break;
    case RAFT_VOTE_RESPONSE:
        put_vote_response(json, &message->vote_response);
        break;
    case RAFT_APPEND_REQUEST:
        RK_ASSERT(extra != NULL);
        put_append_request(json, &message->append_request, extra->previous_chain);
        break;
    case RAFT_APPEND_RESPONSE:
        put_append_response(json, &message->append_response);
        break;
    case RAFT_HEARTBEAT_REQUEST:
        put_heartbeat_request(json, &message->heartbeat_request);
        put_check(json, check, false);
        break;
    case RAFT_HEARTBEAT_RESPONSE:
        put_heartbeat_response(json, &message->heartbeat_response);
        put_check(json, check, true);
        break;
    case RAFT_TIMEOUT_NOW:
    case RAFT_SNAPSHOT_REQUEST:
    case RAFT_SNAPSHOT_RESPONSE:
        break;
    }
}

void wire_encode_message(const struct wire_envelope *envelope, const struct raft_message *message,
                         const struct wire_append_extra *extra, struct rk_bytes frames,
                         struct rk_buf *buf)
{
    struct wire_envelope addressed = *envelope;
    struct rk_json json;

    RK_ASSERT(message->type >= RAFT_VOTE_REQUEST && message->type <= RAFT_TIMEOUT_NOW);
    RK_ASSERT(message->from != 0 && message->to != 0);
    const bool has_frames =
        message->type == RAFT_APPEND_REQUEST && message->append_request.entries_count > 0;
    RK_ASSERT(has_frames == (frames.size > 0));
    addressed.from = message->from;
    addressed.to = message->to;
    wire_line_begin(&json, buf, kinds[message->type].name);
    wire_put_envelope(&json, &addressed);
    wire_put_number(&json, "term", message->term);
    put_body(&json, message, extra, &envelope->check);
    wire_line_end(&json);
    rk_buf_append(buf, frames.data, frames.size);
}

static enum raft_message_type get_type(struct wire_line *line, const char *path, bool is_request)
{
    for (unsigned type = RAFT_VOTE_REQUEST; type <= RAFT_TIMEOUT_NOW; type++) {
        const struct kind *kind = &kinds[type];
        if (!wire_line_is(line, kind->name)) {
            continue;
        }
        if (kind->is_request != is_request) {
            wire_line_refuse(line, is_request ? "an answer where a request is expected"
                                              : "a request where an answer is expected");
        }
        if (path != NULL && strcmp(path, exchange_paths[kind->exchange]) != 0) {
            wire_line_refuse(line, "the message does not fit the path");
        }
        return (enum raft_message_type)type;
    }
    wire_line_refuse(line, "unknown type of message");
    return RAFT_TIMEOUT_NOW;
}

/* Index 0 is before the first entry, and only that has no term. */
static void check_entry_id(struct wire_line *line, struct raft_entry_id id, raft_term term,
                           const char *reason)
{
    if ((id.index == 0) != (id.term == 0) || id.term > term) {
        wire_line_refuse(line, reason);
    }
}

static void get_vote_request(struct wire_line *line, struct raft_message *message)
{
    struct raft_vote_request *vote = &message->vote_request;

    vote->pre_vote = WIRE_BOOL(line, "pre_vote");
    vote->transfer = WIRE_BOOL(line, "transfer");
    vote->last.term = WIRE_NUMBER(line, "last_term");
    vote->last.index = WIRE_NUMBER(line, "last_index");
    vote->campaign = WIRE_NUMBER(line, "campaign");
    check_entry_id(line, vote->last, message->term, "the last entry cannot be of that term");
}

static void get_vote_response(struct wire_line *line, struct raft_message *message)
{
    struct raft_vote_response *vote = &message->vote_response;

    vote->pre_vote = WIRE_BOOL(line, "pre_vote");
    vote->granted = WIRE_BOOL(line, "granted");
    vote->request_term = WIRE_NUMBER(line, "request_term");
    vote->campaign = WIRE_NUMBER(line, "campaign");
}

static void get_append_request(struct wire_line *line, struct wire_message *ret)
{
    struct raft_append_request *append = &ret->message.append_request;

    append->previous.term = WIRE_NUMBER(line, "previous_term");
    append->previous.index = WIRE_NUMBER(line, "previous_index");
    ret->extra.previous_chain = WIRE_HEX(line, "previous_chain");
    append->leader_commit = WIRE_NUMBER(line, "leader_commit");
    append->entries_last = WIRE_NUMBER(line, "entries_last");
    append->entries_count =
        (uint32_t)WIRE_NUMBER_UP_TO(line, "entries_count", RAFT_WRITE_ENTRIES_MAX);
    append->sequence = WIRE_NUMBER(line, "sequence");
    append->entries = ret->entries;
    check_entry_id(line, append->previous, ret->message.term,
                   "the previous entry cannot be of that term");
    if (append->previous.index == 0 && ret->extra.previous_chain != 0) {
        wire_line_refuse(line, "a chain before the first entry");
    }
    if (append->entries_last != append->previous.index + append->entries_count) {
        wire_line_refuse(line, "entries_last is not previous_index + entries_count");
    }
}

static void get_append_response(struct wire_line *line, struct raft_message *message)
{
    struct raft_append_response *append = &message->append_response;

    append->accepted = WIRE_BOOL(line, "accepted");
    append->match = WIRE_NUMBER(line, "match");
    append->previous = WIRE_NUMBER(line, "previous");
    append->hint.term = WIRE_NUMBER(line, "hint_term");
    append->hint.index = WIRE_NUMBER(line, "hint_index");
    append->sequence = WIRE_NUMBER(line, "sequence");
}

static void get_heartbeat_request(struct wire_line *line, struct raft_message *message)
{
    message->heartbeat_request.commit = WIRE_NUMBER(line, "commit");
    message->heartbeat_request.round = WIRE_NUMBER(line, "round");
}

static void get_heartbeat_response(struct wire_line *line, struct raft_message *message)
{
    struct raft_heartbeat_response *heartbeat = &message->heartbeat_response;

    heartbeat->round = WIRE_NUMBER(line, "round");
    heartbeat->last = WIRE_NUMBER(line, "last");
    heartbeat->commit_index = WIRE_NUMBER(line, "commit_index");
    heartbeat->last_applied = WIRE_NUMBER(line, "last_applied");
}

static void get_check(struct wire_line *line, struct wire_check *check, bool is_answer)
{
    check->index = WIRE_OPTIONAL(line, "check_index", WIRE_NUMBER_MAX);
    if (check->index > 0 && is_answer) {
        check->digest = WIRE_HEX(line, "check_digest");
    }
    check->differs = WIRE_OPTIONAL(line, "differs", WIRE_NUMBER_MAX);
    check->is_repair = WIRE_OPTIONAL(line, "repair", 1) == 1;
}

static void get_body(struct wire_line *line, struct wire_message *ret)
{
    switch (ret->message.type) {
    case RAFT_VOTE_REQUEST:
        get_vote_request(line, &ret->message);
        break;
    case RAFT_VOTE_RESPONSE:
        get_vote_response(line, &ret->message);
        break;
    case RAFT_APPEND_REQUEST:
        get_append_request(line, ret);
        break;
    case RAFT_APPEND_RESPONSE:
        get_append_response(line, &ret->message);
        break;
    case RAFT_HEARTBEAT_REQUEST:
        get_heartbeat_request(line, &ret->message);
        get_check(line, &ret->envelope.check, false);
        break;
    case RAFT_HEARTBEAT_RESPONSE:
        get_heartbeat_response(line, &ret->message);
        get_check(line, &ret->envelope.check, true);
        break;
    case RAFT_TIMEOUT_NOW:
    case RAFT_SNAPSHOT_REQUEST:
    case RAFT_SNAPSHOT_RESPONSE:
        break;
    }
}

static void get_addresses(struct wire_line *line, struct wire_message *ret)
{
    struct raft_message *message = &ret->message;

    message->from = ret->envelope.from;
    message->to = ret->envelope.to;
    message->term = WIRE_NUMBER(line, "term");
    wire_line_expect_nodes(line, &ret->envelope);
    /* An answer may come from a node that never took part in an election. */
    if (kinds[message->type].is_request && message->term == 0) {
        wire_line_refuse(line, "a request of term 0");
    }
}

/* What the run of frames has come to: the entry before the next one. */
struct frames_cursor {
    struct raft_entry_id id;
    uint64_t chain;
    uint64_t time_ms; /* 0 before the first frame: what the log holds, it does not say */
};

/* Pitfall 43. */
static const char *entry_fault(const struct rk_frame *frame, const struct frames_cursor *before,
                               raft_term message_term)
{
    if (frame->type < RAFT_ENTRY_NOOP || frame->type > RAFT_ENTRY_CONFIG) {
        return "an entry of unknown type";
    }
    if (frame->index != before->id.index + 1) {
        return "the entries are not contiguous";
    }
    if (frame->term < before->id.term) {
        return "the terms of the entries fall";
    }
    if (frame->time_ms < before->time_ms) {
        return "the times of the entries fall";
    }
    if (frame->term == 0 || frame->term > message_term) {
        return "an entry's term is 0 or above the message's";
    }
    return NULL;
}

static enum rk_status get_entry(struct wire_line *line, struct frames_cursor *cursor,
                                raft_term message_term, struct raft_entry *ret)
{
    struct rk_frame frame;
    uint32_t size;

    if (rk_frame_read(line->rest, &frame, &size) != RK_OK) {
        wire_line_refuse(line, "a frame is cut short or fails its check");
        return RK_CORRUPT;
    }
    const char *fault = entry_fault(&frame, cursor, message_term);
    if (fault != NULL) {
        wire_line_refuse(line, fault);
        return RK_INVALID;
    }
    if (frame.chain != rk_frame_chain(cursor->chain, &frame)) {
        wire_line_refuse(line, "an entry's chain does not follow the one before it");
        return RK_CORRUPT;
    }
    *ret = (struct raft_entry){.id = {.term = frame.term, .index = frame.index},
                               .type = (enum raft_entry_type)frame.type,
                               .frame = {.data = line->rest.data, .size = size}};
    *cursor = (struct frames_cursor){.id = ret->id, .chain = frame.chain, .time_ms = frame.time_ms};
    line->rest.data += size;
    line->rest.size -= size;
    return RK_OK;
}

static enum rk_status get_entries(struct wire_line *line, struct wire_message *ret)
{
    const struct raft_append_request *append = &ret->message.append_request;
    struct frames_cursor cursor = {.id = append->previous, .chain = ret->extra.previous_chain};

    for (uint32_t i = 0; i < append->entries_count; i++) {
        const enum rk_status status = get_entry(line, &cursor, ret->message.term, &ret->entries[i]);
        if (status != RK_OK) {
            return status;
        }
    }
    return RK_OK;
}

static enum rk_status decode(struct wire_line *line, const char *path, bool is_request,
                             struct wire_message *ret)
{
    ret->message = (struct raft_message){.type = get_type(line, path, is_request)};
    get_addresses(line, ret);
    get_body(line, ret);
    if (line->reason == NULL && ret->message.type == RAFT_APPEND_REQUEST) {
        const enum rk_status status = get_entries(line, ret);
        if (status != RK_OK) {
            return status;
        }
    }
    wire_line_expect_end(line);
    return line->reason == NULL ? RK_OK : RK_INVALID;
}

enum rk_status wire_decode_message(struct rk_bytes body, const char *path, bool is_request,
                                   struct wire_message *ret, const char **reason)
{
    struct wire_line line;

    wire_line_open(&line, body, &ret->envelope);
    ret->extra = (struct wire_append_extra){.previous_chain = 0};
    const enum rk_status status =
        line.reason == NULL ? decode(&line, path, is_request, ret) : RK_INVALID;
    *reason = line.reason;
    return status;
}
