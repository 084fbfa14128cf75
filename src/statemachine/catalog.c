/* Layout of a record, integers little-endian, nothing behind the last byte:
 *
 *    0 u8  version (1)     4 u32 address_size     16 address
 *    1 u8  status          8 u64 id
 *    2 u16 zero
 *
 * In the table an entry's flags are the index at which id or address changed last, its lock_index
 * that of the status. Of the entry without a name these are the greatest of all, deletions counted.
 */
#include "statemachine/catalog.h"

#include <stddef.h>
#include <string.h>

#include "base/assert.h"
#include "base/le.h"

enum { RECORD_VERSION = 1 };

void sm_node_record_encode(const struct node_record *record, struct rk_buf *buf)
{
    uint8_t fixed[NODE_RECORD_FIXED_SIZE] = {RECORD_VERSION, (uint8_t)record->status};

    RK_ASSERT(record->address.size <= RK_ADDRESS_SIZE_MAX);
    rk_le_put_u32(&fixed[4], record->address.size);
    rk_le_put_u64(&fixed[8], record->id);
    rk_buf_append(buf, fixed, sizeof(fixed));
    rk_buf_append(buf, record->address.data, record->address.size);
}

enum rk_status sm_node_record_decode(struct rk_bytes bytes, struct node_record *ret)
{
    if (bytes.size < NODE_RECORD_FIXED_SIZE || bytes.data[0] != RECORD_VERSION ||
        (bytes.data[1] != SM_CHECK_PASSING && bytes.data[1] != SM_CHECK_CRITICAL) ||
        rk_le_u16(&bytes.data[2]) != 0) {
        return RK_CORRUPT;
    }
    const uint32_t address_size = rk_le_u32(&bytes.data[4]);
    if (address_size > RK_ADDRESS_SIZE_MAX || bytes.size != NODE_RECORD_FIXED_SIZE + address_size) {
        return RK_CORRUPT;
    }
    *ret = (struct node_record){
        .status = (enum sm_check_status)bytes.data[1],
        .id = rk_le_u64(&bytes.data[8]),
        .address = {.data = bytes.data + NODE_RECORD_FIXED_SIZE, .size = address_size},
    };
    return RK_OK;
}

bool sm_catalog_entry_is_legal(const struct omap_entry *entry)
{
    struct node_record record;

    if (entry->flags > entry->modify_index || entry->lock_index > entry->modify_index) {
        return false;
    }
    if (entry->key.size == 0) {
        return entry->value.size == 0;
    }
    return entry->key.size <= RK_NODE_NAME_SIZE_MAX &&
           sm_node_record_decode(entry->value, &record) == RK_OK;
}

/* --- reading --- */

static void node_read(const struct omap_item *item, struct sm_node *ret)
{
    struct omap_entry entry;
    struct node_record record;

    omap_item_read(item, &entry);
    const enum rk_status status = sm_node_record_decode(entry.value, &record);
    RK_ASSERT(status == RK_OK); /* looked at when it came in */
    *ret = (struct sm_node){
        .name = entry.key,
        .id = record.id,
        .address = record.address,
        .status = record.status,
        .create_index = entry.create_index,
        .modify_index = entry.flags,
        .check_modify_index = entry.lock_index,
    };
}

bool sm_node_get(const struct sm_root *root, struct rk_bytes name, struct sm_node *ret)
{
    const struct omap_item *item = name.size > 0 ? omap_find(root->catalog, name) : NULL;

    if (item != NULL) {
        node_read(item, ret);
    }
    return item != NULL;
}

bool sm_node_next(const struct sm_root *root, struct rk_bytes after, struct sm_node *ret)
{
    const struct omap_cut cut = {.key = after, .side = OMAP_AFTER};
    const struct omap_place place = omap_first_after(root->catalog, cut);

    if (place.item != NULL) {
        node_read(place.item, ret);
    }
    return place.item != NULL;
}

static struct omap_entry indexes(const struct sm_root *root)
{
    const struct rk_bytes nobody = {.data = NULL, .size = 0};
    const struct omap_item *item = omap_find(root->catalog, nobody);
    struct omap_entry entry = {.flags = 0};

    if (item != NULL) {
        omap_item_read(item, &entry);
    }
    return entry;
}

/* An index of 0 would tell clients not to wait. */
static raft_index at_least_1(raft_index index)
{
    return index > 1 ? index : 1;
}

raft_index sm_nodes_index(const struct sm_root *root)
{
    return at_least_1(indexes(root).flags);
}

raft_index sm_checks_index(const struct sm_root *root)
{
    return at_least_1(indexes(root).lock_index);
}

raft_index sm_catalog_index(const struct sm_root *root)
{
    return at_least_1(indexes(root).modify_index);
}
