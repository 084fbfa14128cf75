#include "statemachine/scrub.h"

#include "statemachine/omap.h"
#include "statemachine/sm_internal.h"

void sm_scrub_init(struct sm_scrub *scrub)
{
    *scrub = (struct sm_scrub){.map = 0};
    rk_buf_init(&scrub->after, OMAP_KEY_SIZE_MAX);
}

void sm_scrub_done(struct sm_scrub *scrub)
{
    rk_buf_done(&scrub->after);
}

static void next_map(struct sm_scrub *scrub)
{
    scrub->has_after = false;
    scrub->map++;
    if (scrub->map == SM_MAPS_COUNT) {
        scrub->map = 0;
        scrub->rounds++;
    }
}

static struct omap_place place_of(const struct sm_scrub *scrub, const struct omap_node *root)
{
    const struct omap_cut after = {.key = rk_buf_bytes(&scrub->after), .side = OMAP_AFTER};
    const struct omap_cut start = {.side = OMAP_BEFORE};

    return omap_first_after(root, scrub->has_after ? after : start);
}

static void keep_place(struct sm_scrub *scrub, struct rk_bytes key)
{
    rk_buf_reset(&scrub->after);
    rk_buf_append(&scrub->after, key.data, key.size);
    scrub->has_after = true;
}

bool sm_scrub_step(struct sm_scrub *scrub, struct sm *sm, size_t budget, raft_index *ret_index)
{
    const struct omap_node *root = sm_map(sm, scrub->map)->root;
    struct omap_entry entry = {.flags = 0};
    struct omap_place place = place_of(scrub, root);
    size_t seen = 0;

    while (place.item != NULL && seen < budget) {
        omap_item_read(place.item, &entry);
        if (!omap_item_is_whole(place.item)) {
            *ret_index = entry.modify_index;
            return false;
        }
        seen += entry.key.size + entry.value.size + sizeof(entry);
        place = omap_next(root, place);
    }
    if (place.item == NULL) {
        next_map(scrub);
    } else {
        keep_place(scrub, entry.key);
    }
    return true;
}
