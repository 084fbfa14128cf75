#include <stddef.h>

#include "base/assert.h"
#include "statemachine/query.h"
#include "statemachine/tombstones.h"

static bool is_key_absent(const struct sm_root *root, struct rk_bytes key)
{
    struct sm_kv_entry entry;

    return !sm_kv_get(root, key, &entry);
}

/* A deletion below the prefix has an index of its own: the prefix was there. */
static bool is_prefix_absent(const struct sm_root *root, struct rk_bytes prefix)
{
    return sm_kv_count(root, prefix) == 0 && sm_tombstones_index(root->tombstones, prefix) == 0 &&
           sm_tombstones_index(root->tombstones_old, prefix) == 0;
}

static raft_index table_index(const struct sm_root *root, enum sm_topic_kind kind)
{
    if (kind == SM_TOPIC_NODES) {
        return sm_nodes_index(root);
    }
    if (kind == SM_TOPIC_CHECKS) {
        return sm_checks_index(root);
    }
    return kind == SM_TOPIC_CATALOG ? sm_catalog_index(root) : sm_session_index(root);
}

struct sm_topic_state sm_topic_state(const struct sm_root *root, const struct sm_topic *topic)
{
    if (topic->kind == SM_TOPIC_KEY) {
        return (struct sm_topic_state){
            .index = sm_kv_index_of_key(root, topic->key),
            .is_absent = is_key_absent(root, topic->key),
        };
    }
    if (topic->kind >= SM_TOPIC_SESSIONS) {
        return (struct sm_topic_state){.index = table_index(root, topic->kind)};
    }
    RK_ASSERT(topic->kind == SM_TOPIC_PREFIX);
    return (struct sm_topic_state){
        .index = sm_kv_index_of_prefix(root, topic->key),
        .is_absent = is_prefix_absent(root, topic->key),
    };
}
