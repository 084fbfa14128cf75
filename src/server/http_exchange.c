#include "server/http_exchange.h"

#include "base/assert.h"
#include "base/heap.h"

enum {
    SPARES_MAX = 256,
    SPARE_BODY_SIZE_MAX = 4096,
    SPARE_TARGET_SIZE_MAX = 1024,
};

void http_exchange_pool_init(struct http_exchange_pool *pool, size_t body_size_max)
{
    *pool = (struct http_exchange_pool){.body_size_max = body_size_max};
}

static void exchange_free(struct http_exchange *exchange)
{
    rk_buf_done(&exchange->target);
    rk_buf_done(&exchange->body);
    rk_heap_free(exchange);
}

void http_exchange_pool_done(struct http_exchange_pool *pool)
{
    while (pool->spares != NULL) {
        struct http_exchange *exchange = pool->spares;
        pool->spares = exchange->next_spare;
        exchange_free(exchange);
    }
}

static struct http_exchange *exchange_new(const struct http_exchange_pool *pool)
{
    struct http_exchange *exchange = rk_heap_zalloc(1, sizeof *exchange);

    rk_buf_init(&exchange->target, RK_TARGET_SIZE_MAX + 1);
    rk_buf_init(&exchange->body, pool->body_size_max);
    return exchange;
}

struct http_exchange *http_exchange_take(struct http_exchange_pool *pool,
                                         struct http_connection *connection)
{
    struct http_exchange *exchange = pool->spares;

    RK_ASSERT(connection->exchange == NULL);
    if (exchange == NULL) {
        exchange = exchange_new(pool);
    } else {
        pool->spares = exchange->next_spare;
        pool->spares_count--;
    }
    exchange->connection = connection;
    connection->exchange = exchange;
    return exchange;
}

static void buf_empty(struct rk_buf *buf, size_t kept_size_max)
{
    const size_t size_max = buf->size_max;

    if (buf->capacity > kept_size_max) {
        rk_buf_done(buf);
        rk_buf_init(buf, size_max);
    } else {
        rk_buf_reset(buf);
    }
}

void http_exchange_drop_body(struct http_exchange *exchange)
{
    buf_empty(&exchange->body, 0);
}

void http_exchange_put_back(struct http_exchange_pool *pool, struct http_exchange *exchange)
{
    RK_ASSERT(exchange->answer == NULL);
    exchange->connection->exchange = NULL;
    if (pool->spares_count == SPARES_MAX) {
        exchange_free(exchange);
        return;
    }
    buf_empty(&exchange->target, SPARE_TARGET_SIZE_MAX);
    buf_empty(&exchange->body, SPARE_BODY_SIZE_MAX);
    exchange->connection = NULL;
    exchange->state = EXCHANGE_HEAD;
    exchange->was_handed = false;
    exchange->is_stream = false;
    exchange->user = NULL;
    exchange->body_received = 0;
    exchange->next_spare = pool->spares;
    pool->spares = exchange;
    pool->spares_count++;
}
