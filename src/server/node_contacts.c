/* node_contacts.c -- whom this node may speak to: the members that its log names, before that those
 * of initial-cluster, or the addresses where it hopes to join. */
#include <string.h>

#include "base/assert.h"
#include "base/heap.h"
#include "server/node_internal.h"

static void peer_keep(struct node *node, struct peer *peers, uint32_t *count,
                      const struct member *member)
{
    const struct peer *known = node_peer(node, member->id);
    struct peer *peer = &peers[*count];

    if (known != NULL) {
        *peer = *known;
    } else {
        *peer = (struct peer){.id = member->id};
        peer_health_init(&peer->health);
    }
    peer->incarnation = member->incarnation;
    memcpy(peer->name, member->name, sizeof(peer->name));
    memcpy(peer->address, member->peer_address, sizeof(peer->address));
    (*count)++;
}

static void count_learners(struct node *node)
{
    node->learners_count = 0;
    for (uint32_t i = 0; i < node->membership.members_count; i++) {
        node->learners_count += node->membership.members[i].is_learner ? 1 : 0;
    }
}

/* Before there is a configuration, a node that joins knows of addresses only: ids that nobody has
 * stand for them. */
void node_add_contact(struct node *node, raft_node_id id, const char *address)
{
    struct peer *peer = node_peer(node, id);

    if (peer == NULL) {
        peer = &node->peers[node->peers_count];
        node->peers_count++;
        *peer = (struct peer){.id = id};
        peer_health_init(&peer->health);
    }
    RK_ASSERT(strlen(address) < sizeof(peer->address));
    memcpy(peer->address, address, strlen(address) + 1);
}

static void keep_members(struct node *node, const struct membership *membership)
{
    /* A peer is large: only those that there are touch memory. */
    struct peer *peers = rk_heap_zalloc(membership->members_count, sizeof(*peers));
    uint32_t count = 0;

    for (uint32_t i = 0; i < membership->members_count; i++) {
        if (membership->members[i].id != node->id) {
            peer_keep(node, peers, &count, &membership->members[i]);
        }
    }
    memcpy(node->peers, peers, count * sizeof(*peers));
    node->peers_count = count;
    rk_heap_free(peers);
}

/* Whom it hopes to hear from while its log names nobody. The leader that it has heard of stays: who
 * told of it may have gone meanwhile. */
static void keep_contacts(struct node *node)
{
    char leader[RK_ADDRESS_SIZE_MAX + 1] = "";
    const struct peer *known = node_peer(node, NODE_CONTACT_LEADER);
    struct membership initial;

    if (known != NULL) {
        memcpy(leader, known->address, sizeof(leader));
    }
    if (node_is_joining(node)) {
        node->peers_count = 0;
        node_add_contact(node, NODE_CONTACT_GIVEN, node->options->join);
    } else {
        node_initial_members(node, &initial);
        keep_members(node, &initial);
    }
    if (leader[0] != '\0') {
        node_add_contact(node, NODE_CONTACT_LEADER, leader);
    }
}

void node_set_peers(struct node *node)
{
    if (node->membership.members_count > 0) {
        keep_members(node, &node->membership);
    } else {
        keep_contacts(node);
    }
    count_learners(node);
    node->is_view_stale = true;
}
