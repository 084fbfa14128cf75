/* run.c -- one run: what it is like, the time in which anything may break, and the time in which
 * all must come right again. */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sqlite3.h>

#include "base/assert.h"
#include "sim/node/oracles.h"
#include "storage_vfs.h"

enum {
    SLICE_US = 20 * MS,
    HEAL_TIMEOUTS = 20,
    PROBE_TIMEOUTS = 10,
    QUIET_US = 14000 * MS,
    SILENCE_US = 18000 * MS
};

struct world *sim_world;

/* -- the story -- */

static uint64_t mix(uint64_t hash, const char *text)
{
    for (; *text != '\0'; text++) {
        hash = (hash ^ (uint8_t)*text) * UINT64_C(0x100000001b3);
    }
    return hash;
}

void world_tell(struct world *world, const struct host *host, const char *format, ...)
{
    char text[512];
    char place[64];

    if (world->trace == NULL && !world->is_hashed) {
        return;
    }
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    (void)snprintf(
        place, sizeof(place), "%4llu.%06llu n%u ", (unsigned long long)(world->now_us / 1000000),
        (unsigned long long)(world->now_us % 1000000), host != NULL ? host->number + 1 : 0);
    world->story = mix(mix(world->story, place), text);
    if (world->trace != NULL) {
        (void)fprintf(world->trace, "%s%s\n", place, text);
    }
}

static void remove_directory(struct world *world)
{
    for (uint32_t i = 0; i < world->hosts_count && world->directory[0] != '\0'; i++) {
        store_destroy(&world->hosts[i]);
    }
    if (world->directory[0] != '\0') {
        (void)rmdir(world->directory);
    }
}

_Noreturn void world_fail(const char *oracle, const char *format, ...)
{
    struct world *world = sim_world;
    va_list arguments;

    va_start(arguments, format);
    if (world->trace != NULL) {
        (void)fflush(world->trace);
    }
    (void)fprintf(stderr, "\rseed %llu: node, %llu.%03llu s: %s: ", (unsigned long long)world->seed,
                  (unsigned long long)(world->now_us / 1000000),
                  (unsigned long long)(world->now_us / MS % 1000), oracle);
    (void)vfprintf(stderr, format, arguments);
    (void)fputc('\n', stderr);
    va_end(arguments);
    remove_directory(world);
    exit(1);
}

/* -- what it is like -- */

static uint32_t log_knob(struct world *world, uint32_t min, uint32_t max)
{
    return tape_log_between(&world->tape, TAPE_KNOB, min, max);
}

static bool coin(struct world *world)
{
    return tape_draw(&world->tape, TAPE_KNOB, 2) == 1;
}

/* A rate that is 0 in every other run. */
static uint32_t rate(struct world *world, uint32_t max)
{
    return coin(world) ? log_knob(world, max / 50 + 1, max) : 0;
}

static uint32_t draw_voters(struct world *world)
{
    static const uint32_t voters[] = {3, 3, 3, 3, 3, 3, 5, 5, 5, 4, 2, 1};

    return voters[tape_draw(&world->tape, TAPE_KNOB, sizeof(voters) / sizeof(voters[0]))];
}

static void draw_cluster(struct world *world)
{
    static const uint32_t timeouts_ms[] = {400, 400, 200, 1000};
    struct knobs *knobs = &world->knobs;

    knobs->voters = draw_voters(world);
    knobs->has_members = tape_draw(&world->tape, TAPE_KNOB, 3) == 2;
    knobs->spares = knobs->has_members ? tape_draw(&world->tape, TAPE_KNOB, 3) : 0;
    knobs->election_ms = timeouts_ms[tape_draw(&world->tape, TAPE_KNOB, 4)];
    knobs->heartbeat_ms = knobs->election_ms / 8;
    knobs->max_inflight = log_knob(world, 1, 64);
    knobs->max_pending = log_knob(world, 4, 8192);
    knobs->has_sqlite = tape_draw(&world->tape, TAPE_KNOB, 8) == 7;
    knobs->has_leases = tape_draw(&world->tape, TAPE_KNOB, 3) == 2;
    knobs->has_water = knobs->has_sqlite || tape_draw(&world->tape, TAPE_KNOB, 4) == 3;
}

static void draw_work(struct world *world)
{
    struct knobs *knobs = &world->knobs;

    knobs->clients = 1 + tape_draw(&world->tape, TAPE_KNOB, CLIENTS_MAX);
    knobs->keys = 1 + tape_draw(&world->tape, TAPE_KNOB, KEYS_MAX);
    knobs->duration_ms = log_knob(world, 3000, 20000);
    knobs->think_us = log_knob(world, 1 * MS, 100 * MS);
    knobs->read_percent = tape_draw(&world->tape, TAPE_KNOB, 80);
    knobs->token_percent = coin(world) ? tape_draw(&world->tape, TAPE_KNOB, 100) : 0;
    knobs->cas_percent = tape_draw(&world->tape, TAPE_KNOB, 60);
    knobs->leader_percent = tape_draw(&world->tape, TAPE_KNOB, 100);
    knobs->timeout_ms = log_knob(world, 100, 8000);
}

static void draw_places(struct world *world)
{
    struct knobs *knobs = &world->knobs;

    knobs->delay_us = log_knob(world, 50, knobs->election_ms * MS / 40);
    knobs->disk_us = log_knob(world, 20, knobs->election_ms * MS / 20);
    knobs->turn_us = log_knob(world, 1, 2 * MS);
    knobs->is_ordered = coin(world);
    knobs->loss = rate(world, 100000);
    knobs->late = rate(world, 50000);
    knobs->repeat = rate(world, 100000);
    knobs->disk_stall = rate(world, 2000);
}

static void draw_faults(struct world *world)
{
    struct knobs *knobs = &world->knobs;

    knobs->crash = rate(world, 20000);
    knobs->crash_leader = rate(world, 20000);
    knobs->power = rate(world, 3000);
    knobs->stop = rate(world, 5000);
    knobs->pause = rate(world, 10000);
    knobs->partition = rate(world, 20000);
    knobs->disk_error = rate(world, 5000);
    knobs->disk_full = rate(world, 5000);
    knobs->wipe = rate(world, 5000);
    knobs->cut_short = knobs->has_water ? log_knob(world, 1000, 20000) : 0;
    knobs->burst = rate(world, 5000);
    knobs->transfer = rate(world, 10000);
    knobs->change = rate(world, 200000);
}

/* These are drawn after all else, so that a run without them is what it was. */
static void draw_snapshots(struct world *world)
{
    struct knobs *knobs = &world->knobs;

    knobs->has_snapshots = coin(world);
    if (!knobs->has_snapshots) {
        return;
    }
    knobs->snapshot_entries = log_knob(world, 20, 500);
    knobs->trailing_entries = coin(world) ? log_knob(world, 1, 500) : 0;
    knobs->rot = knobs->has_water ? log_knob(world, 2000, 20000) : rate(world, 10000);
    knobs->snap_crash = rate(world, 50000);
    knobs->piece_size = log_knob(world, 2000, 20000);
    world_tell(world, NULL, "snapshots every %u entries, %u trailing, pieces of %u bytes",
               knobs->snapshot_entries, knobs->trailing_entries, knobs->piece_size);
    for (uint32_t i = 0; i < world->hosts_count; i++) {
        struct options *options = &world->hosts[i].options;
        options->snapshot_entries = knobs->snapshot_entries;
        options->trailing_entries = knobs->trailing_entries;
    }
}

static void draw_knobs(struct world *world)
{
    draw_cluster(world);
    draw_work(world);
    draw_places(world);
    draw_faults(world);
    const struct knobs *knobs = &world->knobs;
    world_tell(
        world, NULL, "%u voters, %u spares, %u clients, %u ms, delay %u us, disk %u us%s%s%s%s",
        knobs->voters, knobs->spares, knobs->clients, knobs->duration_ms, knobs->delay_us,
        knobs->disk_us, knobs->has_sqlite ? ", sqlite" : "", knobs->has_water ? ", high-water" : "",
        knobs->has_members ? ", members" : "", knobs->has_leases ? ", leases" : "");
}

/* -- its world -- */

static void make_directory(struct world *world)
{
    if (!world->knobs.has_water) {
        return;
    }
    const bool has_shm = access("/dev/shm", W_OK) == 0;

    (void)snprintf(world->directory, sizeof(world->directory), "%s/raftkv-sim-XXXXXX",
                   has_shm ? "/dev/shm" : "/tmp");
    const char *made = mkdtemp(world->directory);
    RK_ASSERT(made != NULL);
    if (world->knobs.has_sqlite) {
        test_vfs_install();
        world->counts->sqlite_runs++;
    }
}

/* A block stays in the heap that it was taken from: the tape's must be of no host's. */
static void open_tape(struct world *world)
{
    tape_record(&world->tape, world->seed);
    for (uint32_t lane = 0; lane < TAPE_LANES; lane++) {
        (void)tape_draw(&world->tape, (enum tape_lane)lane, 2);
    }
}

static void world_open(struct world *world, const struct nodesim_options *options,
                       struct nodesim_counts *counts)
{
    *world = (struct world){.seed = options->seed,
                            .trace = options->trace,
                            .is_hashed = options->is_hashed,
                            .has_messages = options->has_messages,
                            .counts = counts};
    sim_world = world;
    world->story = UINT64_C(0xcbf29ce484222325);
    open_tape(world);
    events_open(&world->events);
    world->ops = calloc(OPS_MAX, sizeof(struct op));
    world->committed = calloc(LOG_MAX + 1, sizeof(struct committed));
    RK_ASSERT(world->ops != NULL && world->committed != NULL);
    draw_knobs(world);
    make_directory(world);
    world->hosts_count = world->knobs.voters + world->knobs.spares;
    for (uint32_t i = 0; i < world->hosts_count; i++) {
        host_init(world, i);
    }
    const bool freezes = !world->knobs.has_members && coin(world);
    const uint32_t first = tape_draw(&world->tape, TAPE_KNOB, world->knobs.voters);
    for (uint32_t i = 0; freezes && i < (world->knobs.voters - 1) / 2; i++) {
        world->hosts[(first + i) % world->knobs.voters].is_frozen = true;
    }
    draw_snapshots(world);
    world->knobs.holders = coin(world) ? tape_draw(&world->tape, TAPE_KNOB, HOLDERS_MAX + 1) : 0;
    world->knobs.txn_percent = coin(world) ? tape_draw(&world->tape, TAPE_KNOB, 60) : 0;
    world->knobs.wait_percent = coin(world) ? tape_draw(&world->tape, TAPE_KNOB, 60) : 0;
    world->knobs.watchers = coin(world) ? tape_draw(&world->tape, TAPE_KNOB, WATCHERS_MAX + 1) : 0;
    world->knobs.ttl_percent = coin(world) ? tape_draw(&world->tape, TAPE_KNOB, 100) : 0;
}

static void world_close(struct world *world)
{
    for (uint32_t i = 0; i < world->hosts_count; i++) {
        host_done(&world->hosts[i]);
    }
    if (world->directory[0] != '\0') {
        (void)rmdir(world->directory);
    }
    if (world->knobs.has_sqlite) {
        test_vfs_done();
    }
    sim_heap_drop(&world->heap);
    events_close(&world->events);
    tape_free(&world->tape);
    free(world->ops);
    free(world->committed);
    sim_world = NULL;
}

void run_until(struct world *world, uint64_t until_us)
{
    struct event event;

    while (world->events.count > 0 && world->events.events[0].at_us <= until_us &&
           events_pop(&world->events, &event)) {
        world->now_us = event.at_us;
        if (event.host == NULL || event.host->life == event.life) {
            event.function(world, event.host, event.context, event.number);
        }
    }
    world->now_us = until_us;
}

/* -- coming right again -- */

static bool is_expected(struct world *world, const struct host *host)
{
    const struct host *leader = host_leader(world);

    return !host->is_gone && !host->is_frozen && host->is_running && leader != NULL &&
           membership_by_name(&leader->node->membership, host->options.node_id) != NULL;
}

static bool has_settled(struct world *world)
{
    const struct host *leader = host_leader(world);

    if (leader == NULL || !leader->node->view.is_term_committed) {
        return false;
    }
    for (uint32_t i = 0; i < world->hosts_count; i++) {
        const struct host *host = &world->hosts[i];
        if (is_expected(world, host) && !host->is_wiped &&
            (host->node->standing != STANDING_MEMBER || host->node->view.is_recovering ||
             host->node->view.leader != leader->node->id)) {
            return false;
        }
    }
    return true;
}

static bool is_at_rest(struct world *world)
{
    if (!has_settled(world) || world->ops_open > 0 || world->admin != NULL ||
        world->sessions_alive > 0 || ttl_is_running(world)) {
        return false;
    }
    for (uint32_t i = 0; i < world->knobs.watchers; i++) {
        if (watcher_is_behind(world, &world->watchers[i])) {
            return false;
        }
    }
    for (uint32_t i = 0; i < world->hosts_count; i++) {
        const struct host *host = &world->hosts[i];
        if (host->is_wiped ||
            (is_expected(world, host) && host->node->last_applied != world->committed_last)) {
            return false;
        }
    }
    return true;
}

/* For the story of a run that did not come right. */
static void tell_hosts(struct world *world)
{
    for (uint32_t i = 0; i < world->hosts_count; i++) {
        const struct host *host = &world->hosts[i];
        const struct op *probe = world->probes[i];
        if (probe != NULL && probe->state != OP_DONE) {
            world_tell(world, host, "probe %u: %u, claimed %u, %s, answers %u", probe->number,
                       probe->state, probe->claimed, probe->is_inside ? "inside" : "not inside",
                       probe->answers);
        }
        if (i < world->knobs.watchers) {
            const struct watcher *watcher = &world->watchers[i];
            world_tell(world, watcher->host, "watcher %u is at %llu, id %s%s", i + 1,
                       (unsigned long long)watcher->place, watcher->last_id,
                       watcher->exchange != NULL ? ", connected" : "");
        }
        if (!host->is_running) {
            world_tell(world, host, "is down%s%s%s", host->is_gone ? ", gone" : "",
                       host->is_frozen ? ", frozen" : "", host->is_wiped ? ", wiped" : "");
            continue;
        }
        const struct node *node = host->node;
        world_tell(
            world, host,
            "stands as %u, %s of term %llu, leader %llu, commit %llu, applied %llu%s%s",
            node->standing, raft_role_name(node->view.role),
            (unsigned long long)node->view.hard_state.term, (unsigned long long)node->view.leader,
            (unsigned long long)node->view.commit_index, (unsigned long long)node->last_applied,
            node->view.is_recovering ? ", recovering" : "", host->is_wiped ? ", wiped" : "");
    }
}

static void await(struct world *world, bool (*condition)(struct world *world), uint64_t patience_us,
                  const char *what)
{
    const uint64_t until_us = world->now_us + patience_us;

    while (!condition(world)) {
        if (world->now_us >= until_us) {
            tell_hosts(world);
            world_fail("liveness", "%s within %llu ms", what,
                       (unsigned long long)(patience_us / MS));
        }
        run_until(world, world->now_us + SLICE_US);
        faults_mend(world);
    }
}

static void send_probe(struct world *world, uint32_t number)
{
    struct op *op = op_new(world, OP_PUT);

    if (op != NULL) {
        world->probes[number] = op;
        client_probe(world, op, &world->hosts[number]);
    }
}

/* What was refused is asked again, as a client would. */
static bool probes_are_done(struct world *world)
{
    bool are_done = true;

    for (uint32_t i = 0; i < world->hosts_count; i++) {
        const struct op *op = world->probes[i];
        if (!is_expected(world, &world->hosts[i])) {
            continue; /* removed meanwhile */
        }
        if (op != NULL && op->state != OP_OPEN && op->state != OP_DONE) {
            send_probe(world, i);
        }
        are_done = are_done && (op == NULL || op->state == OP_DONE);
    }
    return are_done;
}

/* A piece of a snapshot whose answer was lost is waited for that long, and then asked for again. */
static uint64_t piece_patience_us(const struct world *world)
{
    return world->knobs.has_snapshots ? (uint64_t)NODE_SNAPSHOT_TIMEOUT_MS * MS : 0;
}

/* A write through every member. */
static void probe(struct world *world)
{
    for (uint32_t i = 0; i < world->hosts_count; i++) {
        if (is_expected(world, &world->hosts[i]) && !world->hosts[i].is_wiped) {
            send_probe(world, i);
        }
    }
    /* What was forwarded and lost is given up by then, and makes room. */
    const uint64_t forwards_us = (uint64_t)NODE_FORWARD_TIMEOUT_MS * MS;
    await(world, probes_are_done,
          forwards_us + PROBE_TIMEOUTS * (uint64_t)world->knobs.election_ms * MS +
              piece_patience_us(world),
          "not every node takes a write");
}

/* Some took part in forming, and then so many lost what they had not yet written that those left
 * are no majority: whoever is new again cannot be told from one whose disk was lost, and the cluster
 * is not formed without an operator (docs/testing.md). */
static bool is_formation_stuck(struct world *world)
{
    bool has_new = false;
    bool has_old = false;

    for (uint32_t i = 0; i < world->knobs.voters; i++) {
        const struct host *host = &world->hosts[i];
        has_new = has_new || host->durable.hard_state.term == 0;
        has_old = has_old || host->durable.hard_state.term > 0;
    }
    return world->committed_last == 0 && has_new && has_old;
}

/* One whose log was cut short, or who is not written down yet, has no vote to give: the others are
 * needed then. */
static bool has_vote(const struct host *host)
{
    return !host->is_cut_short && host->durable.last > 0 &&
           (!host->is_running || host->node->standing == STANDING_MEMBER);
}

static void thaw(struct world *world)
{
    bool are_enough = true;

    for (uint32_t i = 0; i < world->hosts_count; i++) {
        are_enough = are_enough && (world->hosts[i].is_frozen || has_vote(&world->hosts[i]));
    }
    for (uint32_t i = 0; i < world->hosts_count; i++) {
        world->hosts[i].is_frozen = world->hosts[i].is_frozen && are_enough;
    }
}

/* A stream at a node that was removed ends when the next sign of life is due; a read waits its time. */
static uint64_t quiet_us(const struct world *world)
{
    const bool is_waited = world->knobs.watchers > 0 || world->knobs.wait_percent > 0;

    return is_waited ? QUIET_US + SILENCE_US : QUIET_US;
}

static bool heal(struct world *world)
{
    const uint64_t timeout_us = (uint64_t)world->knobs.election_ms * MS;

    thaw(world);
    faults_heal(world);
    run_until(world, world->stall_until_us > world->now_us ? world->stall_until_us : world->now_us);
    if (is_formation_stuck(world)) {
        run_until(world, world->now_us + HEAL_TIMEOUTS * timeout_us);
        if (world->committed_last == 0) {
            world->counts->formations_stuck++;
            return false;
        }
    }
    await(world, has_settled, HEAL_TIMEOUTS * timeout_us + piece_patience_us(world),
          "no leader that all follow");
    world->is_quiet = true;
    probe(world);
    await(world, is_at_rest, quiet_us(world), "the work does not end");
    return true;
}

static void stop_all(struct world *world)
{
    world->is_over = true;
    for (uint32_t i = 0; i < world->hosts_count; i++) {
        if (world->hosts[i].is_running) {
            host_stop(&world->hosts[i]);
        }
    }
    run_until(world, world->now_us + 5000 * MS);
    for (uint32_t i = 0; i < world->hosts_count; i++) {
        if (world->hosts[i].is_running) {
            world_fail("liveness", "n%u does not stop within 5 s", i + 1);
        }
    }
}

uint64_t nodesim_run(const struct nodesim_options *options, struct nodesim_counts *counts)
{
    static struct world world;

    world_open(&world, options, counts);
    for (uint32_t i = 0; i < world.hosts_count; i++) {
        host_start(&world.hosts[i]);
    }
    clients_open(&world);
    watchers_open(&world);
    holders_open(&world);
    operator_open(&world);
    faults_open(&world);
    run_until(&world, (uint64_t)world.knobs.duration_ms * MS);
    if (heal(&world)) {
        oracle_end(&world);
        stop_all(&world);
    }
    counts->virtual_ms += world.now_us / MS;
    const uint64_t story = world.story;
    world_close(&world);
    return story;
}
