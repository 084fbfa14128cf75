/* clients.c -- clients that put, compare-and-set, delete and get a few keys through the gateway of
 * any node, give up after a time, and remember honestly what they were told. Every put carries a
 * number of its own, as value and as flags: what the log, the state machine and an answer say can
 * be held against each other. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/buf.h"
#include "base/parse.h"
#include "sim/node/oracles.h"

enum { BURST_MIN = 20, BURST_MAX = 60, RETRY_US = 2 * MS, WAIT_MS_MAX = 20000 };
enum { TTL_MS_MIN = 1, TTL_MS_MAX = 3000 };

static void client_next(struct world *world, uint32_t client, uint64_t delay_us);

bool op_is_read(const struct op *op)
{
    return op->kind == OP_GET || op->kind == OP_STALE || op->kind == OP_WAIT;
}

struct op *op_new(struct world *world, enum op_kind kind)
{
    if (world->ops_count == OPS_MAX) {
        return NULL;
    }
    struct op *op = &world->ops[world->ops_count];

    world->ops_count++;
    *op = (struct op){
        .number = world->ops_count,
        .first = world->ops_count,
        .kind = kind,
        .client = CLIENTS_MAX,
        .key = KEYS_MAX,
        .floor = world->floor,
        .since_us = world->now_us,
    };
    return op;
}

/* -- what is asked -- */

static void fill_request(struct op *op, enum http_method method, const char *method_name)
{
    op->request = (struct http_request){
        .method = method,
        .method_name = method_name,
        .target = op->target,
        .body = {.data = (const uint8_t *)op->body, .size = (uint32_t)strlen(op->body)},
    };
}

static void fill_put(struct op *op, uint32_t padding)
{
    if (op->kind == OP_CAS) {
        (void)snprintf(op->target, sizeof(op->target), "/v1/kv/k%u?flags=%u&cas=%" PRIu64, op->key,
                       op->first, op->cas);
    } else {
        (void)snprintf(op->target, sizeof(op->target), "/v1/kv/k%u?flags=%u", op->key, op->first);
    }
    if (op->ttl_ms > 0) {
        const size_t size = strlen(op->target);
        (void)snprintf(op->target + size, sizeof(op->target) - size, "&ttl=%ums", op->ttl_ms);
    }
    (void)snprintf(op->body, sizeof(op->body), "%u %.*s", op->first, (int)padding,
                   "................................................................"
                   "................................................................");
    fill_request(op, HTTP_PUT, "PUT");
    if (op->has_token) {
        (void)snprintf(op->token_text, sizeof(op->token_text), "t%u", op->first);
        op->token = (struct http_field){.name = "Idempotency-Key", .value = op->token_text};
        op->request.headers = &op->token;
        op->request.headers_count = 1;
    }
}

/* All of it or nothing: the set and its condition are two operations of one transaction. */
static void fill_txn(struct op *op)
{
    char text[16];
    char condition[96];
    struct rk_buf value;

    (void)snprintf(text, sizeof(text), "%u ", op->first);
    rk_buf_init(&value, sizeof(op->body));
    rk_base64_encode((struct rk_bytes){(const uint8_t *)text, (uint32_t)strlen(text)}, &value);
    if (op->cas == 0) {
        (void)snprintf(condition, sizeof(condition), "\"check-not-exists\",\"Key\":\"k%u\"",
                       op->other_key);
    } else {
        (void)snprintf(condition, sizeof(condition),
                       "\"check-index\",\"Key\":\"k%u\",\"Index\":%" PRIu64, op->other_key,
                       op->cas);
    }
    (void)snprintf(
        op->body, sizeof(op->body),
        "[{\"KV\":{\"Verb\":%s}},{\"KV\":{\"Verb\":\"set\",\"Key\":\"k%u\",\"Value\":\"%.*s\","
        "\"Flags\":%u}}]",
        condition, op->key, (int)value.size, (const char *)value.data, op->first);
    rk_buf_done(&value);
    (void)snprintf(op->target, sizeof(op->target), "/v1/txn");
    fill_request(op, HTTP_PUT, "PUT");
}

static void fill_operation(struct world *world, struct op *op)
{
    switch (op->kind) {
    case OP_PUT:
    case OP_CAS:
        /* The same number gives the same body: a repetition is the same request. */
        fill_put(op, op->first * 37 % 128);
        break;
    case OP_TXN:
        fill_txn(op);
        break;
    case OP_DELETE:
        (void)snprintf(op->target, sizeof(op->target), "/v1/kv/k%u", op->key);
        fill_request(op, HTTP_DELETE, "DELETE");
        world->deletes_asked[op->key]++;
        break;
    case OP_GET:
        (void)snprintf(op->target, sizeof(op->target), "/v1/kv/k%u?raw", op->key);
        fill_request(op, HTTP_GET, "GET");
        break;
    case OP_STALE:
        (void)snprintf(op->target, sizeof(op->target), "/v1/kv/k%u?raw&stale", op->key);
        fill_request(op, HTTP_GET, "GET");
        break;
    case OP_WAIT:
        (void)snprintf(op->target, sizeof(op->target),
                       "/v1/kv/k%u?raw&index=%" PRIu64 "&wait=%" PRIu64 "ms", op->key,
                       op->asked_index, op->wait_us / MS);
        fill_request(op, HTTP_GET, "GET");
        break;
    case OP_SESSION:
    case OP_RENEW:
    case OP_DESTROY:
    case OP_ACQUIRE:
    case OP_RELEASE:
    case OP_ADMIN:
        break; /* their own files fill them */
    }
}

static enum op_kind draw_kind(struct world *world)
{
    const struct knobs *knobs = &world->knobs;

    if (tape_draw(&world->tape, TAPE_CLIENT, 100) < knobs->read_percent) {
        return tape_draw(&world->tape, TAPE_CLIENT, 8) == 7 ? OP_STALE : OP_GET;
    }
    if (tape_draw(&world->tape, TAPE_CLIENT, 100) < knobs->cas_percent) {
        return OP_CAS;
    }
    return tape_draw(&world->tape, TAPE_CLIENT, 10) == 9 ? OP_DELETE : OP_PUT;
}

/* Some reads wait for what comes after what their client has seen. */
static void draw_wait(struct world *world, struct op *op)
{
    const uint64_t seen = world->clients[op->client].seen[op->key];

    if (op->kind == OP_GET && seen != 0 && world->knobs.wait_percent > 0 &&
        tape_draw(&world->tape, TAPE_CLIENT, 100) < world->knobs.wait_percent) {
        op->kind = OP_WAIT;
        op->asked_index = seen;
        op->wait_us = (uint64_t)tape_log_between(&world->tape, TAPE_CLIENT, 10, WAIT_MS_MAX) * MS;
    }
}

static void draw_txn(struct world *world, struct op *op)
{
    if (op->kind == OP_PUT && world->knobs.txn_percent > 0 &&
        tape_draw(&world->tape, TAPE_CLIENT, 100) < world->knobs.txn_percent) {
        op->kind = OP_TXN;
        op->other_key = tape_draw(&world->tape, TAPE_CLIENT, world->knobs.keys);
        op->cas = world->clients[op->client].known[op->other_key];
    }
}

static void draw_ttl(struct world *world, struct op *op)
{
    if ((op->kind == OP_PUT || op->kind == OP_CAS) && op->key == ttl_key(world) &&
        world->knobs.ttl_percent > 0 &&
        tape_draw(&world->tape, TAPE_CLIENT, 100) < world->knobs.ttl_percent) {
        op->ttl_ms = tape_log_between(&world->tape, TAPE_CLIENT, TTL_MS_MIN, TTL_MS_MAX);
    }
}

static struct op *draw_operation(struct world *world, uint32_t client)
{
    if (world->ops_count >= OPS_OF_CLIENTS_MAX) {
        return NULL;
    }
    struct op *op = op_new(world, draw_kind(world));
    RK_ASSERT(op != NULL);
    op->client = client;
    op->key = tape_draw(&world->tape, TAPE_CLIENT, world->knobs.keys);
    if (op->kind == OP_CAS && tape_draw(&world->tape, TAPE_CLIENT, 4) != 3) {
        op->cas = world->clients[client].known[op->key];
    }
    draw_wait(world, op);
    draw_txn(world, op);
    draw_ttl(world, op);
    op->has_token = (op->kind == OP_PUT || op->kind == OP_CAS) &&
                    tape_draw(&world->tape, TAPE_CLIENT, 100) < world->knobs.token_percent;
    fill_operation(world, op);
    return op;
}

/* The same request again, under the same token, perhaps at another node. */
static struct op *repeat(struct world *world, const struct op *before)
{
    struct op *op = world->ops_count < OPS_OF_CLIENTS_MAX ? op_new(world, before->kind) : NULL;

    if (op != NULL) {
        op->first = before->first;
        op->client = before->client;
        op->key = before->key;
        op->cas = before->cas;
        op->floor = before->floor; /* it may have been done as early as that */
        op->has_token = true;
        op->ttl_ms = before->ttl_ms;
        world->ops[op->first - 1].is_retried = true;
        world->counts->writes_repeated++;
        fill_operation(world, op);
    }
    return op;
}

/* -- on its way -- */

static void on_arrival(struct world *world, struct host *host, void *context, uint64_t number)
{
    struct op *op = context;

    (void)host;
    (void)number;
    if (!op->host->is_running) {
        op->claimed = OP_NOT_DONE; /* refused: nothing was sent */
        world_at(world, world->now_us, client_returned, NULL, op, 0);
        return;
    }
    op->host_life = op->host->life;
    sim_server_operation(op->host->loops->server, op);
    world->ops_open++;
    op->is_inside = true;
    op->arrived_us = world->now_us;
    if (op->kind == OP_WAIT) {
        oracle_waits(op);
    }
    host_wake_loop(op->host, 0);
}

void op_send(struct world *world, struct op *op, struct host *host)
{
    op->host = host;
    if (op->kind != OP_ADMIN) {
        world_tell(world, host, "is asked for %u: %s %s", op->number, op->request.method_name,
                   op->target);
    }
    if (world->is_client_cut[host->number]) {
        return; /* the client's patience ends it */
    }
    world_at(world, world->now_us + net_delay_us(world), on_arrival, NULL, op, 0);
}

static uint64_t header_number(const struct http_response *response, const char *name)
{
    uint64_t number = 0;

    for (uint32_t i = 0; i < response->headers_count; i++) {
        if (strcmp(response->headers[i].name, name) == 0 &&
            rk_parse_u64(response->headers[i].value, &number) == RK_OK) {
            return number;
        }
    }
    return 0;
}

static const char *header_text(const struct http_response *response, const char *name)
{
    for (uint32_t i = 0; i < response->headers_count; i++) {
        if (strcmp(response->headers[i].name, name) == 0) {
            return response->headers[i].value;
        }
    }
    return "";
}

static bool body_is(const struct http_response *response, const char *text)
{
    const size_t size = strlen(text);

    return response->body.size >= size && memcmp(response->body.data, text, size) == 0;
}

static bool is_session_gone(const struct op *op, const struct http_response *response)
{
    return (op->kind == OP_RENEW && response->status == 404) ||
           (op->kind == OP_ACQUIRE && body_is(response, "invalid session"));
}

static enum op_state claim_of(const struct op *op, const struct http_response *response)
{
    const char *outcome = header_text(response, "X-Raftkv-Outcome");

    if (response->status == 200 || (response->status == 409 && op->kind == OP_TXN) ||
        (response->status == 404 && op_is_read(op))) {
        return OP_DONE;
    }
    if (op_is_lock(op) && is_session_gone(op, response)) {
        return OP_DONE;
    }
    if (op_is_read(op) || strcmp(outcome, "not-done") == 0) {
        return OP_NOT_DONE;
    }
    return OP_UNKNOWN;
}

static void read_answer(struct op *op, const struct http_response *response)
{
    struct host *host = op->host;

    if (op_is_read(op)) {
        op->read_index = header_number(response, "X-Consul-Index");
        /* The root that the gateway has just used: nothing runs in between. */
        const struct sm_root *root = root_acquire(host->board, GATEWAY_SLOTS_PER_LOOP);
        op->witness = root->last_applied;
        root_release(host->board, GATEWAY_SLOTS_PER_LOOP);
        char text[16] = "";
        if (response->status == 200) {
            const size_t size = response->body.size < 15 ? response->body.size : 15;
            memcpy(text, response->body.data, size);
            op->value = (uint32_t)strtoul(text, NULL, 10);
        }
        return;
    }
    if (op_is_lock(op)) {
        op->is_session_gone = is_session_gone(op, response);
        op->fence = header_number(response, "X-Raftkv-Fence");
    }
    if (op->kind == OP_SESSION && body_is(response, "{\"ID\":\"")) {
        memcpy(op->session, response->body.data + 7, SESSION_ID_TEXT_SIZE - 1);
    }
    op->accepted = body_is(response, "true") ||
                   ((op->kind == OP_TXN || op->kind == OP_SESSION || op->kind == OP_RENEW) &&
                    response->status == 200);
    op->witness = header_number(response, "X-Consul-Index");
}

void client_answered(struct op *op, const struct http_response *response)
{
    struct world *world = sim_world;

    world->ops_open--;
    op->is_inside = false;
    op->answers++;
    op->http_status = response->status;
    op->claimed = claim_of(op, response);
    if (op->kind == OP_ADMIN) {
        operator_answered(world, op, response);
        return;
    }
    if (op->claimed == OP_DONE) {
        read_answer(op, response);
    }
    oracle_claimed(op, header_text(response, "X-Raftkv-Outcome"));
    if (!world->is_client_cut[op->host->number]) {
        world_at(world, world->now_us + net_delay_us(world), client_returned, NULL, op, 0);
    }
}

void client_reset(struct op *op)
{
    struct world *world = sim_world;

    world->ops_open--;
    op->is_inside = false;
    op->claimed = OP_UNKNOWN;
    if (op->kind == OP_ADMIN) {
        operator_answered(world, op, NULL);
        return;
    }
    world_at(world, world->now_us + net_delay_us(world), client_returned, NULL, op, 0);
}

/* -- back -- */

static void learn(struct world *world, const struct op *op)
{
    struct client *client = &world->clients[op->client];

    if (op->state == OP_DONE && op_is_read(op) && op->kind != OP_STALE) {
        client->seen[op->key] = op->read_index;
    }
    if (op->state == OP_DONE && op->kind != OP_DELETE) {
        client->known[op->key] = world->key_changed[op->key];
    } else if (op->state == OP_DONE) {
        client->known[op->key] = 0;
    }
}

static void end_operation(struct world *world, struct op *op, enum op_state state)
{
    if (op->state != OP_OPEN) {
        return; /* it has given up */
    }
    op->state = state;
    oracle_returned(op);
    if (op->holder != NULL) {
        holder_returned(world, op);
    }
    if (op->client == CLIENTS_MAX) {
        return;
    }
    struct client *client = &world->clients[op->client];
    RK_ASSERT(client->op == op);
    client->op = NULL;
    learn(world, op);
    if (op->has_token && op->state != OP_DONE && tape_draw(&world->tape, TAPE_CLIENT, 4) != 0) {
        client->repeats = op;
    }
    if (op->state != OP_DONE && tape_draw(&world->tape, TAPE_CLIENT, 2) == 0) {
        client->host = tape_draw(&world->tape, TAPE_CLIENT, world->hosts_count);
    }
    const uint64_t pause_us = op->state == OP_DONE ? 0 : RETRY_US;
    client_next(world, op->client,
                pause_us + tape_around(&world->tape, TAPE_CLIENT, world->knobs.think_us));
}

void client_returned(struct world *world, struct host *host, void *context, uint64_t number)
{
    struct op *op = context;

    (void)host;
    (void)number;
    end_operation(world, op, op->claimed);
}

void op_give_up(struct world *world, struct op *op)
{
    end_operation(world, op, OP_UNKNOWN);
}

static void on_patience(struct world *world, struct host *host, void *context, uint64_t number)
{
    (void)host;
    (void)number;
    end_operation(world, context, OP_UNKNOWN);
}

static struct host *draw_host(struct world *world, uint32_t client)
{
    struct host *leader = host_leader(world);

    if (leader != NULL && tape_draw(&world->tape, TAPE_CLIENT, 100) < world->knobs.leader_percent) {
        return leader;
    }
    return &world->hosts[world->clients[client].host];
}

static void on_client(struct world *world, struct host *host, void *context, uint64_t number)
{
    const uint32_t number_of_client = (uint32_t)number;
    struct client *client = &world->clients[number_of_client];

    (void)host;
    (void)context;
    if (client->op != NULL || world->is_quiet) {
        return;
    }
    struct op *op = client->repeats != NULL ? repeat(world, client->repeats)
                                            : draw_operation(world, number_of_client);
    client->repeats = NULL;
    if (op == NULL) {
        return;
    }
    client->op = op;
    op_send(world, op, draw_host(world, number_of_client));
    world_at(world, world->now_us + client->timeout_us, on_patience, NULL, op, 0);
}

static void client_next(struct world *world, uint32_t client, uint64_t delay_us)
{
    world_at(world, world->now_us + delay_us, on_client, NULL, NULL, client);
}

void clients_open(struct world *world)
{
    for (uint32_t i = 0; i < world->knobs.clients; i++) {
        struct client *client = &world->clients[i];
        client->host = tape_draw(&world->tape, TAPE_CLIENT, world->knobs.voters);
        client->timeout_us =
            (uint64_t)tape_log_between(&world->tape, TAPE_CLIENT, 20, world->knobs.timeout_ms) * MS;
        client_next(world, i, tape_draw(&world->tape, TAPE_CLIENT, 200 * MS));
    }
}

/* Many writes at once, of nobody who waits: into a leader that may be cut off. */
void clients_burst(struct world *world, struct host *host)
{
    const uint32_t count = tape_between(&world->tape, TAPE_CLIENT, BURST_MIN, BURST_MAX);

    world_tell(world, host, "gets a burst of %u writes", count);
    for (uint32_t i = 0; i < count; i++) {
        struct op *op = op_new(world, OP_PUT);
        if (op == NULL) {
            return;
        }
        op->key = tape_draw(&world->tape, TAPE_CLIENT, world->knobs.keys);
        fill_operation(world, op);
        op_send(world, op, host);
        world_at(world, world->now_us + 2000 * MS, on_patience, NULL, op, 0);
    }
}

void client_probe(struct world *world, struct op *op, struct host *host)
{
    op->key = 0;
    fill_operation(world, op);
    op_send(world, op, host);
}
