/* nodesim.h -- whole production nodes in one thread: src/server/node*.c, the gateway, the wire
 * format, the core and the state machine, on virtual clocks, networks and disks.
 *
 * What a node stands on is given another implementation at link time: http_server, link and
 * disk_thread (doors_http.c, doors_link.c, doors_disk.c), clock, chance, heap, queues and the log
 * (doors_base.c). Everything above those doors is the code that raftkvd runs.
 *
 * A run draws its own fault rates (swarm), lets clients and an operator work while hosts crash,
 * stall, part and lose disks, then heals a part that can decide and demands that it does. Every
 * choice comes from the tape (sim/tape.h), so a seed is a run.
 */
#ifndef RK_TESTS_SIM_NODE_NODESIM_H
#define RK_TESTS_SIM_NODE_NODESIM_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define NODESIM_COUNTS(X)     \
    X(turns)                  \
    X(elections)              \
    X(commits)                \
    X(truncations)            \
    X(crashes)                \
    X(storage_errors)         \
    X(orderly_stops)          \
    X(torn_transactions)      \
    X(logs_cut_short)         \
    X(wipes)                  \
    X(pauses)                 \
    X(partitions)             \
    X(full_disks)             \
    X(disk_stalls)            \
    X(requests_lost)          \
    X(requests_late)          \
    X(requests_repeated)      \
    X(answers_lost)           \
    X(writes_done)            \
    X(writes_not_done)        \
    X(writes_unknown)         \
    X(unknown_that_committed) \
    X(unknown_that_did_not)   \
    X(cas_that_failed)        \
    X(writes_repeated)        \
    X(repeated_and_done_once) \
    X(reads_done)             \
    X(stale_reads)            \
    X(forwarded_writes)       \
    X(read_indexes_asked)     \
    X(transfers)              \
    X(members_added)          \
    X(members_removed)        \
    X(members_replaced)       \
    X(members_promoted)       \
    X(recovered_logs)         \
    X(snapshots_taken)        \
    X(snapshots_refused)      \
    X(torn_snapshots)         \
    X(snapshot_pieces)        \
    X(snapshots_received)     \
    X(snapshots_installed)    \
    X(snapshots_at_start)     \
    X(logs_given_up)          \
    X(snapshots_damaged)      \
    X(snapshots_lost)         \
    X(txns_done)              \
    X(txns_that_failed)       \
    X(locks_taken)            \
    X(sessions_expired)       \
    X(keys_expired)           \
    X(waits_woken)            \
    X(waits_ended)            \
    X(watches)                \
    X(events_watched)         \
    X(listings_watched)       \
    X(watches_reset)          \
    X(watches_cut)            \
    X(sqlite_runs)

/* How often things came to pass: the table of what a batch is worth. */
struct nodesim_counts {
#define NODESIM_COUNT(name) uint64_t name;
    NODESIM_COUNTS(NODESIM_COUNT)
#undef NODESIM_COUNT
    uint64_t virtual_ms;
    uint64_t formations_stuck;
    uint64_t schedules_of_200; /* runs with at least 200 client operations */
};

struct nodesim_options {
    uint64_t seed;
    FILE *trace; /* NULL, or where to tell the story */
    bool is_hashed;
    bool has_messages; /* every message between nodes, too */
};

/* One whole run; what came to pass is added to *counts. Returns the hash of its
 * story, or a constant when that is not wanted. A violation
 * ends the process: one line on stderr that names seed and oracle, status 1. */
uint64_t nodesim_run(const struct nodesim_options *options, struct nodesim_counts *counts);

#endif
