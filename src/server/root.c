#include "server/root.h"

#include <stdalign.h>
#include <stdatomic.h>

#include "base/assert.h"
#include "base/heap.h"

enum { CACHE_LINE_SIZE = 64 };

/* Holders are numbered: two publications may carry the same version of the root (entries were
 * applied that changed nothing), but a slot must tell them apart to let the older one go. */
struct holder {
    struct sm_root root;
    uint64_t number;
    struct holder *next; /* newer */
};

struct slot {
    alignas(CACHE_LINE_SIZE) _Atomic uint64_t number; /* oldest holder in use; 0: idle */
};

struct root_board {
    _Atomic(struct holder *) current;
    _Atomic uint64_t number; /* of current, or older: set after it */
    struct holder *oldest;   /* node thread: list of holders, oldest first, current last */
    uint32_t slots_count;
    struct slot *slots;
    void *slots_memory;
};

struct root_board *root_board_new(uint32_t slots_count)
{
    struct root_board *board = rk_heap_zalloc(1, sizeof(*board));
    struct holder *empty = rk_heap_zalloc(1, sizeof(*empty));

    board->slots_count = slots_count;
    board->slots_memory = rk_heap_zalloc(slots_count + 1, sizeof(struct slot));
    board->slots = (struct slot *)(((uintptr_t)board->slots_memory + CACHE_LINE_SIZE - 1) &
                                   ~(uintptr_t)(CACHE_LINE_SIZE - 1));
    board->oldest = empty;
    empty->number = 1;
    atomic_init(&board->current, empty);
    atomic_init(&board->number, empty->number);
    return board;
}

void root_board_free(struct root_board *board)
{
    if (board == NULL) {
        return;
    }
    for (struct holder *holder = board->oldest; holder != NULL;) {
        struct holder *next = holder->next;
        rk_heap_free(holder);
        holder = next;
    }
    rk_heap_free(board->slots_memory);
    rk_heap_free(board);
}

static uint64_t oldest_number(struct root_board *board)
{
    uint64_t oldest = atomic_load(&board->number);

    for (uint32_t i = 0; i < board->slots_count; i++) {
        const uint64_t held = atomic_load(&board->slots[i].number);
        if (held != 0 && held < oldest) {
            oldest = held;
        }
    }
    return oldest;
}

uint64_t root_oldest(struct root_board *board)
{
    const uint64_t held = oldest_number(board);

    while (board->oldest->number < held) {
        struct holder *gone = board->oldest;
        board->oldest = gone->next;
        rk_heap_free(gone);
    }
    return board->oldest->root.version;
}

void root_publish(struct root_board *board, const struct sm_root *root)
{
    struct holder *last = atomic_load(&board->current);
    struct holder *holder = rk_heap_alloc(sizeof(*holder));

    RK_ASSERT(root->version >= last->root.version);
    *holder = (struct holder){.root = *root, .number = last->number + 1};
    last->next = holder;
    atomic_store(&board->current, holder);
    atomic_store(&board->number, holder->number);
}

const struct sm_root *root_acquire(struct root_board *board, uint32_t slot)
{
    RK_ASSERT(slot < board->slots_count);
    RK_ASSERT(atomic_load_explicit(&board->slots[slot].number, memory_order_relaxed) == 0);
    atomic_store(&board->slots[slot].number, atomic_load(&board->number));
    return &atomic_load(&board->current)->root;
}

void root_release(struct root_board *board, uint32_t slot)
{
    RK_ASSERT(slot < board->slots_count);
    atomic_store(&board->slots[slot].number, 0);
}
