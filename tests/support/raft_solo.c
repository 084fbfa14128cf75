#include "support/raft_solo.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

struct solo solo_new(void)
{
    struct solo solo = {.raft = malloc(raft_size()), .out = calloc(1, sizeof *solo.out)};
    RK_ASSERT(solo.raft != NULL && solo.out != NULL);
    return solo;
}

void solo_free(struct solo *solo)
{
    free(solo->raft);
    free(solo->out);
}

void solo_copy(struct solo *to, const struct solo *from)
{
    memcpy(to->raft, from->raft, raft_size());
    to->now_ms = from->now_ms;
}

void solo_restore(struct solo *solo, raft_node_id id, const struct raft_restored *restored)
{
    const struct raft_options options = {.id = id,
                                         .seed = 1,
                                         .election_timeout_ms = 1000,
                                         .heartbeat_interval_ms = 100,
                                         .append_entries_max = SOLO_LOG_MAX,
                                         .inflight_max = 4,
                                         .pre_vote = true,
                                         .check_quorum = true};
    solo->now_ms = 0;
    solo->raft = raft_init(solo->raft, raft_size(), &options, restored, 0);
    raft_check(solo->raft);
}

void solo_start(struct solo *solo, raft_node_id id, const struct raft_config *config,
                const struct solo_log *log, raft_term term)
{
    struct raft_trail_run runs[SOLO_LOG_MAX];
    struct raft_restored restored = {.hard_state = {.term = term}, .runs = runs, .config = *config};
    for (uint32_t i = 0; i < log->count; i++) {
        if (i == 0 || log->terms[i] != log->terms[i - 1]) {
            runs[restored.runs_count] =
                (struct raft_trail_run){.first_index = i + 1, .term = log->terms[i]};
            restored.runs_count++;
        }
        restored.last = (struct raft_entry_id){.term = log->terms[i], .index = i + 1};
    }
    solo_restore(solo, id, &restored);
}

enum rk_status solo_step(struct solo *solo, struct raft_event event)
{
    event.now_ms = solo->now_ms;
    const enum rk_status status = raft_step(solo->raft, &event, solo->out);
    raft_check(solo->raft);
    return status;
}

void solo_receive(struct solo *solo, const struct raft_message *message)
{
    const enum rk_status status =
        solo_step(solo, (struct raft_event){.type = RAFT_EVENT_RECEIVED, .message = message});
    RK_ASSERT(status == RK_OK);
}

void solo_persist(struct solo *solo)
{
    while (solo->out->write_number != 0) {
        const enum rk_status status =
            solo_step(solo, (struct raft_event){.type = RAFT_EVENT_PERSISTED,
                                                .write_number = solo->out->write_number});
        RK_ASSERT(status == RK_OK);
    }
}

/* Grants what the latest step asked for. */
static void grant(struct solo *solo, raft_node_id voter, bool is_pre_vote)
{
    const struct raft_view view = raft_view(solo->raft);
    uint64_t campaign = 0;
    for (uint32_t i = 0; i < solo->out->messages_count; i++) {
        if (solo->out->messages[i].type == RAFT_VOTE_REQUEST) {
            campaign = solo->out->messages[i].vote_request.campaign;
        }
    }
    solo_receive(solo,
                 &(struct raft_message){
                     .type = RAFT_VOTE_RESPONSE,
                     .from = voter,
                     .to = 1,
                     .term = view.hard_state.term,
                     .vote_response = {.pre_vote = is_pre_vote,
                                       .granted = true,
                                       .request_term = view.hard_state.term + (is_pre_vote ? 1 : 0),
                                       .campaign = campaign}});
}

static void grant_all(struct solo *solo, const raft_node_id *voters, uint32_t voters_count,
                      enum raft_role until)
{
    const struct raft_outputs asked = *solo->out;
    for (uint32_t i = 0; i < voters_count && raft_view(solo->raft).role != until; i++) {
        *solo->out = asked;
        grant(solo, voters[i], until == RAFT_CANDIDATE);
    }
    RK_ASSERT(raft_view(solo->raft).role == until);
}

void solo_lead(struct solo *solo, const raft_node_id *voters, uint32_t voters_count)
{
    solo->now_ms += 2000;
    (void)solo_step(solo, (struct raft_event){.type = RAFT_EVENT_DEADLINE});
    while (raft_view(solo->raft).role != RAFT_PRE_CANDIDATE) { /* called late, it waits anew */
        solo->now_ms = solo->out->deadline_ms;
        (void)solo_step(solo, (struct raft_event){.type = RAFT_EVENT_DEADLINE});
    }
    grant_all(solo, voters, voters_count, RAFT_CANDIDATE);
    const struct raft_outputs asked = *solo->out;
    (void)solo_step(solo, (struct raft_event){.type = RAFT_EVENT_PERSISTED,
                                              .write_number = asked.write_number});
    *solo->out = asked;
    grant_all(solo, voters, voters_count, RAFT_LEADER);
}

bool solo_logs_match(const struct solo_log *a, const struct solo_log *b)
{
    bool is_same = true;
    for (uint32_t i = 0; i < a->count && i < b->count; i++) {
        if (a->terms[i] == b->terms[i] && !is_same) {
            return false;
        }
        is_same = is_same && a->terms[i] == b->terms[i];
    }
    return true;
}

uint32_t solo_all_logs(struct solo_log *logs, uint32_t logs_max, uint32_t length_max,
                       raft_term terms)
{
    uint32_t count = 1;
    RK_ASSERT(length_max <= SOLO_LOG_MAX);
    logs[0] = (struct solo_log){0};
    for (uint32_t at = 0; at < count; at++) { /* each log, by each entry that may come next */
        const struct solo_log log = logs[at];
        const raft_term least = log.count == 0 ? 1 : log.terms[log.count - 1];
        for (raft_term term = least; term <= terms && log.count < length_max; term++) {
            RK_ASSERT(count < logs_max);
            logs[count] = log;
            logs[count].terms[log.count] = term;
            logs[count].count++;
            count++;
        }
    }
    return count;
}
