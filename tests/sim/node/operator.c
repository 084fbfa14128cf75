/* operator.c -- whoever runs the cluster: adds, promotes and removes members, hands leadership
 * over, and replaces a member whose disk was lost, all through the API of some node. */
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "sim/node/world.h"

enum { LOOK_US = 100 * MS, PATIENCE_US = 6000 * MS };

enum change {
    CHANGE_NONE,
    CHANGE_ADD,
    CHANGE_PROMOTE,
    CHANGE_REMOVE,
    CHANGE_REPLACE,
    CHANGE_TRANSFER
};

static void fill(struct op *op, enum http_method method, const char *method_name,
                 const char *target)
{
    (void)snprintf(op->target, sizeof(op->target), "%s", target);
    op->request = (struct http_request){
        .method = method,
        .method_name = method_name,
        .target = op->target,
        .body = {.data = (const uint8_t *)op->body, .size = (uint32_t)strlen(op->body)},
    };
}

static void fill_member(struct op *op, enum http_method method, const char *method_name,
                        const struct host *host)
{
    char target[64];

    (void)snprintf(target, sizeof(target), "/v1/cluster/members/n%u", host->number + 1);
    fill(op, method, method_name, target);
}

static void fill_change(struct world *world, struct op *op, enum change change,
                        const struct host *host)
{
    const uint32_t name = host->number + 1;

    switch (change) {
    case CHANGE_ADD:
        (void)snprintf(op->body, sizeof(op->body),
                       "{\"name\": \"n%u\", \"peer_address\": \"10.0.0.%u:8300\", \"learner\": %s}",
                       name, name, tape_draw(&world->tape, TAPE_MEMBER, 3) == 2 ? "true" : "false");
        fill(op, HTTP_POST, "POST", "/v1/cluster/members");
        break;
    case CHANGE_PROMOTE:
        (void)snprintf(op->body, sizeof(op->body), "{\"role\": \"voter\"}");
        fill_member(op, HTTP_PATCH, "PATCH", host);
        break;
    case CHANGE_REMOVE:
        fill_member(op, HTTP_DELETE, "DELETE", host);
        break;
    case CHANGE_REPLACE:
        (void)snprintf(
            op->body, sizeof(op->body),
            "{\"old\": \"n%u\", \"name\": \"n%u\", \"peer_address\": \"10.0.0.%u:8300\"}", name,
            name, name);
        fill(op, HTTP_POST, "POST", "/v1/cluster/members/replace");
        break;
    case CHANGE_NONE:
    case CHANGE_TRANSFER:
        fill(op, HTTP_POST, "POST", "/v1/operator/raft/transfer-leader");
        break;
    }
}

static struct host *some_running(struct world *world)
{
    const uint32_t first = tape_draw(&world->tape, TAPE_MEMBER, world->hosts_count);

    for (uint32_t i = 0; i < world->hosts_count; i++) {
        struct host *host = &world->hosts[(first + i) % world->hosts_count];
        if (host->is_running && host->node->standing == STANDING_MEMBER) {
            return host;
        }
    }
    return NULL;
}

static void on_patience(struct world *world, struct host *host, void *context, uint64_t number)
{
    (void)host;
    (void)number;
    if (world->admin == context) {
        world->admin = NULL;
    }
}

static void ask(struct world *world, enum change change, struct host *about)
{
    struct host *host = some_running(world);
    struct op *op = host != NULL ? op_new(world, OP_ADMIN) : NULL;

    if (op == NULL) {
        return;
    }
    fill_change(world, op, change, about);
    world_tell(world, host, "is asked for %u: %s %s %s", op->number, op->request.method_name,
               op->target, op->body);
    world->admin = op;
    world->admin_type = change;
    world->admin_host = about->number;
    op_send(world, op, host);
    world_at(world, world->now_us + PATIENCE_US, on_patience, NULL, op, 0);
}

void operator_transfer(struct world *world)
{
    if (world->admin == NULL) {
        ask(world, CHANGE_TRANSFER, &world->hosts[0]);
    }
}

static const struct member *member_of(const struct world *world, const struct host *host)
{
    const struct host *leader = host_leader((struct world *)(uintptr_t)world);

    return leader != NULL ? membership_by_name(&leader->node->membership, host->options.node_id)
                          : NULL;
}

/* Where to ask must be a member's address, as an operator would see to. */
static void join_at(struct world *world, struct host *host, const struct host *member)
{
    if (host->is_running) {
        host_crash(host, "it is to join elsewhere");
    }
    (void)snprintf(host->options.join, sizeof(host->options.join), "10.0.0.%u:8300",
                   member->number + 1);
    host->options.initial_cluster_count = 1;
    host->options.initial_cluster[0] = (struct options_peer){.name = "", .address = ""};
    (void)snprintf(host->options.initial_cluster[0].name, OPTIONS_NAME_SIZE, "n%u",
                   host->number + 1);
    (void)snprintf(host->options.initial_cluster[0].address, OPTIONS_ADDRESS_SIZE, "10.0.0.%u:8300",
                   host->number + 1);
    world_tell(world, host, "is to join at n%u", member->number + 1);
    host_start(host);
}

/* Out of the cluster: an empty directory, and it waits to be added again. */
static void retire(struct world *world, struct host *host)
{
    host->is_cut_short = false;
    if (host->is_running) {
        host_crash(host, "it was removed");
    }
    host_wipe(host);
    host->is_wiped = false;
    host->is_gone = false;
    join_at(world, host, host_leader(world));
}

static void add(struct world *world, struct host *host)
{
    const struct host *at = host_by_address(world, host->options.join);

    if (at == NULL || member_of(world, at) == NULL) {
        join_at(world, host, host_leader(world));
    }
    ask(world, CHANGE_ADD, host);
}

/* It has data of a cluster that it is no member of any more. Whoever adds it again without taking
 * them away must not be surprised. */
static bool may_retire(struct world *world, const struct host *host)
{
    const struct host *leader = host_leader(world);
    const bool is_sure = leader->node->view.is_config_committed &&
                         leader->node->view.is_term_committed && !leader->node->membership.is_joint;

    return is_sure && (host->is_gone || host->is_wiped ||
                       (host->is_running && (host->durable.last > 0 || host->is_cut_short)));
}

static void change_something(struct world *world)
{
    struct host *host = &world->hosts[tape_draw(&world->tape, TAPE_MEMBER, world->hosts_count)];
    const struct member *member = member_of(world, host);

    if (member == NULL && may_retire(world, host)) {
        retire(world, host);
    } else if (member == NULL) {
        if (host->is_running && host->durable.last == 0 && !host->is_cut_short) {
            add(world, host);
        }
    } else if (member->is_learner) {
        ask(world, tape_draw(&world->tape, TAPE_MEMBER, 3) == 2 ? CHANGE_REMOVE : CHANGE_PROMOTE,
            host);
    } else {
        ask(world, CHANGE_REMOVE, host);
    }
}

/* Unless that is under way: the name is that of the newcomer then. */
static void replace(struct world *world, struct host *host)
{
    const struct member *member = member_of(world, host);

    if (member == NULL || (member->incarnation != 0 && member->incarnation != host->incarnation)) {
        ask(world, CHANGE_REPLACE, host);
    }
}

static struct host *wiped_host(struct world *world)
{
    for (uint32_t i = 0; i < world->hosts_count; i++) {
        if (world->hosts[i].is_wiped) {
            return &world->hosts[i];
        }
    }
    return NULL;
}

static void on_look(struct world *world, struct host *host, void *context, uint64_t number)
{
    (void)host;
    (void)context;
    (void)number;
    world_at(world, world->now_us + LOOK_US, on_look, NULL, NULL, 0);
    if (world->admin != NULL || host_leader(world) == NULL) {
        return;
    }
    struct host *wiped = wiped_host(world);
    if (wiped != NULL && member_of(world, wiped) == NULL && may_retire(world, wiped)) {
        retire(world, wiped); /* it was removed meanwhile */
    } else if (wiped != NULL) {
        replace(world, wiped);
    } else if (!world->is_healing && tape_chance(&world->tape, TAPE_MEMBER, world->knobs.change)) {
        change_something(world);
    }
}

void operator_open(struct world *world)
{
    if (world->knobs.has_members) {
        world_at(world, 2000 * MS, on_look, NULL, NULL, 0);
    }
}

void operator_answered(struct world *world, struct op *op, const struct http_response *response)
{
    struct nodesim_counts *counts = world->counts;

    if (response != NULL) {
        world_tell(world, op->host, "answers %u: %u %.*s", op->number, response->status,
                   (int)response->body.size, (const char *)response->body.data);
    }
    if (world->admin != op) {
        return;
    }
    world->admin = NULL;
    if (response == NULL || response->status != 200) {
        return;
    }
    switch ((enum change)world->admin_type) {
    case CHANGE_ADD:
        counts->members_added++;
        break;
    case CHANGE_PROMOTE:
        counts->members_promoted++;
        break;
    case CHANGE_REMOVE:
        counts->members_removed++;
        break;
    case CHANGE_REPLACE:
        counts->members_replaced++;
        break;
    case CHANGE_TRANSFER:
        counts->transfers++;
        break;
    case CHANGE_NONE:
        break;
    }
}
