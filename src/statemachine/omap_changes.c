#include <stddef.h>

#include "statemachine/omap.h"
#include "statemachine/omap_node.h"

static bool visit_leaf(const struct omap_node *leaf, struct omap_changes *changes)
{
    for (uint32_t slot = 0; slot < leaf->count; slot++) {
        if (leaf->keys[slot]->modify_index <= changes->after) {
            continue;
        }
        if (changes->budget == 0) {
            return false;
        }
        changes->budget--;
        changes->visit(changes->context, leaf->keys[slot]);
    }
    return true;
}

/* As deep as the map is: OMAP_DEPTH_MAX at most. */
static bool visit_node(const struct omap_node *node, struct omap_changes *changes)
{
    bool is_whole = true;

    if (node->level == 0) {
        return visit_leaf(node, changes);
    }
    const struct omap_branch *branch = omap_branch_read(node);
    for (uint32_t slot = 0; slot < node->count && is_whole; slot++) {
        if (branch->totals[slot].index_max > changes->after) {
            is_whole = visit_node(branch->children[slot], changes);
        }
    }
    return is_whole;
}

bool omap_visit_changes(const struct omap_node *root, struct omap_changes *changes)
{
    return root == NULL || visit_node(root, changes);
}
