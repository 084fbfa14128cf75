/* watch.h -- who waits for which key or prefix, and whom a new version of the state concerns.
 *
 * A watcher waits for its topic to have an index above the one it knows (contract 1.7). Nothing
 * tells this module of commands: it compares the published roots, whose nodes know the greatest
 * index below them, so that no command, however it changes a key, can forget a watcher. A change
 * that is undone before the next root is one that nobody sees.
 *
 * Registering compares with the same root from which the next comparison starts, on the same
 * thread, so no change falls between the two (pitfall 132). A topic that was not there and is not
 * there still wakes nobody, although the index that stands in for it rises with every write.
 *
 * Knows no sockets, requests or deadlines. Watchers of one topic share a group; what a root
 * touches is judged and woken in slices (pitfall 137). Thread: the node thread.
 */
#ifndef RK_STATEMACHINE_WATCH_H
#define RK_STATEMACHINE_WATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "statemachine/query.h"

struct sm_watch_set;
struct sm_watch_group;

/* Embedded in what waits. Zeroed: waits for nothing. */
struct sm_watcher {
    struct sm_watcher *previous;
    struct sm_watcher *next;
    struct sm_watch_group *group; /* NULL: not registered */
    raft_index after;
    bool was_absent; /* when it was last judged */
};

struct sm_watch_set *sm_watch_set_new(void);
void sm_watch_set_free(struct sm_watch_set *set); /* nobody waits (asserted); NULL is allowed */

/* `root` is the published one from now on, and stays so until the next call. Marks what changed
 * since the root before; sm_watch_next() then wakes. */
void sm_watch_advance(struct sm_watch_set *set, const struct sm_root *root);

/* The watcher waits for an index above `after`; the topic is copied. False: it is above that
 * already, and nothing was registered. */
RK_MUST_USE bool sm_watch_add(struct sm_watch_set *set, const struct sm_topic *topic,
                              raft_index after, struct sm_watcher *watcher);
/* It waits no more. */
void sm_watch_remove(struct sm_watch_set *set, struct sm_watcher *watcher);

/* The next one whose time has come; it is no longer registered. NULL: none, or `budget`, which
 * counts what was looked at, is used up; then sm_watch_is_due() says whether to go on. */
struct sm_watcher *sm_watch_next(struct sm_watch_set *set, uint32_t *budget);
bool sm_watch_is_due(const struct sm_watch_set *set);

#endif
