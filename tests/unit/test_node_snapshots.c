/* Snapshots in a node: when one is taken and what comes of it, pieces on their way to a peer, and
 * pieces that come in. The worker and the disk are the test's. */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "base/heap.h"
#include "node_fixture.h"
#include "support/run.h"

enum { BODY_MAX = 4 << 20, FILE_SIZE = 3000, SNAPSHOT_INDEX = 50 };

static struct http_exchange exchange;

static void setup(void)
{
    fixture_open();
    exchange = (struct http_exchange){.answers = 0};
}

static void teardown(void)
{
    rk_buf_done(&exchange.body);
    fixture_close();
}

/* ---- the worker and the disk ---- */

/* The newest job of that type, which is taken out; NULL: none. */
static struct snap_job *snap_job_of(enum snap_job_type type)
{
    for (uint32_t i = fixture.snap_jobs_count; i > 0; i--) {
        struct snap_job *job = fixture.snap_jobs[i - 1];
        if (job->type == type) {
            fixture.snap_jobs_count--;
            fixture.snap_jobs[i - 1] = fixture.snap_jobs[fixture.snap_jobs_count];
            return job;
        }
    }
    return NULL;
}

static void snap_job_done(struct snap_job *job, enum rk_status status)
{
    ck_assert_ptr_nonnull(job);
    job->status = status;
    ck_assert_int_eq(rk_queue_push(fixture.snap_results, &job, 1), RK_OK);
    node_snapshot_turn(fixture.node);
}

/* The snapshot that waits for the disk is noted down. */
static struct log_snapshot note_down(void)
{
    ck_assert_uint_gt(fixture.jobs_count, 0);
    fixture.jobs_count--;
    struct disk_job *job = fixture.jobs[fixture.jobs_count];
    ck_assert_int_eq(job->type, DISK_SNAPSHOT);
    const struct log_snapshot noted = job->noted;
    node_snapshot_noted(fixture.node, job);
    disk_job_free(job);
    return noted;
}

/* ---- taking ---- */

/* Leads, with its configuration applied: entry 1. */
static void lead_with_one_entry(void)
{
    fixture_lead();
    node_apply(fixture.node);
    ck_assert_uint_eq(fixture.node->last_applied, 1);
    fixture.options.snapshot_entries = 1;
    fixture.options.trailing_entries = 0;
}

static void take_one(void)
{
    lead_with_one_entry();
    node_snapshot_turn(fixture.node);
    struct snap_job *job = snap_job_of(SNAP_TAKE);
    ck_assert_ptr_nonnull(job);
    job->info.ref.size = FILE_SIZE;
    job->info.ref.digest = 77;
    snap_job_done(job, RK_OK);
}

START_TEST(one_is_taken_of_what_is_applied)
{
    lead_with_one_entry();
    node_snapshot_turn(fixture.node);
    struct snap_job *job = snap_job_of(SNAP_TAKE);
    ck_assert_ptr_nonnull(job);
    ck_assert_uint_eq(job->info.ref.id.index, 1);
    ck_assert_uint_eq(job->info.ref.id.term, 1);
    ck_assert_uint_eq(job->info.config_index, 1);
    ck_assert_uint_eq(job->info.membership.members_count, 3);
    ck_assert_uint_eq(job->root.last_applied, 1);
    ck_assert_uint_ne(job->info.chain, 0);
    ck_assert_uint_eq(node_snapshot_oldest_version(fixture.node), job->root.version);
    snap_job_free(job);
}
END_TEST

START_TEST(none_is_taken_before_its_time)
{
    lead_with_one_entry();
    fixture.options.snapshot_entries = 2;
    node_snapshot_turn(fixture.node);
    ck_assert_ptr_null(snap_job_of(SNAP_TAKE));
}
END_TEST

/* Few entries may be many bytes. */
START_TEST(one_is_taken_when_much_was_applied_in_few_entries)
{
    lead_with_one_entry();
    fixture.options.snapshot_entries = 100000;
    fixture.node->snaps.applied_bytes = NODE_SNAPSHOT_BYTES - 1;
    node_snapshot_turn(fixture.node);
    ck_assert_ptr_null(snap_job_of(SNAP_TAKE));
    fixture.node->snaps.applied_bytes = NODE_SNAPSHOT_BYTES;
    node_snapshot_turn(fixture.node);
    struct snap_job *job = snap_job_of(SNAP_TAKE);
    ck_assert_ptr_nonnull(job);
    snap_job_free(job);
}
END_TEST

/* Pitfall 65: a node that is behind may have two later configurations in its log; neither is of the
 * state that it would write. */
START_TEST(none_is_taken_with_a_configuration_from_beyond_it)
{
    lead_with_one_entry();
    fixture.node->membership_before_index = 2;
    fixture.node->membership_index = 3;
    node_snapshot_turn(fixture.node);
    ck_assert_ptr_null(snap_job_of(SNAP_TAKE));
}
END_TEST

/* Pitfall 59: the log is cut only when the file was read back and noted down. */
START_TEST(the_log_goes_only_when_the_snapshot_is_noted_down)
{
    take_one();
    ck_assert_uint_eq(fixture.node->view.base.index, 0);
    const struct log_snapshot noted = note_down();
    ck_assert_uint_eq(noted.id.index, 1);
    ck_assert_uint_eq(noted.size, FILE_SIZE);
    ck_assert_uint_eq(noted.digest, 77);
    ck_assert_uint_eq(fixture.node->view.base.index, 1);
    node_snapshot_turn(fixture.node);
    ck_assert_uint_eq(fixture.jobs_count, 1);
    ck_assert_int_eq(fixture.jobs[0]->type, DISK_COMPACT);
    ck_assert_uint_eq(fixture.jobs[0]->last, 1);
    fixture.jobs[0]->base = (struct raft_entry_id){1, 1};
    node_snapshot_compacted(fixture.node, fixture.jobs[0]);
    ck_assert_uint_eq(fixture.node->snaps.base.index, 1);
}
END_TEST

START_TEST(trailing_entries_stay)
{
    take_one();
    fixture.options.trailing_entries = 5;
    (void)note_down();
    ck_assert_uint_eq(fixture.node->view.base.index, 0);
    ck_assert_uint_eq(fixture.node->view.snapshot.index, 1);
}
END_TEST

START_TEST(without_room_it_is_tried_again_later)
{
    lead_with_one_entry();
    node_snapshot_turn(fixture.node);
    snap_job_done(snap_job_of(SNAP_TAKE), RK_FULL);
    ck_assert_ptr_null(snap_job_of(SNAP_TAKE));
    fixture.node->now_ms += NODE_SNAPSHOT_RETRY_MS;
    node_snapshot_turn(fixture.node);
    struct snap_job *job = snap_job_of(SNAP_TAKE);
    ck_assert_ptr_nonnull(job);
    snap_job_free(job);
}
END_TEST

/* All that may be noted down are being sent since the taking began: the new one is not. */
START_TEST(one_for_which_there_is_no_place_any_more_is_given_up)
{
    lead_with_one_entry();
    node_snapshot_turn(fixture.node);
    struct snap_job *job = snap_job_of(SNAP_TAKE);
    ck_assert_ptr_nonnull(job);
    job->info.ref.id.index = 9;
    fixture.node->snaps.held_count = LOG_SNAPSHOTS_MAX;
    fixture.node->peers_count = LOG_SNAPSHOTS_MAX;
    for (uint32_t i = 0; i < LOG_SNAPSHOTS_MAX; i++) {
        const struct snap_ref ref = {.id = {.term = 1, .index = i + 1}, .size = 1};
        fixture.node->snaps.held[i].ref = ref;
        fixture.node->peers[i].sending =
            (struct node_sending){.is_active = true, .is_busy = true, .ref = ref};
    }
    const uint32_t jobs_count = fixture.jobs_count;
    snap_job_done(job, RK_OK);
    ck_assert_uint_eq(fixture.jobs_count, jobs_count);
    ck_assert(!fixture.node->snaps.is_noting);
    fixture.node->peers_count = 2;
}
END_TEST

/* ---- sending ---- */

/* n3 has nothing, the log begins after entry 1: once n3 is heard, it is offered the snapshot. */
static struct fixture_post *offered(void)
{
    take_one();
    (void)note_down();
    for (struct fixture_post *post = fixture_post_to("/raft/append", "n3"); post != NULL;
         post = fixture_post_to("/raft/append", "n3")) {
        fixture_lose(post, RK_UNKNOWN);
    }
    node_report_unreachable(fixture.node);
    fixture_wait(50);
    fixture_reply("/raft/append", "n3",
                  &(struct raft_message){.type = RAFT_HEARTBEAT_RESPONSE, .term = 1});
    return fixture_post_to("/raft/snapshot", "n3");
}

static struct wire_snapshot question_of(const struct fixture_post *post)
{
    struct wire_snapshot question;
    const char *reason = NULL;

    ck_assert_ptr_nonnull(post);
    ck_assert_int_eq(wire_decode_snapshot(rk_buf_bytes(&post->body), &question, &reason), RK_OK);
    return question;
}

static void answer_post(struct fixture_post *post, const struct wire_snapshot_answer *answer)
{
    const struct wire_snapshot question = question_of(post);
    struct wire_snapshot_answer made = *answer;
    struct rk_buf bytes;

    made.envelope = fixture_envelope(fixture_peer("n3"));
    made.term = 1;
    made.sequence = question.sequence;
    rk_buf_init(&bytes, BODY_MAX);
    wire_encode_snapshot_answer(&made, &bytes);
    fixture_answer(post, &bytes);
}

START_TEST(the_offer_asks_first_what_is_there)
{
    const struct wire_snapshot question = question_of(offered());

    ck_assert_uint_eq(question.last.index, 1);
    ck_assert_uint_eq(question.size, FILE_SIZE);
    ck_assert_uint_eq(question.digest, 77);
    ck_assert_uint_eq(question.piece.size, 0);
}
END_TEST

START_TEST(the_next_piece_is_what_the_peer_lacks)
{
    answer_post(offered(), &(struct wire_snapshot_answer){.offset = 1000});
    struct snap_job *job = snap_job_of(SNAP_PIECE);
    ck_assert_ptr_nonnull(job);
    ck_assert_uint_eq(job->offset, 1000);
    rk_buf_append(&job->bytes, "piece", 5);
    snap_job_done(job, RK_OK);
    const struct wire_snapshot question = question_of(fixture_post_to("/raft/snapshot", "n3"));
    ck_assert_uint_eq(question.offset, 1000);
    ck_assert_uint_eq(question.piece.size, 5);
}
END_TEST

START_TEST(pieces_leave_at_the_rate_asked_for)
{
    fixture.options.snapshot_rate = 1 << 16;
    answer_post(offered(), &(struct wire_snapshot_answer){.offset = 0});
    struct snap_job *job = snap_job_of(SNAP_PIECE);
    ck_assert_ptr_nonnull(job);
    ck_assert_ptr_nonnull(rk_buf_extend(&job->bytes, 2048)); /* a thirty-second of a second's */
    memset(job->bytes.data, 0, job->bytes.size);
    snap_job_done(job, RK_OK);
    answer_post(fixture_post_to("/raft/snapshot", "n3"),
                &(struct wire_snapshot_answer){.offset = 2048});
    ck_assert_ptr_null(snap_job_of(SNAP_PIECE));
    ck_assert_uint_eq(node_sending_deadline_ms(fixture.node), fixture.node->now_ms + 31);
    fixture.node->now_ms += 31;
    node_snapshot_turn(fixture.node);
    job = snap_job_of(SNAP_PIECE);
    ck_assert_ptr_nonnull(job);
    snap_job_free(job);
}
END_TEST

START_TEST(what_the_peer_has_then_counts)
{
    struct raft_peer_view view;

    answer_post(offered(),
                &(struct wire_snapshot_answer){.is_over = true, .accepted = true, .match = 1});
    ck_assert_int_eq(raft_peer_view(fixture.node->raft, fixture_peer("n3")->id, &view), RK_OK);
    ck_assert_uint_eq(view.match_index, 1);
    ck_assert(!fixture_peer("n3")->sending.is_active);
}
END_TEST

START_TEST(a_piece_without_an_answer_ends_the_transfer)
{
    struct raft_peer_view view;

    fixture_lose(offered(), RK_UNKNOWN);
    ck_assert(!fixture_peer("n3")->sending.is_active);
    node_snapshot_turn(fixture.node);
    ck_assert_int_eq(raft_peer_view(fixture.node->raft, fixture_peer("n3")->id, &view), RK_OK);
    ck_assert_uint_eq(view.snapshot_index, 0); /* the core knows, and will offer again */
}
END_TEST

/* n3 answers a heartbeat, so that the core goes on with it. */
static void hear_of_it(void)
{
    fixture_wait(50);
    fixture_reply("/raft/append", "n3",
                  &(struct raft_message){.type = RAFT_HEARTBEAT_RESPONSE, .term = 1});
}

/* A full disk over there is not asked at every heartbeat; each time it waits twice as long. */
START_TEST(a_peer_that_cannot_take_one_is_left_alone_for_a_while)
{
    struct fixture_post *post = offered();

    for (uint64_t wait_ms = NODE_SNAPSHOT_REFUSED_MS; wait_ms <= 4 * NODE_SNAPSHOT_REFUSED_MS;
         wait_ms *= 2) {
        answer_post(post, &(struct wire_snapshot_answer){.is_over = true});
        const uint64_t until_ms = fixture.now_ms + wait_ms;
        while (fixture.now_ms + 50 < until_ms) {
            hear_of_it();
            node_snapshot_turn(fixture.node);
            ck_assert_ptr_null(fixture_post_to("/raft/snapshot", "n3"));
        }
        hear_of_it();
        node_snapshot_turn(fixture.node);
        post = fixture_post_to("/raft/snapshot", "n3");
        ck_assert_ptr_nonnull(post);
    }
    answer_post(post,
                &(struct wire_snapshot_answer){.is_over = true, .accepted = true, .match = 1});
    ck_assert_uint_eq(fixture_peer("n3")->snapshot_retry_ms, 0);
}
END_TEST

/* With snapshots at every entry, eight of them are no time at all. */
START_TEST(a_transfer_is_given_up_only_when_it_holds_much_of_the_log_back)
{
    struct fixture_post *post = offered();

    fixture.node->view.last.index = 100000;
    answer_post(post, &(struct wire_snapshot_answer){.offset = 10});
    ck_assert(fixture_peer("n3")->sending.is_active);
    struct snap_job *job = snap_job_of(SNAP_PIECE);
    rk_buf_append(&job->bytes, "piece", 5);
    snap_job_done(job, RK_OK);
    fixture.node->view.last.index = 1000000;
    answer_post(fixture_post_to("/raft/snapshot", "n3"),
                &(struct wire_snapshot_answer){.offset = 15});
    ck_assert(!fixture_peer("n3")->sending.is_active);
}
END_TEST

/* A probe that names the end of the log and waits behind other appends, until the log is cut past it:
 * there is nothing to read for it, not even from the entry after. */
START_TEST(an_append_that_the_log_was_cut_past_is_given_up)
{
    const raft_node_id to = fixture_peer("n3")->id;
    const struct raft_entry_id before = {.term = 1, .index = 3};
    const struct raft_message probe = {.type = RAFT_APPEND_REQUEST,
                                       .to = to,
                                       .term = 1,
                                       .append_request = {.previous = before, .entries_last = 3}};

    lead_with_one_entry();
    fixture.node->snaps.base = (struct raft_entry_id){.term = 1, .index = 5};
    tail_done(&fixture.node->tail);
    tail_init(&fixture.node->tail, fixture.node->snaps.base, 9);
    fixture_peer("n3")->appends_count = 0;
    const uint32_t jobs_count = fixture.jobs_count;
    node_send(fixture.node, &probe);
    ck_assert_uint_eq(fixture.jobs_count, jobs_count);
    ck_assert(fixture_peer("n3")->is_unreachable_due);
}
END_TEST

/* ---- receiving ---- */

static struct membership made_membership(void)
{
    struct membership membership = {.cluster = {5, 6}, .election_timeout_ms = 400};
    const char *const names[] = {"n1", "n2", "n3"};

    for (uint32_t i = 0; i < 3; i++) {
        struct member member = {.incarnation = fixture_incarnation(names[i]), .is_voter = true};
        member.id = i == 0 ? fixture.node->id : fixture_peer(names[i])->id;
        (void)snprintf(member.name, sizeof(member.name), "%s", names[i]);
        (void)snprintf(member.peer_address, sizeof(member.peer_address), "127.0.0.1:830%u", i + 1);
        ck_assert_int_eq(membership_add(&membership, &member), RK_OK);
    }
    return membership;
}

/* n2, leader of term 3, sends a piece of the snapshot up to SNAPSHOT_INDEX. */
static void receive_at(struct http_exchange *at, uint64_t digest, uint64_t offset,
                       const char *piece)
{
    const struct membership membership = made_membership();
    struct rk_buf config;
    struct rk_buf bytes;

    rk_buf_init(&config, BODY_MAX);
    rk_buf_init(&bytes, BODY_MAX);
    membership_encode(&membership, &config);
    const struct wire_snapshot question = {
        .envelope = fixture_envelope(fixture_peer("n2")),
        .term = 3,
        .last = {.term = 2, .index = SNAPSHOT_INDEX},
        .config_index = 7,
        .sequence = 9,
        .size = 10,
        .digest = digest,
        .offset = offset,
        .config = rk_buf_bytes(&config),
        .piece = {(const uint8_t *)piece, (uint32_t)strlen(piece)},
    };
    wire_encode_snapshot(&question, &bytes);
    rk_buf_done(&config);
    rk_buf_done(&at->body);
    fixture_request(at, "/raft/snapshot", &bytes);
    rk_buf_done(&bytes);
}

static void receive(uint64_t digest, uint64_t offset, const char *piece)
{
    receive_at(&exchange, digest, offset, piece);
}

static struct wire_snapshot_answer answered(void)
{
    struct wire_snapshot_answer answer;
    const char *reason = NULL;

    ck_assert_uint_eq(exchange.answers, 1);
    ck_assert_uint_eq(exchange.status, 200);
    ck_assert_int_eq(wire_decode_snapshot_answer(rk_buf_bytes(&exchange.body), &answer, &reason),
                     RK_OK);
    ck_assert_uint_eq(answer.sequence, 9);
    return answer;
}

/* The worker has `there` bytes of it now. */
static void received(uint64_t there)
{
    struct snap_job *job = snap_job_of(SNAP_RECEIVE);

    ck_assert_ptr_nonnull(job);
    job->offset = there;
    snap_job_done(job, RK_OK);
}

START_TEST(an_offer_is_answered_with_what_is_there)
{
    fixture_form();
    receive(1, 0, "");
    ck_assert_uint_eq(exchange.answers, 0);
    fixture.node->view.hard_state.term = 4; /* not durable: not told (pitfall 1) */
    received(4);
    const struct wire_snapshot_answer answer = answered();
    ck_assert(!answer.is_over && answer.term == 3);
    ck_assert_uint_eq(answer.offset, 4);
}
END_TEST

/* Pitfall 69: a second copy of a question neither harms nor reaches the worker. */
START_TEST(a_duplicate_is_answered_at_once)
{
    fixture_form();
    struct http_exchange first = {.answers = 0};
    receive_at(&first, 1, 0, "half");
    receive(1, 0, "half");
    ck_assert_uint_eq(fixture.snap_jobs_count, 1);
    ck_assert_uint_eq(first.answers, 1);
    ck_assert(!answered().is_over);
    rk_buf_done(&first.body);
}
END_TEST

/* Pitfall 70: of two snapshots with one index the worker is told which one it is. */
START_TEST(pieces_of_two_snapshots_are_told_apart)
{
    fixture_form();
    receive(1, 0, "half");
    received(4);
    receive(2, 4, "rest");
    const struct snap_job *job = fixture.snap_jobs[0];
    ck_assert_int_eq(job->type, SNAP_RECEIVE);
    ck_assert_uint_eq(job->info.ref.digest, 2);
    ck_assert_uint_eq(fixture.node->snaps.receiving.offset, 0);
}
END_TEST

static void all_received(void)
{
    fixture_form();
    receive(1, 0, "the whole.");
    received(10);
}

/* The state that the worker built: nothing but that all up to the snapshot's entry is applied. */
static void built(enum rk_status status)
{
    struct snap_job *job = snap_job_of(SNAP_BUILD);
    const struct sm_place place = {.term = 2, .index = SNAPSHOT_INDEX, .time_ms = 1234};

    ck_assert_ptr_nonnull(job);
    if (status == RK_OK) {
        job->sm = sm_new();
        sm_skip(job->sm, &place);
        job->info.chain = 99;
        job->info.config_index = 7;
        job->info.membership = made_membership();
    }
    snap_job_done(job, status);
}

START_TEST(a_file_that_is_not_what_was_said_is_refused)
{
    all_received();
    receive(1, 10, "");
    ck_assert(!answered().is_over); /* the state is being built */
    fixture_exchange_done(&exchange);
    exchange.answers = 0;
    built(RK_CORRUPT);
    ck_assert_int_eq(fixture.node->snaps.receiving.state, RECEIVING_NOTHING);
    ck_assert_uint_eq(fixture.node->view.installing.index, 0);
    ck_assert_uint_eq(fixture.node->last_applied, 0);
}
END_TEST

/* Its index is the same, and yet it is not what the core was told. */
START_TEST(a_file_with_another_configuration_is_refused)
{
    const struct sm_place place = {.term = 2, .index = SNAPSHOT_INDEX};

    all_received();
    struct snap_job *job = snap_job_of(SNAP_BUILD);
    ck_assert_ptr_nonnull(job);
    job->sm = sm_new();
    sm_skip(job->sm, &place);
    job->info.config_index = 7;
    job->info.membership = made_membership();
    job->info.membership.members[1].is_voter = false;
    job->info.membership.members[1].is_learner = true;
    snap_job_done(job, RK_OK);
    ck_assert_int_eq(fixture.node->snaps.receiving.state, RECEIVING_NOTHING);
    ck_assert_uint_eq(fixture.node->view.installing.index, 0);
}
END_TEST

/* Pitfall 73: until the last step nothing has changed; then all of it has. */
START_TEST(log_configuration_and_state_change_places_together)
{
    all_received();
    struct sm *before = fixture.node->sm;
    built(RK_OK);
    ck_assert_ptr_eq(fixture.node->sm, before);
    ck_assert_uint_eq(fixture.node->view.last.index, 0);

    (void)note_down();

    ck_assert_ptr_ne(fixture.node->sm, before);
    ck_assert_uint_eq(fixture.node->last_applied, SNAPSHOT_INDEX);
    ck_assert_uint_eq(fixture.node->view.last.index, SNAPSHOT_INDEX);
    ck_assert_uint_eq(fixture.node->view.base.index, SNAPSHOT_INDEX);
    ck_assert_uint_eq(fixture.node->membership_index, 7);
    ck_assert_uint_eq(fixture.node->membership.members_count, 3);
    ck_assert_uint_eq(fixture.node->tail.last, SNAPSHOT_INDEX);
    ck_assert_uint_eq(fixture.node->tail.chain_before, 99);
}
END_TEST

/* Pitfall 68: what the answer promises is on the disk. */
START_TEST(accepted_is_said_when_the_log_is_replaced_on_disk)
{
    all_received();
    built(RK_OK);
    (void)note_down();
    fixture_exchange_done(&exchange);
    exchange.answers = 0;
    receive(1, 10, "");
    ck_assert_uint_eq(exchange.answers, 0);
    struct disk_job *job = fixture.jobs[fixture.jobs_count - 1];
    ck_assert_ptr_nonnull(job->write.snapshot);
    ck_assert_uint_eq(job->write.snapshot->id.index, SNAPSHOT_INDEX);
    fixture_persist();
    const struct wire_snapshot_answer answer = answered();
    ck_assert(answer.is_over && answer.accepted);
    ck_assert_uint_eq(answer.match, SNAPSHOT_INDEX);
}
END_TEST

/* Readers hold roots of the state before: it goes when the last one is done. */
START_TEST(the_former_state_stays_while_it_is_read)
{
    all_received();
    fixture.node->last_published = 1; /* whatever is there is published */
    node_apply(fixture.node);
    const struct sm_root *held = root_acquire(fixture.board, 0);
    ck_assert_ptr_nonnull(held);
    built(RK_OK);
    (void)note_down();
    node_apply(fixture.node);
    node_snapshot_turn(fixture.node);
    ck_assert_ptr_null(snap_job_of(SNAP_FREE));
    root_release(fixture.board, 0);
    node_snapshot_turn(fixture.node);
    struct snap_job *job = snap_job_of(SNAP_FREE);
    ck_assert_ptr_nonnull(job);
    snap_job_free(job);
}
END_TEST

/* Other files come and go while one is on its way: it is not noted down yet, and stays all the same. */
START_TEST(a_file_on_its_way_is_not_removed)
{
    all_received();
    node_snapshot_retain(fixture.node);
    struct snap_job *job = snap_job_of(SNAP_RETAIN);
    ck_assert_ptr_nonnull(job);
    ck_assert_uint_eq(job->ids_count, 1);
    ck_assert_uint_eq(job->ids[0].index, SNAPSHOT_INDEX);
    snap_job_free(job);
}
END_TEST

/* However many fit into the trailing entries: without a place for a new one the log would grow on. */
START_TEST(of_older_ones_only_the_one_before_is_kept)
{
    lead_with_one_entry();
    fixture.options.trailing_entries = 1000;
    for (uint32_t i = 0; i < LOG_SNAPSHOTS_MAX; i++) {
        fixture.node->snaps.held[i] = (struct snap_info){
            .ref = {.id = {.term = 1, .index = i + 1}, .size = 1},
            .membership = fixture.node->membership,
        };
    }
    fixture.node->snaps.held_count = LOG_SNAPSHOTS_MAX;
    const struct snap_info newest = {
        .ref = {.id = {.term = 1, .index = LOG_SNAPSHOTS_MAX + 1}, .size = 1},
        .membership = fixture.node->membership,
    };
    node_snapshot_note(fixture.node, &newest);
    const struct disk_job *job = fixture.jobs[fixture.jobs_count - 1];
    ck_assert_uint_eq(job->forgotten_count, LOG_SNAPSHOTS_MAX - 1);
    ck_assert_uint_eq(job->forgotten[job->forgotten_count - 1], LOG_SNAPSHOTS_MAX - 1);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("node_snapshots");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, one_is_taken_of_what_is_applied);
    tcase_add_test(tcase, none_is_taken_before_its_time);
    tcase_add_test(tcase, one_is_taken_when_much_was_applied_in_few_entries);
    tcase_add_test(tcase, none_is_taken_with_a_configuration_from_beyond_it);
    tcase_add_test(tcase, the_log_goes_only_when_the_snapshot_is_noted_down);
    tcase_add_test(tcase, trailing_entries_stay);
    tcase_add_test(tcase, without_room_it_is_tried_again_later);
    tcase_add_test(tcase, one_for_which_there_is_no_place_any_more_is_given_up);
    tcase_add_test(tcase, the_offer_asks_first_what_is_there);
    tcase_add_test(tcase, the_next_piece_is_what_the_peer_lacks);
    tcase_add_test(tcase, pieces_leave_at_the_rate_asked_for);
    tcase_add_test(tcase, what_the_peer_has_then_counts);
    tcase_add_test(tcase, a_piece_without_an_answer_ends_the_transfer);
    tcase_add_test(tcase, a_peer_that_cannot_take_one_is_left_alone_for_a_while);
    tcase_add_test(tcase, a_transfer_is_given_up_only_when_it_holds_much_of_the_log_back);
    tcase_add_test(tcase, an_append_that_the_log_was_cut_past_is_given_up);
    tcase_add_test(tcase, an_offer_is_answered_with_what_is_there);
    tcase_add_test(tcase, a_duplicate_is_answered_at_once);
    tcase_add_test(tcase, pieces_of_two_snapshots_are_told_apart);
    tcase_add_test(tcase, a_file_that_is_not_what_was_said_is_refused);
    tcase_add_test(tcase, a_file_with_another_configuration_is_refused);
    tcase_add_test(tcase, log_configuration_and_state_change_places_together);
    tcase_add_test(tcase, accepted_is_said_when_the_log_is_replaced_on_disk);
    tcase_add_test(tcase, the_former_state_stays_while_it_is_read);
    tcase_add_test(tcase, a_file_on_its_way_is_not_removed);
    tcase_add_test(tcase, of_older_ones_only_the_one_before_is_kept);
    return run_suite("node_snapshots", tcase);
}
