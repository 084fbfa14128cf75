#include "node_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <check.h>

#include "base/clock.h"
#include "base/heap.h"
#include "statemachine/feature.h"

enum { START_MS = 1000, POST_BODY_MAX = 16 << 20 };

struct fixture fixture;

/* -- what the node finds in the place of its surroundings -- */

uint64_t rk_monotonic_ms(void)
{
    return fixture.now_ms;
}

uint64_t rk_monotonic_us(void)
{
    fixture.looked_us += fixture.look_us;
    return fixture.now_ms * 1000 + fixture.looked_us;
}

uint64_t rk_boottime_ms(void)
{
    return fixture.now_ms;
}

uint64_t rk_wall_ms(void)
{
    return 1;
}

uint64_t rk_random_u64(void)
{
    return 0x5eed;
}

void node_end(struct node *node, enum rk_status status, const char *event, raft_index index)
{
    (void)node;
    if (fixture.is_end_expected && status == fixture.end_status) {
        _exit(FIXTURE_ENDED);
    }
    ck_abort_msg("the node ended: %s, %s, %llu", event, rk_status_text(status),
                 (unsigned long long)index);
}

const struct http_request *http_exchange_request(const struct http_exchange *exchange)
{
    return &exchange->request;
}

void http_exchange_suspend(struct http_exchange *exchange)
{
    ck_assert_uint_eq(exchange->answers, 0);
    exchange->was_suspended = true;
}

void http_exchange_respond(struct http_exchange *exchange, struct http_response *response)
{
    exchange->answers++;
    exchange->status = response->status;
    rk_buf_done(&exchange->body);
    exchange->body = response->body;
    rk_buf_init(&response->body, 0);
    http_response_done(response);
}

void http_server_complete(struct http_server *server, struct http_exchange *exchange,
                          void *completion)
{
    (void)server;
    node_peer_complete(fixture.node, exchange, completion);
}

/* A client's exchange: its answer is in the request, which is the completion. */
void http_server_complete_many(struct http_server *server,
                               const struct http_completion *completions, uint32_t count)
{
    (void)server;
    for (uint32_t i = 0; i < count; i++) {
        completions[i].exchange->answers++;
    }
}

enum rk_status link_post(struct link *link, enum link_class class, const char *address,
                         const char *path, struct rk_buf *body, uint32_t timeout_ms,
                         uint64_t cookie)
{
    struct fixture_post *post = &fixture.posts[fixture.posts_count];

    (void)link;
    (void)class;
    (void)address;
    (void)timeout_ms;
    ck_assert_uint_lt(fixture.posts_count, FIXTURE_POSTS_MAX);
    fixture.posts_count++;
    (void)snprintf(post->path, sizeof(post->path), "%s", path);
    post->body = *body;
    post->cookie = cookie;
    post->is_answered = false;
    rk_buf_init(body, body->size_max);
    return RK_OK;
}

struct disk_job *disk_job_new(enum disk_job_type type)
{
    struct disk_job *job = rk_heap_zalloc(1, sizeof(*job));

    job->type = type;
    rk_buf_init(&job->frames, POST_BODY_MAX);
    return job;
}

void disk_job_free(struct disk_job *job)
{
    for (uint32_t i = 0; i < job->blocks_count; i++) {
        block_unref(job->blocks[i]);
    }
    rk_heap_free(job->blocks);
    rk_heap_free(job->entries);
    rk_buf_done(&job->frames);
    rk_heap_free(job);
}

void disk_submit(struct disk_thread *disk, struct disk_job *job)
{
    (void)disk;
    ck_assert_uint_lt(fixture.jobs_count, FIXTURE_JOBS_MAX);
    fixture.jobs[fixture.jobs_count] = job;
    fixture.jobs_count++;
}

void snap_submit(struct snap_thread *snaps, struct snap_job *job)
{
    (void)snaps;
    ck_assert_uint_lt(fixture.snap_jobs_count, FIXTURE_SNAP_JOBS_MAX);
    fixture.snap_jobs[fixture.snap_jobs_count] = job;
    fixture.snap_jobs_count++;
}

struct rk_queue *snap_results(struct snap_thread *snaps)
{
    (void)snaps;
    return fixture.snap_results;
}

uint64_t disk_busy_since_ms(const struct disk_thread *disk)
{
    (void)disk;
    return 0;
}

/* -- life -- */

static void set_options(struct options *options)
{
    *options = (struct options){
        .initial_cluster_count = 3,
        .heartbeat_interval_ms = 50,
        .election_timeout_ms = 400,
        .max_inflight = 64,
        .max_pending_writes = 8192,
        .feature_level_max = FEATURE_LEVEL_MAX,
        .max_connections = 64,
        .snapshot_entries = 100000,
        .trailing_entries = 10000,
        .snapshot_rate = 1 << 30,
        .health_timeout_ms = 15000,
    };
    (void)snprintf(options->node_id, sizeof(options->node_id), "n1");
    (void)snprintf(options->peer_advertise, sizeof(options->peer_advertise), "127.0.0.1:8301");
    (void)snprintf(options->client_advertise, sizeof(options->client_advertise), "127.0.0.1:8501");
    for (unsigned i = 0; i < 3; i++) {
        struct options_peer *peer = &options->initial_cluster[i];
        (void)snprintf(peer->name, sizeof(peer->name), "n%u", i + 1);
        (void)snprintf(peer->address, sizeof(peer->address), "127.0.0.1:830%u", i + 1);
    }
}

void fixture_open(void)
{
    const char *reason = NULL;
    const struct raft_restored nothing = {.base = {0}};

    fixture = (struct fixture){.posts_count = 0};
    set_options(&fixture.options);
    struct node *node = rk_heap_zalloc(1, sizeof(*node));
    fixture.node = node;
    fixture.board = root_board_new(1);
    fixture.snap_results = rk_queue_new(FIXTURE_SNAP_JOBS_MAX, sizeof(struct snap_job *));
    node->options = &fixture.options;
    node->board = fixture.board;
    node->raft = rk_heap_zalloc(1, raft_size());
    node->outputs = rk_heap_zalloc(1, sizeof(*node->outputs));
    node->decoded = rk_heap_zalloc(1, sizeof(*node->decoded));
    node->meters = rk_meters_new(1, START_MS * 1000);
    node->meter = rk_meter_of(node->meters, RK_METER_NODE, 0);
    node->sm = sm_new();
    node_watch_open(node);
    node_check_open(node);
    fixture.now_ms = START_MS;
    node->now_ms = START_MS;
    node->incarnation = fixture_incarnation("n1");
    node->pending_due_ms = UINT64_MAX;
    outbox_init(&node->outbox);
    pending_init(&node->pending);
    rk_prng_seed(&node->prng, 1);
    tail_init(&node->tail, (struct raft_entry_id){0}, 0);
    ck_assert_int_eq(node_identity_start(node, &reason), RK_OK);
    node_restart_core(node, &nothing);
}

void fixture_close(void)
{
    struct node *node = fixture.node;

    node_flush_proposals(node);
    node_fail_pending(node);
    node_drop_reads(node);
    node_watch_stop(node);
    node_flush_done(node);
    for (uint32_t i = 0; i < fixture.jobs_count; i++) {
        disk_job_free(fixture.jobs[i]);
    }
    for (uint32_t i = 0; i < fixture.snap_jobs_count; i++) {
        snap_job_free(fixture.snap_jobs[i]);
    }
    rk_queue_free(fixture.snap_results);
    for (uint32_t i = 0; i < fixture.posts_count; i++) {
        rk_buf_done(&fixture.posts[i].body);
    }
    while (node->outgoings != NULL) {
        node_outgoing_free(node, node->outgoings);
    }
    tail_done(&node->tail);
    outbox_done(&node->outbox);
    pending_done(&node->pending);
    node_watch_close(node);
    node_check_close(node);
    node_snapshot_done(node);
    sm_free(node->sm);
    root_board_free(fixture.board);
    if (node->kept != NULL) {
        rk_heap_free((void *)(uintptr_t)node->kept->runs);
        rk_heap_free(node->kept);
    }
    rk_heap_free(node->decoded);
    rk_heap_free(node->outputs);
    rk_heap_free(node->raft);
    rk_meters_free(node->meters);
    rk_heap_free(node);
}

/* -- time and disk -- */

void fixture_persist(void)
{
    while (fixture.jobs_count > 0) {
        struct disk_job *jobs[FIXTURE_JOBS_MAX];
        const uint32_t count = fixture.jobs_count;
        memcpy(jobs, fixture.jobs, count * sizeof(jobs[0]));
        fixture.jobs_count = 0;
        for (uint32_t i = 0; i < count; i++) {
            ck_assert_int_eq(jobs[i]->type, DISK_WRITE);
            node_persisted(fixture.node, jobs[i]);
            disk_job_free(jobs[i]);
        }
    }
    node_apply(fixture.node);
    node_report_applied(fixture.node);
}

void fixture_wait(uint64_t ms)
{
    fixture.now_ms += ms;
    fixture.node->now_ms = fixture.now_ms;
    if (fixture.node->outputs->deadline_ms <= fixture.now_ms) {
        const struct raft_event event = {.type = RAFT_EVENT_DEADLINE, .now_ms = fixture.now_ms};
        ck_assert_int_eq(node_step(fixture.node, &event), RK_OK);
    }
}

/* -- the others -- */

uint64_t fixture_incarnation(const char *name)
{
    return 0xabc0 + (uint64_t)(name[1] - '0');
}

struct peer *fixture_peer(const char *name)
{
    for (uint32_t i = 0; i < fixture.node->peers_count; i++) {
        if (strcmp(fixture.node->peers[i].name, name) == 0) {
            return &fixture.node->peers[i];
        }
    }
    ck_abort_msg("no peer %s", name);
    return NULL;
}

struct wire_envelope fixture_envelope(const struct peer *peer)
{
    return (struct wire_envelope){
        .cluster_high = fixture.node->membership.cluster.high,
        .cluster_low = fixture.node->membership.cluster.low,
        .from = peer->id,
        .to = fixture.node->id,
        .from_incarnation = fixture_incarnation(peer->name),
        .protocol = RK_PROTOCOL_VERSION,
        .election_timeout_ms = fixture.options.election_timeout_ms,
        .feature_level = fixture.others_level,
        .check = fixture.others_check,
    };
}

struct fixture_post *fixture_post_to(const char *path, const char *name)
{
    const raft_node_id id = fixture_peer(name)->id;

    for (uint32_t i = fixture.posts_count; i > 0; i--) {
        struct fixture_post *post = &fixture.posts[i - 1];
        if (!post->is_answered && strcmp(post->path, path) == 0 &&
            ((struct outgoing *)(uintptr_t)post->cookie)->peer == id) {
            return post;
        }
    }
    return NULL;
}

static void give_back(struct fixture_post *post, const struct link_result *result)
{
    ck_assert(post != NULL && !post->is_answered);
    post->is_answered = true;
    node_link_result(fixture.node, result);
}

void fixture_answer(struct fixture_post *post, struct rk_buf *body)
{
    const struct link_result result = {
        .cookie = post->cookie,
        .status = RK_OK,
        .http_status = 200,
        .body = rk_buf_bytes(body),
    };

    give_back(post, &result);
    rk_buf_done(body);
}

void fixture_lose(struct fixture_post *post, enum rk_status status)
{
    const struct link_result result = {.cookie = post->cookie, .status = status};

    give_back(post, &result);
}

/* -- forming -- */

struct wire_identity fixture_new_identity(const char *name)
{
    const struct peer *peer = fixture_peer(name);
    struct wire_identity identity = {
        .envelope = fixture_envelope(peer),
        .is_forming = true,
        .formation = fixture.node->formation,
    };

    (void)snprintf(identity.node_name, sizeof(identity.node_name), "%s", name);
    (void)snprintf(identity.peer_address, sizeof(identity.peer_address), "%s", peer->address);
    return identity;
}

void fixture_identify(struct fixture_post *post, const struct wire_identity *identity)
{
    struct rk_buf body;

    rk_buf_init(&body, POST_BODY_MAX);
    wire_encode_identity(identity, &body);
    fixture_answer(post, &body);
}

static void answer_new(const char *name)
{
    const struct wire_identity identity = fixture_new_identity(name);

    fixture_identify(fixture_post_to("/raft/identity", name), &identity);
}

void fixture_form(void)
{
    node_identity_turn(fixture.node);
    answer_new("n2");
    answer_new("n3");
    node_identity_turn(fixture.node);
    ck_assert_int_eq(fixture.node->standing, STANDING_FORMING);
}

void fixture_reply(const char *path, const char *name, const struct raft_message *message)
{
    const struct peer *peer = fixture_peer(name);
    const struct wire_envelope envelope = fixture_envelope(peer);
    struct raft_message addressed = *message;
    struct rk_buf body;

    addressed.from = peer->id;
    addressed.to = fixture.node->id;
    rk_buf_init(&body, POST_BODY_MAX);
    wire_encode_message(&envelope, &addressed, NULL, (struct rk_bytes){0}, &body);
    fixture_answer(fixture_post_to(path, name), &body);
}

/* Grants what was asked. The campaign's number is in the question. */
static void grant(bool is_pre_vote)
{
    struct wire_message asked;
    const char *reason = NULL;
    const struct fixture_post *post = fixture_post_to("/raft/vote", "n2");

    ck_assert(post != NULL);
    ck_assert_int_eq(
        wire_decode_message(rk_buf_bytes(&post->body), "/raft/vote", true, &asked, &reason), RK_OK);
    const struct raft_message answer = {
        .type = RAFT_VOTE_RESPONSE,
        .term = is_pre_vote ? 0 : asked.message.term,
        .vote_response = {.pre_vote = is_pre_vote,
                          .granted = true,
                          .request_term = asked.message.term,
                          .campaign = asked.message.vote_request.campaign},
    };
    fixture_reply("/raft/vote", "n2", &answer);
}

void fixture_lead(void)
{
    fixture_form();
    fixture_wait(2 * fixture.options.election_timeout_ms);
    fixture_wait(fixture.options.election_timeout_ms / 4);
    grant(true);
    fixture_persist();
    grant(false);
    ck_assert_int_eq(fixture.node->view.role, RAFT_LEADER);
    fixture_persist();
    fixture_reply("/raft/append", "n2",
                  &(struct raft_message){
                      .type = RAFT_APPEND_RESPONSE,
                      .term = 1,
                      .append_response = {.accepted = true, .match = 1, .sequence = 1},
                  });
    fixture_persist();
    ck_assert(fixture.node->view.is_term_committed);
    ck_assert(fixture.node->is_firm);
}

void fixture_request(struct http_exchange *exchange, const char *path, struct rk_buf *body)
{
    *exchange = (struct http_exchange){
        .request = {.method = HTTP_POST, .target = path, .body = rk_buf_bytes(body)},
    };
    rk_buf_init(&exchange->body, 0);
    node_peer_request(fixture.node, exchange, &exchange->request);
}

void fixture_receive(struct http_exchange *exchange, const char *name,
                     const struct raft_message *message)
{
    const struct peer *peer = fixture_peer(name);
    const struct wire_envelope envelope = fixture_envelope(peer);
    struct raft_message addressed = *message;
    struct rk_buf body;

    addressed.from = peer->id;
    addressed.to = fixture.node->id;
    rk_buf_init(&body, POST_BODY_MAX);
    wire_encode_message(&envelope, &addressed, NULL, (struct rk_bytes){0}, &body);
    fixture_request(exchange, wire_path(message->type), &body);
    rk_buf_done(&body);
}

void fixture_exchange_done(struct http_exchange *exchange)
{
    rk_buf_done(&exchange->body);
}
