/* The messages of Raft on the wire: what is written is read back, and what is wrong is refused. */
#include <signal.h>
#include <string.h>

#include "base/frame.h"
#include "base/heap.h"
#include "base/prng.h"
#include "network/wire.h"
#include "support/run.h"

enum { BODY_MAX = 4 << 20, PLAIN_TERM = 9 };

static struct rk_prng prng;
static struct rk_buf body;
static struct rk_buf frames;
static uint64_t frames_time_ms; /* of the next frame */
static struct wire_message *decoded;
static const char *reason;

static const struct wire_envelope plain_envelope = {
    .cluster_high = 0x0123456789abcdef,
    .cluster_low = 0xfedcba9876543210,
    .from = 11,
    .to = 12,
    .from_incarnation = UINT64_MAX,
    .protocol = RK_PROTOCOL_VERSION,
    .election_timeout_ms = 400,
};

static void open_all(void)
{
    rk_prng_seed(&prng, 1);
    rk_buf_init(&body, BODY_MAX);
    rk_buf_init(&frames, BODY_MAX);
    frames_time_ms = 5000;
    decoded = rk_heap_alloc(sizeof *decoded);
}

static void close_all(void)
{
    rk_buf_done(&body);
    rk_buf_done(&frames);
    rk_heap_free(decoded);
}

/* Appends one sealed frame to `frames`; returns its chain. */
static uint64_t add_frame(uint8_t type, struct raft_entry_id id, uint64_t chain, uint32_t size)
{
    const size_t offset = rk_frame_begin(&frames, type);

    for (uint32_t i = 0; i < size; i++) {
        rk_buf_append_byte(&frames, (uint8_t)rk_prng_next(&prng));
    }
    rk_frame_end(&frames, offset);
    const struct rk_frame_place place = {
        .term = id.term, .index = id.index, .time_ms = frames_time_ms, .chain_previous = chain};
    return rk_frame_seal(frames.data + offset, (uint32_t)(frames.size - offset), &place);
}

static struct raft_message append_after(struct raft_entry_id previous, uint32_t count)
{
    return (struct raft_message){
        .type = RAFT_APPEND_REQUEST,
        .from = plain_envelope.from,
        .to = plain_envelope.to,
        .term = PLAIN_TERM,
        .append_request = {.previous = previous,
                           .leader_commit = 3,
                           .entries_last = previous.index + count,
                           .entries_count = count,
                           .sequence = 77},
    };
}

/* Entries 6^4 7^4 8^9 after 5^4, in `body`. */
static void encode_plain_append(void)
{
    const struct wire_append_extra extra = {.previous_chain = 0xabc};
    const struct raft_message message = append_after((struct raft_entry_id){4, 5}, 3);

    rk_buf_reset(&frames);
    uint64_t chain = add_frame(RAFT_ENTRY_COMMAND, (struct raft_entry_id){4, 6}, 0xabc, 20);
    chain = add_frame(RAFT_ENTRY_CONFIG, (struct raft_entry_id){4, 7}, chain, 0);
    (void)add_frame(RAFT_ENTRY_NOOP, (struct raft_entry_id){9, 8}, chain, 1);
    rk_buf_reset(&body);
    wire_encode_message(&plain_envelope, &message, &extra, rk_buf_bytes(&frames), &body);
    ck_assert_int_eq(rk_buf_status(&body), RK_OK);
}

static enum rk_status decode_as(const char *path, bool is_request)
{
    return wire_decode_message(rk_buf_bytes(&body), path, is_request, decoded, &reason);
}

/* ---- What is written is read back ---- */

static uint64_t any_number(void)
{
    static const uint64_t edges[] = {0, 1, UINT32_MAX, (UINT64_C(1) << 53) - 1};

    return rk_prng_chance(&prng, 300) ? edges[rk_prng_below(&prng, 4)]
                                      : rk_prng_next(&prng) >> (11 + rk_prng_below(&prng, 40));
}

static bool any_bool(void)
{
    return rk_prng_below(&prng, 2) == 1;
}

static struct raft_entry_id any_entry_id(raft_term term)
{
    if (term == 0 || rk_prng_chance(&prng, 200)) {
        return (struct raft_entry_id){0, 0};
    }
    return (struct raft_entry_id){1 + rk_prng_below(&prng, term), 1 + (any_number() >> 2)};
}

static void fill_any(struct raft_message *message)
{
    const raft_term term = message->term;

    switch (message->type) {
    case RAFT_VOTE_REQUEST:
        message->vote_request =
            (struct raft_vote_request){any_bool(), any_bool(), any_entry_id(term), any_number()};
        break;
    case RAFT_VOTE_RESPONSE:
        message->vote_response =
            (struct raft_vote_response){any_bool(), any_bool(), any_number(), any_number()};
        break;
    case RAFT_APPEND_RESPONSE:
        message->append_response = (struct raft_append_response){
            any_bool(), any_number(), any_number(), {any_number(), any_number()}, any_number()};
        break;
    case RAFT_HEARTBEAT_REQUEST:
        message->heartbeat_request = (struct raft_heartbeat_request){any_number(), any_number()};
        break;
    case RAFT_HEARTBEAT_RESPONSE:
        message->heartbeat_response = (struct raft_heartbeat_response){any_number(), any_number(),
                                                                       any_number(), any_number()};
        break;
    case RAFT_APPEND_REQUEST:
    case RAFT_TIMEOUT_NOW:
    case RAFT_SNAPSHOT_REQUEST:
    case RAFT_SNAPSHOT_RESPONSE:
        break;
    }
}

static struct raft_message any_message(enum raft_message_type type)
{
    struct raft_message message = {.type = type,
                                   .from = 1 + (any_number() >> 1),
                                   .to = 1 + (any_number() >> 1),
                                   .term = 1 + (any_number() >> 1)};
    fill_any(&message);
    return message;
}

static struct wire_envelope any_envelope(void)
{
    return (struct wire_envelope){.cluster_high = rk_prng_next(&prng),
                                  .cluster_low = rk_prng_next(&prng),
                                  .from_incarnation = rk_prng_next(&prng),
                                  .protocol = RK_PROTOCOL_VERSION,
                                  .election_timeout_ms = (uint32_t)rk_prng_next(&prng)};
}

static void assert_same_envelope(const struct wire_envelope *a, const struct wire_envelope *b)
{
    ck_assert_uint_eq(a->cluster_high, b->cluster_high);
    ck_assert_uint_eq(a->cluster_low, b->cluster_low);
    ck_assert_uint_eq(a->from_incarnation, b->from_incarnation);
    ck_assert_uint_eq(a->protocol, b->protocol);
    ck_assert_uint_eq(a->election_timeout_ms, b->election_timeout_ms);
}

static void assert_same_id(struct raft_entry_id a, struct raft_entry_id b)
{
    ck_assert_uint_eq(a.index, b.index);
    ck_assert_uint_eq(a.term, b.term);
}

static void assert_same_append(const struct raft_append_request *a,
                               const struct raft_append_request *b)
{
    assert_same_id(a->previous, b->previous);
    ck_assert_uint_eq(a->leader_commit, b->leader_commit);
    ck_assert_uint_eq(a->entries_last, b->entries_last);
    ck_assert_uint_eq(a->entries_count, b->entries_count);
    ck_assert_uint_eq(a->sequence, b->sequence);
}

static void assert_same_responses(const struct raft_message *a, const struct raft_message *b)
{
    if (a->type == RAFT_VOTE_RESPONSE) {
        ck_assert_int_eq(a->vote_response.pre_vote, b->vote_response.pre_vote);
        ck_assert_int_eq(a->vote_response.granted, b->vote_response.granted);
        ck_assert_uint_eq(a->vote_response.request_term, b->vote_response.request_term);
        ck_assert_uint_eq(a->vote_response.campaign, b->vote_response.campaign);
    }
    if (a->type == RAFT_APPEND_RESPONSE) {
        ck_assert_int_eq(a->append_response.accepted, b->append_response.accepted);
        ck_assert_uint_eq(a->append_response.match, b->append_response.match);
        ck_assert_uint_eq(a->append_response.previous, b->append_response.previous);
        assert_same_id(a->append_response.hint, b->append_response.hint);
        ck_assert_uint_eq(a->append_response.sequence, b->append_response.sequence);
    }
    if (a->type == RAFT_HEARTBEAT_RESPONSE) {
        ck_assert_uint_eq(a->heartbeat_response.round, b->heartbeat_response.round);
        ck_assert_uint_eq(a->heartbeat_response.last, b->heartbeat_response.last);
        ck_assert_uint_eq(a->heartbeat_response.commit_index, b->heartbeat_response.commit_index);
        ck_assert_uint_eq(a->heartbeat_response.last_applied, b->heartbeat_response.last_applied);
    }
}

static void assert_same_message(const struct raft_message *a, const struct raft_message *b)
{
    ck_assert_int_eq(a->type, b->type);
    ck_assert_uint_eq(a->from, b->from);
    ck_assert_uint_eq(a->to, b->to);
    ck_assert_uint_eq(a->term, b->term);
    if (a->type == RAFT_VOTE_REQUEST) {
        ck_assert_int_eq(a->vote_request.pre_vote, b->vote_request.pre_vote);
        ck_assert_int_eq(a->vote_request.transfer, b->vote_request.transfer);
        assert_same_id(a->vote_request.last, b->vote_request.last);
        ck_assert_uint_eq(a->vote_request.campaign, b->vote_request.campaign);
    }
    if (a->type == RAFT_HEARTBEAT_REQUEST) {
        ck_assert_uint_eq(a->heartbeat_request.commit, b->heartbeat_request.commit);
        ck_assert_uint_eq(a->heartbeat_request.round, b->heartbeat_request.round);
    }
    assert_same_responses(a, b);
}

static bool is_request(enum raft_message_type type)
{
    return type == RAFT_VOTE_REQUEST || type == RAFT_APPEND_REQUEST ||
           type == RAFT_HEARTBEAT_REQUEST || type == RAFT_TIMEOUT_NOW;
}

/* _i is the type. 200 drawn messages each, with the edges of every range among them. */
START_TEST(every_message_is_read_back_as_it_was_written)
{
    const enum raft_message_type type = (enum raft_message_type)_i;

    for (int i = 0; i < 200 && type != RAFT_APPEND_REQUEST; i++) {
        const struct wire_envelope envelope = any_envelope();
        const struct raft_message message = any_message(type);
        rk_buf_reset(&body);
        wire_encode_message(&envelope, &message, NULL, (struct rk_bytes){NULL, 0}, &body);

        ck_assert_int_eq(decode_as(NULL, is_request(type)), RK_OK);
        ck_assert_ptr_null(reason);
        assert_same_envelope(&decoded->envelope, &envelope);
        ck_assert_uint_eq(decoded->envelope.from, message.from);
        ck_assert_uint_eq(decoded->envelope.to, message.to);
        assert_same_message(&decoded->message, &message);
    }
}
END_TEST

/* 0 to 256 entries of drawn sizes, with terms that rise now and then. */
START_TEST(an_append_is_read_back_with_every_entry)
{
    static const uint32_t counts[] = {0, 1, 2, 17, RAFT_WRITE_ENTRIES_MAX};
    const uint32_t count = counts[_i];
    const struct wire_append_extra extra = {.previous_chain = rk_prng_next(&prng)};
    const struct raft_message message = append_after((struct raft_entry_id){2, 40}, count);
    struct raft_entry_id id = {2, 40};
    uint64_t chain = extra.previous_chain;
    uint32_t offsets[RAFT_WRITE_ENTRIES_MAX + 1] = {0};

    for (uint32_t i = 0; i < count; i++) {
        id = (struct raft_entry_id){id.term + (id.term < PLAIN_TERM && any_bool()), id.index + 1};
        chain = add_frame((uint8_t)(1 + i % 3), id, chain, (uint32_t)rk_prng_below(&prng, 300));
        offsets[i + 1] = (uint32_t)frames.size;
    }
    wire_encode_message(&plain_envelope, &message, &extra, rk_buf_bytes(&frames), &body);

    ck_assert_int_eq(decode_as("/raft/append", true), RK_OK);
    assert_same_append(&decoded->message.append_request, &message.append_request);
    ck_assert_uint_eq(decoded->extra.previous_chain, extra.previous_chain);
    ck_assert_ptr_eq(decoded->message.append_request.entries, decoded->entries);
    for (uint32_t i = 0; i < count; i++) {
        const struct raft_entry *entry = &decoded->entries[i];
        ck_assert_uint_eq(entry->id.index, 41 + i);
        ck_assert_int_eq(entry->type, 1 + i % 3);
        ck_assert_ptr_null(entry->config);
        ck_assert_uint_eq(entry->frame.size, offsets[i + 1] - offsets[i]);
        ck_assert_mem_eq(entry->frame.data, frames.data + offsets[i], entry->frame.size);
    }
}
END_TEST

/* The first release's bytes, word for word: a change here is a change of the protocol. */
START_TEST(a_vote_request_looks_as_documented)
{
    const struct raft_message message = {
        .type = RAFT_VOTE_REQUEST,
        .from = 11,
        .to = 12,
        .term = 8,
        .vote_request = {.pre_vote = true, .last = {.term = 7, .index = 4711}, .campaign = 3}};
    static const char expected[] =
        "{\"type\":\"vote_request\",\"protocol\":1,"
        "\"cluster\":\"0123456789abcdeffedcba9876543210\",\"from\":11,\"to\":12,"
        "\"incarnation\":\"ffffffffffffffff\",\"election_timeout_ms\":400,\"term\":8,"
        "\"pre_vote\":true,\"transfer\":false,\"last_term\":7,\"last_index\":4711,"
        "\"campaign\":3}\n";

    wire_encode_message(&plain_envelope, &message, NULL, (struct rk_bytes){NULL, 0}, &body);

    ck_assert_uint_eq(body.size, sizeof expected - 1);
    ck_assert_mem_eq(body.data, expected, body.size);
}
END_TEST

START_TEST(requests_have_paths)
{
    ck_assert_str_eq(wire_path(RAFT_VOTE_REQUEST), "/raft/vote");
    ck_assert_str_eq(wire_path(RAFT_APPEND_REQUEST), "/raft/append");
    ck_assert_str_eq(wire_path(RAFT_HEARTBEAT_REQUEST), "/raft/append");
    ck_assert_str_eq(wire_path(RAFT_TIMEOUT_NOW), "/raft/timeout-now");
}
END_TEST

START_TEST(an_answer_has_no_path_of_its_own)
{
    (void)wire_path(RAFT_APPEND_RESPONSE);
}
END_TEST

/* Numbers past 2^53 would be rounded by readers that keep doubles (pitfall 143): a bug in us. */
START_TEST(encoding_a_number_past_2_53_aborts)
{
    const struct raft_message message = {
        .type = RAFT_TIMEOUT_NOW, .from = 1, .to = 2, .term = UINT64_C(1) << 53};

    wire_encode_message(&plain_envelope, &message, NULL, (struct rk_bytes){NULL, 0}, &body);
}
END_TEST

/* The message must describe exactly the frames that follow it. */
START_TEST(encoding_a_count_that_does_not_fit_aborts)
{
    const struct wire_append_extra extra = {.previous_chain = 1};
    struct raft_message message = append_after((struct raft_entry_id){1, 1}, 1);

    message.append_request.entries_last = 7;
    (void)add_frame(RAFT_ENTRY_NOOP, (struct raft_entry_id){1, 2}, 1, 0);
    wire_encode_message(&plain_envelope, &message, &extra, rk_buf_bytes(&frames), &body);
}
END_TEST

/* ---- What is wrong is refused ---- */

#define HEAD_OF(protocol, from, to)                                                             \
    "\"protocol\":" protocol ",\"cluster\":\"0123456789abcdeffedcba9876543210\",\"from\":" from \
    ",\"to\":" to ",\"incarnation\":\"00000000000000ff\",\"election_timeout_ms\":400"
#define HEAD HEAD_OF("1", "11", "12")
#define TERM ",\"term\":9"
#define VOTE ",\"pre_vote\":true,\"transfer\":false,\"last_term\":7,\"last_index\":5,\"campaign\":3"
#define APPEND_OF(previous_term, previous_index, chain, last, count)               \
    ",\"previous_term\":" previous_term ",\"previous_index\":" previous_index      \
    ",\"previous_chain\":\"" chain "\",\"leader_commit\":0,\"entries_last\":" last \
    ",\"entries_count\":" count ",\"sequence\":1"
#define VOTE_LINE(head)     "{\"type\":\"vote_request\"," head TERM VOTE "}\n"
#define APPEND_LINE(append) "{\"type\":\"append_request\"," HEAD TERM append "}\n"
#define CHAIN               "00000000000000ff"

static const struct refusal {
    const char *text;
    const char *path;
    const char *reason;
    bool is_answer;
} refusals[] = {
    {"", NULL, "no line of JSON at the start, or too long a line", false},
    {"\n", NULL, "the first line is not one flat JSON object", false},
    {"{}", NULL, "no line of JSON at the start, or too long a line", false},
    {"[1]\n", NULL, "the first line is not one flat JSON object", false},
    {"{\"a\":1,\"a\":2}\n", NULL, "the first line is not one flat JSON object", false},
    {"{\"a\":1} x\n", NULL, "the first line is not one flat JSON object", false},
    {"{\"a\":[1]}\n", NULL, "the first line is not one flat JSON object", false},
    {"{\"a\":{}}\n", NULL, "the first line is not one flat JSON object", false},
    {"{\"\\u0061\":1}\n", NULL, "the first line is not one flat JSON object", false},
    {"{\"a\":\"\t\"}\n", NULL, "the first line is not one flat JSON object", false},
    {"{}\n", NULL, "member protocol is missing or out of range", false},
    {VOTE_LINE(HEAD_OF("2", "11", "12")), NULL, "protocol version 2 there, 1 here", false},
    {"{\"protocol\":4000000000}\n", NULL, "protocol version 4000000000 there, 1 here", false},
    {VOTE_LINE(HEAD_OF("1.0", "11", "12")), NULL, "member protocol is missing or out of range",
     false},
    {VOTE_LINE(HEAD_OF("1", "0", "12")), NULL, "from and to must name a node", false},
    {VOTE_LINE(HEAD_OF("1", "11", "0")), NULL, "from and to must name a node", false},
    {VOTE_LINE(HEAD_OF("1", "-1", "12")), NULL, "member from is missing or out of range", false},
    {VOTE_LINE(HEAD_OF("1", "9007199254740992", "12")), NULL,
     "member from is missing or out of range", false},
    {VOTE_LINE(HEAD_OF("1", "11", "\"12\"")), NULL, "member to is missing or out of range", false},
    {VOTE_LINE("\"protocol\":1,\"cluster\":\"0123\""), NULL,
     "member cluster is not 32 hexadecimal digits", false},
    {VOTE_LINE("\"protocol\":1,\"cluster\":\"0123456789abcdeffedcba987654321g\""), NULL,
     "member cluster is not 32 hexadecimal digits", false},
    {VOTE_LINE("\"protocol\":1,\"cluster\":\"0123456789abcdeffedcba9876543210\",\"from\":1,"
               "\"to\":2,\"incarnation\":5"),
     NULL, "member incarnation is not 16 hexadecimal digits", false},
    {VOTE_LINE("\"protocol\":1,\"cluster\":\"0123456789abcdeffedcba9876543210\",\"from\":1,"
               "\"to\":2,\"incarnation\":\"00000000000000ff\",\"election_timeout_ms\":4294967296"),
     NULL, "member election_timeout_ms is missing or out of range", false},
    {"{\"type\":\"snapshot\"," HEAD TERM "}\n", NULL, "unknown type of message", false},
    {"{" HEAD TERM "}\n", NULL, "unknown type of message", false},
    {"{\"type\":\"vote_request\"," HEAD VOTE "}\n", NULL, "member term is missing or out of range",
     false},
    {"{\"type\":\"timeout_now\"," HEAD ",\"term\":0}\n", NULL, "a request of term 0", false},
    {VOTE_LINE(HEAD), "/raft/append", "the message does not fit the path", false},
    {VOTE_LINE(HEAD), "/raft/vote", "a request where an answer is expected", true},
    {"{\"type\":\"vote_response\"," HEAD TERM "}\n", NULL, "an answer where a request is expected",
     false},
    {VOTE_LINE(HEAD) "x", NULL, "bytes after the end of the message", false},
    {"{\"type\":\"vote_request\"," HEAD TERM ",\"pre_vote\":1}\n", NULL,
     "member pre_vote is not true or false", false},
    {"{\"type\":\"vote_request\"," HEAD ",\"term\":6" VOTE "}\n", NULL,
     "the last entry cannot be of that term", false},
    {APPEND_LINE(APPEND_OF("0", "5", CHAIN, "5", "0")), NULL,
     "the previous entry cannot be of that term", false},
    {APPEND_LINE(APPEND_OF("5", "0", CHAIN, "0", "0")), NULL,
     "the previous entry cannot be of that term", false},
    {APPEND_LINE(APPEND_OF("10", "5", CHAIN, "5", "0")), NULL,
     "the previous entry cannot be of that term", false},
    {APPEND_LINE(APPEND_OF("0", "0", CHAIN, "0", "0")), NULL, "a chain before the first entry",
     false},
    {APPEND_LINE(APPEND_OF("5", "5", "ff", "5", "0")), NULL,
     "member previous_chain is not 16 hexadecimal digits", false},
    {APPEND_LINE(APPEND_OF("5", "5", CHAIN, "6", "0")), NULL,
     "entries_last is not previous_index + entries_count", false},
    {APPEND_LINE(APPEND_OF("5", "5", CHAIN, "262", "257")), NULL,
     "member entries_count is missing or out of range", false},
    {APPEND_LINE(APPEND_OF("5", "5", CHAIN, "5", "0")) "x", NULL,
     "bytes after the end of the message", false},
};
enum { REFUSALS_COUNT = sizeof refusals / sizeof refusals[0] };

/* Design 2, correctness 4.2 rows 12 and 14: typed and in range, or refused with the reason. */
START_TEST(a_wrong_line_is_refused_with_the_reason)
{
    const struct refusal *refusal = &refusals[_i];

    rk_buf_append_text(&body, refusal->text);
    ck_assert_int_eq(decode_as(refusal->path, !refusal->is_answer), RK_INVALID);
    ck_assert_str_eq(reason, refusal->reason);
}
END_TEST

/* The lines above are refused for what is wrong in them, not for what they share. */
START_TEST(the_lines_that_refusals_are_made_of_are_good)
{
    rk_buf_append_text(&body, VOTE_LINE(HEAD));
    ck_assert_int_eq(decode_as("/raft/vote", true), RK_OK);
    rk_buf_reset(&body);
    rk_buf_append_text(&body, APPEND_LINE(APPEND_OF("5", "5", CHAIN, "5", "0")));
    ck_assert_int_eq(decode_as("/raft/append", true), RK_OK);
    rk_buf_reset(&body);
    rk_buf_append_text(&body, APPEND_LINE(APPEND_OF("0", "0", "0000000000000000", "0", "0")));
    ck_assert_int_eq(decode_as("/raft/append", true), RK_OK);
}
END_TEST

/* A later version may add members. */
START_TEST(an_unknown_member_is_ignored)
{
    rk_buf_append_text(
        &body, VOTE_LINE(HEAD ",\"since_2\":\"\\u00e9\\n\",\"since_3\":-1.5e+3,\"since_4\":null"));

    ck_assert_int_eq(decode_as("/raft/vote", true), RK_OK);
    ck_assert_uint_eq(decoded->message.vote_request.last.index, 5);
}
END_TEST

START_TEST(a_line_past_8_kib_is_refused)
{
    rk_buf_append_text(&body, "{\"a\":\"");
    for (int i = 0; i < 8192; i++) {
        rk_buf_append_byte(&body, 'a');
    }
    rk_buf_append_text(&body, "\"," HEAD TERM "}\n");

    ck_assert_int_eq(decode_as(NULL, true), RK_INVALID);
    ck_assert_str_eq(reason, "no line of JSON at the start, or too long a line");
}
END_TEST

START_TEST(a_body_past_its_limit_is_refused)
{
    const struct rk_bytes large = {.data = (const uint8_t *)"{}\n",
                                   .size = RK_PEER_BODY_SIZE_MAX + 1};

    ck_assert_int_eq(wire_decode_message(large, NULL, true, decoded, &reason), RK_INVALID);
    ck_assert_str_eq(reason, "the body is too large");
}
END_TEST

/* One frame after 5^4 of chain 0xabc, in a message of term 9. */
static enum rk_status decode_one(uint8_t type, struct raft_entry_id id, uint64_t chain)
{
    const struct wire_append_extra extra = {.previous_chain = 0xabc};
    const struct raft_message message = append_after((struct raft_entry_id){4, 5}, 1);

    rk_buf_reset(&frames);
    (void)add_frame(type, id, chain, 30);
    rk_buf_reset(&body);
    wire_encode_message(&plain_envelope, &message, &extra, rk_buf_bytes(&frames), &body);
    return decode_as("/raft/append", true);
}

/* Pitfall 43. */
START_TEST(an_entry_out_of_place_is_refused)
{
    ck_assert_int_eq(decode_one(RAFT_ENTRY_NOOP, (struct raft_entry_id){9, 6}, 0xabc), RK_OK);
    ck_assert_int_eq(decode_one(RAFT_ENTRY_NOOP, (struct raft_entry_id){9, 7}, 0xabc), RK_INVALID);
    ck_assert_str_eq(reason, "the entries are not contiguous");
    ck_assert_int_eq(decode_one(RAFT_ENTRY_NOOP, (struct raft_entry_id){9, 5}, 0xabc), RK_INVALID);
    ck_assert_str_eq(reason, "the entries are not contiguous");
    ck_assert_int_eq(decode_one(RAFT_ENTRY_NOOP, (struct raft_entry_id){3, 6}, 0xabc), RK_INVALID);
    ck_assert_str_eq(reason, "the terms of the entries fall");
    ck_assert_int_eq(decode_one(RAFT_ENTRY_NOOP, (struct raft_entry_id){10, 6}, 0xabc), RK_INVALID);
    ck_assert_str_eq(reason, "an entry's term is 0 or above the message's");
    ck_assert_int_eq(decode_one(4, (struct raft_entry_id){9, 6}, 0xabc), RK_INVALID);
    ck_assert_str_eq(reason, "an entry of unknown type");
    ck_assert_int_eq(decode_one(0, (struct raft_entry_id){9, 6}, 0xabc), RK_INVALID);
    ck_assert_str_eq(reason, "an entry of unknown type");
}
END_TEST

/* Two frames after 5^4, stamped so. */
static enum rk_status decode_stamped(uint64_t first_ms, uint64_t second_ms)
{
    const struct wire_append_extra extra = {.previous_chain = 0xabc};
    const struct raft_message message = append_after((struct raft_entry_id){4, 5}, 2);

    rk_buf_reset(&frames);
    frames_time_ms = first_ms;
    const uint64_t chain = add_frame(RAFT_ENTRY_NOOP, (struct raft_entry_id){9, 6}, 0xabc, 30);
    frames_time_ms = second_ms;
    (void)add_frame(RAFT_ENTRY_NOOP, (struct raft_entry_id){9, 7}, chain, 30);
    rk_buf_reset(&body);
    wire_encode_message(&plain_envelope, &message, &extra, rk_buf_bytes(&frames), &body);
    return decode_as("/raft/append", true);
}

START_TEST(cluster_time_that_falls_is_refused)
{
    ck_assert_int_eq(decode_stamped(7000, 7000), RK_OK);
    ck_assert_int_eq(decode_stamped(7000, 6999), RK_INVALID);
    ck_assert_str_eq(reason, "the times of the entries fall");
}
END_TEST

/* Equal chains mean equal histories, so a chain that does not follow is another history. */
START_TEST(an_entry_of_another_history_is_refused)
{
    ck_assert_int_eq(decode_one(RAFT_ENTRY_NOOP, (struct raft_entry_id){9, 6}, 0xabd), RK_CORRUPT);
    ck_assert_str_eq(reason, "an entry's chain does not follow the one before it");
}
END_TEST

START_TEST(an_append_cut_short_anywhere_is_refused)
{
    encode_plain_append();
    for (size_t size = 0; size < body.size; size++) {
        /* A copy of just that size, so that a sanitizer sees a read past its end. */
        uint8_t *copy = rk_heap_alloc(size);
        memcpy(copy, body.data, size);
        const struct rk_bytes cut = {.data = copy, .size = (uint32_t)size};
        const enum rk_status status =
            wire_decode_message(cut, "/raft/append", true, decoded, &reason);
        ck_assert_msg(status == RK_INVALID || status == RK_CORRUPT, "accepted at %zu", size);
        ck_assert_ptr_nonnull(reason);
        rk_heap_free(copy);
    }
}
END_TEST

/* In the line a flip may make another good line (a digit for a digit); in the frames never. */
START_TEST(an_append_with_a_flipped_byte_is_refused_or_whole)
{
    encode_plain_append();
    const size_t line_size =
        (size_t)((uint8_t *)memchr(body.data, '\n', body.size) - body.data) + 1;
    for (size_t at = 0; at < body.size; at++) {
        for (unsigned flip = 1; flip < 256; flip++) {
            body.data[at] ^= (uint8_t)flip;
            const enum rk_status status = decode_as("/raft/append", true);
            body.data[at] ^= (uint8_t)flip;
            ck_assert_msg(status == RK_OK || status == RK_INVALID || status == RK_CORRUPT, "%d",
                          status);
            ck_assert((status == RK_OK) == (reason == NULL));
            ck_assert_msg(at < line_size || status != RK_OK, "frame byte %zu", at - line_size);
        }
    }
}
END_TEST

static void add_faults(TCase *tcase)
{
    tcase_add_loop_test(tcase, a_wrong_line_is_refused_with_the_reason, 0, REFUSALS_COUNT);
    tcase_add_test(tcase, the_lines_that_refusals_are_made_of_are_good);
    tcase_add_test(tcase, an_unknown_member_is_ignored);
    tcase_add_test(tcase, a_line_past_8_kib_is_refused);
    tcase_add_test(tcase, a_body_past_its_limit_is_refused);
    tcase_add_test(tcase, an_entry_out_of_place_is_refused);
    tcase_add_test(tcase, cluster_time_that_falls_is_refused);
    tcase_add_test(tcase, an_entry_of_another_history_is_refused);
    tcase_add_test(tcase, an_append_cut_short_anywhere_is_refused);
    tcase_add_test(tcase, an_append_with_a_flipped_byte_is_refused_or_whole);
    tcase_add_test_raise_signal(tcase, an_answer_has_no_path_of_its_own, SIGABRT);
    tcase_add_test_raise_signal(tcase, encoding_a_number_past_2_53_aborts, SIGABRT);
    tcase_add_test_raise_signal(tcase, encoding_a_count_that_does_not_fit_aborts, SIGABRT);
}

int main(void)
{
    TCase *tcase = tcase_create("wire_message");

    tcase_add_checked_fixture(tcase, open_all, close_all);
    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, every_message_is_read_back_as_it_was_written, RAFT_VOTE_REQUEST,
                        RAFT_TIMEOUT_NOW + 1);
    tcase_add_loop_test(tcase, an_append_is_read_back_with_every_entry, 0, 5);
    tcase_add_test(tcase, a_vote_request_looks_as_documented);
    tcase_add_test(tcase, requests_have_paths);
    add_faults(tcase);
    return run_suite("wire_message", tcase);
}
