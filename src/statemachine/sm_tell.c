#include <string.h>

#include "statemachine/sm_internal.h"

/* So many keys of a deleted prefix are told of one by one; the deletion itself costs no more for a
 * million. */
enum { DELETIONS_MAX = 512 };

enum sm_cause sm_tell_cause(const struct sm_command *command)
{
    switch (command->type) {
    case SM_COMMAND_KV_PUT:
    case SM_COMMAND_KV_PUT_TTL:
        return SM_CAUSE_PUT;
    case SM_COMMAND_KV_DELETE:
        return SM_CAUSE_DELETE;
    case SM_COMMAND_KV_DELETE_PREFIX:
        return SM_CAUSE_DELETE_PREFIX;
    case SM_COMMAND_KV_OP:
        return command->op.verb == SM_KV_LOCK ? SM_CAUSE_ACQUIRE : SM_CAUSE_RELEASE;
    case SM_COMMAND_SESSION_CREATE:
    case SM_COMMAND_SESSION_DESTROY:
    case SM_COMMAND_SESSION_RENEW:
        return SM_CAUSE_SESSION_DESTROY;
    case SM_COMMAND_TXN:
        return SM_CAUSE_TXN;
    case SM_COMMAND_NODE_SET:
    case SM_COMMAND_NODE_CLEAR:
        return SM_CAUSE_CHECK;
    case SM_COMMAND_ONCE: /* what is inside says so itself */
    case SM_COMMAND_EXPIRE:
    case SM_COMMAND_EXPIRE_KEYS:
    case SM_COMMAND_RESTORE_BEGIN: /* these three tell of nothing: the history begins anew */
    case SM_COMMAND_RESTORE_RECORD:
    case SM_COMMAND_RESTORE_END:
    case SM_COMMAND_FEATURE_LEVEL:
        break;
    }
    return SM_CAUSE_EXPIRE;
}

void sm_tell_set(struct sm *sm, const struct omap_entry *entry)
{
    sm_history_add(&sm->history, &(struct sm_event){
                                     .type = SM_EVENT_PUT,
                                     .cause = sm->cause,
                                     .index = entry->modify_index,
                                     .key = entry->key,
                                     .value = entry->value,
                                     .flags = entry->flags,
                                     .create_index = entry->create_index,
                                     .lock_index = entry->lock_index,
                                 });
}

static void tell(struct sm *sm, enum sm_event_type type, raft_index index, struct rk_bytes key)
{
    sm_history_add(&sm->history, &(struct sm_event){
                                     .type = type,
                                     .cause = sm->cause,
                                     .index = index,
                                     .key = key,
                                 });
}

void sm_tell_removed(struct sm *sm, raft_index index, struct rk_bytes key)
{
    tell(sm, SM_EVENT_DELETE, index, key);
}

void sm_tell_removing_prefix(struct sm *sm, raft_index index, struct rk_bytes prefix)
{
    const struct omap_node *root = sm->kv.root;
    uint64_t left = omap_prefix_total(root, prefix).count;
    struct omap_place place =
        omap_first_after(root, (struct omap_cut){.key = prefix, .side = OMAP_BEFORE});

    if (left > DELETIONS_MAX) {
        tell(sm, SM_EVENT_DELETE_PREFIX, index, prefix);
        return;
    }
    for (; left > 0; left--) {
        struct omap_entry entry;
        omap_item_read(place.item, &entry);
        tell(sm, SM_EVENT_DELETE, index, entry.key);
        place = omap_next(root, place);
    }
}
