/* A log that lost its end (pitfall 49): the node neither votes nor stands until a leader has
 * brought it to the entry that its high-water mark names, or past it. */
#include "base/heap.h"
#include "raft/raft.h"
#include "support/run.h"

enum { TIMEOUT_MS = 100 };

static struct raft *raft;
static struct raft_outputs *out;
static uint64_t now_ms;

static void step(const struct raft_event *event)
{
    ck_assert_int_eq(raft_step(raft, event, out), RK_OK);
    raft_check(raft);
}

/* Node 1 of three, whose log ends at 2^1 and once held `lost`. */
static void restart(struct raft_entry_id lost)
{
    static const struct raft_trail_run runs[] = {{.first_index = 1, .term = 1}};
    const struct raft_options options = {
        .id = 1,
        .seed = 7,
        .election_timeout_ms = TIMEOUT_MS,
        .heartbeat_interval_ms = 10,
        .append_entries_max = 8,
        .inflight_max = 4,
        .pre_vote = true,
        .check_quorum = true,
        .recover_to = lost,
    };
    const struct raft_restored restored = {
        .hard_state = {.term = 1},
        .last = {.term = 1, .index = 2},
        .runs = runs,
        .runs_count = 1,
        .config = {.voters = {1, 2, 3}, .voters_count = 3},
    };

    now_ms = 1000;
    raft = raft_init(rk_heap_zalloc(1, raft_size()), raft_size(), &options, &restored, now_ms);
    out = rk_heap_zalloc(1, sizeof(*out));
    step(&(struct raft_event){.type = RAFT_EVENT_DEADLINE, .now_ms = now_ms});
}

static void stop(void)
{
    rk_heap_free(raft);
    rk_heap_free(out);
}

/* Long enough for several campaigns; returns the role at the end. */
static enum raft_role wait_alone(void)
{
    for (uint32_t i = 0; i < 10; i++) {
        now_ms = out->deadline_ms;
        step(&(struct raft_event){.type = RAFT_EVENT_DEADLINE, .now_ms = now_ms});
    }
    return raft_view(raft).role;
}

/* Candidate 2 asks in term 5 with a log that is up to date. */
static bool votes(void)
{
    now_ms += 10 * TIMEOUT_MS;
    const struct raft_message message = {
        .type = RAFT_VOTE_REQUEST,
        .from = 2,
        .to = 1,
        .term = 5,
        .request = 9,
        .vote_request = {.last = {.term = 4, .index = 50}, .campaign = 1},
    };
    step(&(struct raft_event){.type = RAFT_EVENT_RECEIVED, .now_ms = now_ms, .message = &message});
    ck_assert_uint_eq(out->messages_count, 1);
    ck_assert_int_eq(out->messages[0].type, RAFT_VOTE_RESPONSE);
    return out->messages[0].vote_response.granted;
}

/* Leader 2 of `term` sends entries 3 .. last, all of that term; the disk takes them. */
static void refill(raft_term term, raft_index last)
{
    struct raft_entry entries[8] = {0};
    const uint32_t count = (uint32_t)(last - 2);

    for (uint32_t i = 0; i < count; i++) {
        entries[i].id = (struct raft_entry_id){.term = term, .index = 3 + i};
        entries[i].type = RAFT_ENTRY_COMMAND;
    }
    const struct raft_message message = {
        .type = RAFT_APPEND_REQUEST,
        .from = 2,
        .to = 1,
        .term = term,
        .request = 8,
        .append_request = {.previous = {.term = 1, .index = 2},
                           .entries_last = last,
                           .entries = entries,
                           .entries_count = count,
                           .sequence = 1},
    };
    step(&(struct raft_event){.type = RAFT_EVENT_RECEIVED, .now_ms = now_ms, .message = &message});
    ck_assert_uint_ne(out->write_number, 0);
    step(&(struct raft_event){
        .type = RAFT_EVENT_PERSISTED, .now_ms = now_ms, .write_number = out->write_number});
}

START_TEST(whole_log_votes_and_stands)
{
    restart((struct raft_entry_id){.term = 1, .index = 2});
    ck_assert(!raft_view(raft).is_recovering);
    ck_assert_int_eq(wait_alone(), RAFT_PRE_CANDIDATE);
    ck_assert(votes());
    stop();
}
END_TEST

START_TEST(pitfall_49_shortened_log_does_not_stand)
{
    restart((struct raft_entry_id){.term = 1, .index = 4});
    ck_assert(raft_view(raft).is_recovering);
    ck_assert_int_eq(wait_alone(), RAFT_FOLLOWER);
    stop();
}
END_TEST

START_TEST(pitfall_49_shortened_log_does_not_vote)
{
    restart((struct raft_entry_id){.term = 1, .index = 4});
    ck_assert(!votes());
    stop();
}
END_TEST

START_TEST(part_of_what_was_lost_is_not_enough)
{
    restart((struct raft_entry_id){.term = 1, .index = 4});
    refill(1, 3);
    ck_assert(raft_view(raft).is_recovering);
    ck_assert(!votes());
    stop();
}
END_TEST

START_TEST(refilled_log_votes_and_stands_again)
{
    restart((struct raft_entry_id){.term = 1, .index = 4});
    refill(1, 4);
    ck_assert(!raft_view(raft).is_recovering);
    ck_assert_int_eq(wait_alone(), RAFT_PRE_CANDIDATE);
    ck_assert(votes());
    stop();
}
END_TEST

/* A later leader may have replaced what was lost: an entry of its term is past the mark. */
START_TEST(entry_of_a_later_term_ends_the_recovery)
{
    restart((struct raft_entry_id){.term = 1, .index = 4});
    refill(3, 3);
    ck_assert(!raft_view(raft).is_recovering);
    ck_assert(votes());
    stop();
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("raft_recovering");

    tcase_add_test(tcase, whole_log_votes_and_stands);
    tcase_add_test(tcase, pitfall_49_shortened_log_does_not_stand);
    tcase_add_test(tcase, pitfall_49_shortened_log_does_not_vote);
    tcase_add_test(tcase, part_of_what_was_lost_is_not_enough);
    tcase_add_test(tcase, refilled_log_votes_and_stands_again);
    tcase_add_test(tcase, entry_of_a_later_term_ends_the_recovery);
    return run_suite("raft_recovering", tcase);
}
