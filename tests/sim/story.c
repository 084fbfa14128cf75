/* The run as a story: a line for what happens, with time and node. Messages only when asked for. */
#include <inttypes.h>
#include <stdarg.h>

#include "sim/sim.h"

static void tell_time(struct sim *sim, raft_node_id node)
{
    (void)fprintf(sim->story, "%6" PRIu64 ".%06" PRIu64 " ", sim->now_us / 1000000,
                  sim->now_us % 1000000);
    if (node != 0) {
        (void)fprintf(sim->story, "%2" PRIu64 " ", node);
    } else {
        (void)fputs("   ", sim->story);
    }
}

void sim_tell(struct sim *sim, const struct sim_node *node, const char *format, ...)
{
    sim->lines++;
    if (sim->story == NULL) {
        return;
    }
    va_list arguments;
    tell_time(sim, node == NULL ? 0 : node->id);
    va_start(arguments, format);
    (void)vfprintf(sim->story, format, arguments);
    va_end(arguments);
    (void)fputc('\n', sim->story);
}

static void tell_request(FILE *story, const struct raft_message *message)
{
    if (message->type == RAFT_VOTE_REQUEST) {
        (void)fprintf(story, "%s last=%" PRIu64 "^%" PRIu64 "%s",
                      message->vote_request.pre_vote ? "pre_vote_request" : "vote_request",
                      message->vote_request.last.index, message->vote_request.last.term,
                      message->vote_request.transfer ? " transfer" : "");
    } else if (message->type == RAFT_APPEND_REQUEST) {
        (void)fprintf(story,
                      "append_request previous=%" PRIu64 "^%" PRIu64 " last=%" PRIu64
                      " commit=%" PRIu64,
                      message->append_request.previous.index, message->append_request.previous.term,
                      message->append_request.entries_last, message->append_request.leader_commit);
    } else {
        (void)fprintf(story, "heartbeat round=%" PRIu64 " commit=%" PRIu64,
                      message->heartbeat_request.round, message->heartbeat_request.commit);
    }
}

static void tell_response(FILE *story, const struct raft_message *message)
{
    if (message->type == RAFT_VOTE_RESPONSE) {
        (void)fprintf(story, "%s %s",
                      message->vote_response.pre_vote ? "pre_vote_response" : "vote_response",
                      message->vote_response.granted ? "granted" : "refused");
    } else if (message->type == RAFT_APPEND_RESPONSE && message->append_response.accepted) {
        (void)fprintf(story, "append_response accepted match=%" PRIu64,
                      message->append_response.match);
    } else if (message->type == RAFT_APPEND_RESPONSE) {
        (void)fprintf(story,
                      "append_response refused previous=%" PRIu64 " hint=%" PRIu64 "^%" PRIu64,
                      message->append_response.previous, message->append_response.hint.index,
                      message->append_response.hint.term);
    } else {
        (void)fprintf(story, "heartbeat_response round=%" PRIu64 " last=%" PRIu64,
                      message->heartbeat_response.round, message->heartbeat_response.last);
    }
}

/* The one who sends tells where to, the one who receives where from. */
void sim_tell_message(struct sim *sim, bool is_sent, const struct raft_message *message)
{
    if (sim->story == NULL || !sim->is_story_full) {
        return;
    }
    tell_time(sim, is_sent ? message->from : message->to);
    (void)fprintf(sim->story, "%s %" PRIu64 " ", is_sent ? "->" : "<-",
                  is_sent ? message->to : message->from);
    switch (message->type) {
    case RAFT_VOTE_REQUEST:
    case RAFT_APPEND_REQUEST:
    case RAFT_HEARTBEAT_REQUEST:
        tell_request(sim->story, message);
        break;
    case RAFT_VOTE_RESPONSE:
    case RAFT_APPEND_RESPONSE:
    case RAFT_HEARTBEAT_RESPONSE:
        tell_response(sim->story, message);
        break;
    case RAFT_TIMEOUT_NOW:
        (void)fputs("timeout_now", sim->story);
        break;
    case RAFT_SNAPSHOT_REQUEST:
        (void)fprintf(sim->story, "snapshot_request sequence=%" PRIu64,
                      message->snapshot_request.sequence);
        break;
    case RAFT_SNAPSHOT_RESPONSE:
        (void)fprintf(sim->story, "snapshot_response %s match=%" PRIu64,
                      message->snapshot_response.accepted ? "accepted" : "refused",
                      message->snapshot_response.match);
        break;
    }
    (void)fprintf(sim->story, " term=%" PRIu64 "\n", message->term);
}

struct line {
    bool is_silent; /* nobody listens: that there is something to tell is enough */
    char text[256];
    size_t size;
};

__attribute__((format(printf, 2, 3))) static void line_add(struct line *line, const char *format,
                                                           ...)
{
    va_list arguments;
    if (line->is_silent) {
        line->size = 1;
        return;
    }
    if (line->size > 0) {
        line->size +=
            (size_t)snprintf(line->text + line->size, sizeof line->text - line->size, ", ");
    }
    va_start(arguments, format);
    line->size += (size_t)vsnprintf(line->text + line->size, sizeof line->text - line->size, format,
                                    arguments);
    va_end(arguments);
}

/* A follower that hears of a term, a leader or a commit is no news, unless everything is told. */
static void add_role(const struct sim *sim, struct line *line, const struct raft_view *view,
                     const struct raft_view *before)
{
    const bool has_changed = view->role != before->role ||
                             view->hard_state.term != before->hard_state.term ||
                             (view->leader != before->leader && view->leader != 0);
    const bool is_news = view->role != RAFT_FOLLOWER || before->role == RAFT_LEADER;
    if (has_changed && (is_news || sim->is_story_full)) {
        line_add(line, "is %s of term %" PRIu64, raft_role_name(view->role), view->hard_state.term);
    }
}

/* One line for all that a step changes. */
void sim_tell_view(struct sim *sim, const struct sim_node *node, const struct raft_view *before)
{
    const struct raft_view *view = &node->view;
    struct line line;
    line.is_silent = sim->story == NULL;
    line.size = 0;
    add_role(sim, &line, view, before);
    /* A follower whose log grows with its leader's is no news either. */
    if (view->last.term != before->last.term ||
        (view->last.index != before->last.index &&
         (view->role == RAFT_LEADER || sim->is_story_full))) {
        line_add(&line, "has its log to %" PRIu64 "^%" PRIu64, view->last.index, view->last.term);
    }
    if (view->config_index != before->config_index) {
        line_add(&line, "goes by configuration %" PRIu64, view->config_index);
    }
    if (view->commit_index != before->commit_index &&
        (view->role == RAFT_LEADER || sim->is_story_full)) {
        line_add(&line, "commits %" PRIu64, view->commit_index);
    }
    if (line.size > 0) {
        sim_tell(sim, node, "%s", line.text);
    }
}

/* How they all stand at the end. */
void sim_tell_nodes(struct sim *sim)
{
    for (uint32_t i = 0; i < sim->nodes_count; i++) {
        const struct sim_node *node = &sim->nodes[i];
        const struct raft_entry_id last = sim_log_last(&node->log);
        const struct raft_entry_id durable = sim_log_last(&node->disk);
        if (node->is_up) {
            sim_tell(sim, node,
                     "ends as %s of term %" PRIu64 ", log to %" PRIu64 "^%" PRIu64
                     ", on disk to %" PRIu64 "^%" PRIu64 ", committed %" PRIu64,
                     raft_role_name(node->view.role), node->view.hard_state.term, last.index,
                     last.term, durable.index, durable.term, node->view.commit_index);
        } else {
            sim_tell(sim, node, "ends down, on disk to %" PRIu64 "^%" PRIu64, durable.index,
                     durable.term);
        }
    }
}

void sim_tell_knobs(struct sim *sim)
{
    const struct sim_knobs *knobs = &sim->knobs;
    sim_tell(sim, NULL,
             "%u voters, %u learners, %u spares; timeout %u ms, heartbeat %u ms%s%s; appends of %u "
             "entries, %u under way",
             knobs->voters, knobs->learners, knobs->spares, knobs->election_timeout_ms,
             knobs->heartbeat_interval_ms, knobs->pre_vote ? ", pre-vote" : "",
             knobs->check_quorum ? ", check-quorum" : "", knobs->append_entries_max,
             knobs->inflight_max);
    sim_tell(sim, NULL,
             "delay %u + %u us, loss %u, repeats %u in a million; disk %u us; fault every %u ms, "
             "operator every %u ms; %u clients, %u keys",
             knobs->delay_min_us, knobs->delay_mean_us, knobs->loss, knobs->repeat,
             knobs->disk_mean_us, knobs->fault_mean_us / 1000, knobs->member_mean_us / 1000,
             knobs->clients, knobs->keys);
}
