/* node_hooks.c -- faults that a test puts into a live replica; compiled in only with --enable-test-hooks.
 *
 *   SIGALRM  the next put that is applied here is applied with another value
 *   SIGUSR2  a bit flips in the memory that holds the value of the first key */
#include <signal.h>
#include <string.h>

#include "base/heap.h"
#include "base/log.h"
#include "server/node_internal.h"
#include "statemachine/omap.h"

static void flip_a_bit(struct node *node)
{
    const struct sm_root root = sm_publish(node->sm);
    const struct omap_place place =
        omap_first_after(root.kv, (struct omap_cut){.side = OMAP_BEFORE});
    struct omap_entry entry;

    if (place.item != NULL) {
        omap_item_read(place.item, &entry);
        if (entry.value.size > 0) {
            ((uint8_t *)(uintptr_t)entry.value.data)[0] ^= 1;
        }
    }
}

void node_hook(struct node *node, int signal_number)
{
    atomic_store(&node->hook_signal, signal_number);
}

void node_hook_turn(struct node *node)
{
    if (atomic_load(&node->hook_signal) == SIGUSR2) {
        atomic_store(&node->hook_signal, 0);
        rk_log(RK_LOG_WARN, "hook", "bit_flipped", RK_END);
        flip_a_bit(node);
    }
}

struct rk_bytes node_hook_command(struct node *node, struct rk_bytes command)
{
    if (atomic_load(&node->hook_signal) != SIGALRM || command.data[0] != SM_COMMAND_KV_PUT) {
        return command;
    }
    atomic_store(&node->hook_signal, 0);
    rk_log(RK_LOG_WARN, "hook", "put_applied_otherwise", RK_END);
    rk_buf_done(&node->hook_command);
    rk_buf_init(&node->hook_command, RK_COMMAND_SIZE_MAX);
    rk_buf_append(&node->hook_command, command.data, command.size);
    node->hook_command.data[command.size - 1] ^= 1;
    return rk_buf_bytes(&node->hook_command);
}
