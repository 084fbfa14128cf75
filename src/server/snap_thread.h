/* snap_thread.h -- the thread that works on snapshots' files: taking, sending and receiving them,
 * and building a state of one. It sleeps when there is nothing of that.
 *
 * Jobs are done in the order they were submitted, but for the one that takes a snapshot, which is
 * done between them. A finished job comes back through the results queue.
 *
 * Thread: submit and results on the node thread.
 */
#ifndef RK_SERVER_SNAP_THREAD_H
#define RK_SERVER_SNAP_THREAD_H

#include "base/queue.h"
#include "server/snap_work.h"

enum { SNAP_JOBS_MAX = 64 };

struct snap_thread;

/* Takes `store` over. */
struct snap_thread *snap_thread_start(struct snap_store *store);

/* Gives up what is being taken, does what was submitted else, joins, closes the store. NULL is
 * allowed. */
void snap_thread_stop(struct snap_thread *snaps);

/* Hands a job over. Never more than SNAP_JOBS_MAX are under way (asserted). */
void snap_submit(struct snap_thread *snaps, struct snap_job *job);

/* The queue that finished jobs (struct snap_job *) come back by. */
struct rk_queue *snap_results(struct snap_thread *snaps);

#endif
