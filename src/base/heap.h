/* heap.h -- the only caller of malloc.
 *
 * Out of memory ends the process with a message: half the callers apply committed entries, where
 * failing on one node and not on another would make replicas differ (style: errors). Hence no
 * function here returns NULL. Bounded growth is the business of the limits, not of malloc.
 *
 * Thread: any.
 */
#ifndef RK_BASE_HEAP_H
#define RK_BASE_HEAP_H

#include <stddef.h>

/* `size` bytes, uninitialised; size may be 0 (a unique pointer comes back all the same). */
void *rk_heap_alloc(size_t size) __attribute__((malloc, returns_nonnull));
/* The same, zeroed; count * size may not overflow (asserted). */
void *rk_heap_zalloc(size_t count, size_t size) __attribute__((malloc, returns_nonnull));
void *rk_heap_realloc(void *memory, size_t size) __attribute__((returns_nonnull));
char *rk_heap_text(const char *text) __attribute__((malloc, returns_nonnull)); /* a copy */
void rk_heap_free(void *memory);                                               /* NULL is allowed */

#endif
