#include "server/http_answer_pool.h"

#include <microhttpd.h>
#include <stddef.h>
#include <string.h>

#include "base/assert.h"
#include "base/heap.h"
#include "server/http_answer.h"

enum {
    SPARES_MAX = 256,
    SPARE_HEADERS_MAX = 10,
    SPARE_VALUE_SIZE_MAX = RK_U64_DIGITS_MAX + 1, /* of a copied one, with its NUL */
    SPARE_BODY_SIZE_MAX = 2048,
    LOOKS_MAX = 4, /* at spares of another shape with the same hash */
};

struct spare_header {
    const char *name;
    const char *value; /* static text, or `copy` */
    char copy[SPARE_VALUE_SIZE_MAX];
};

struct spare_answer {
    struct http_answer answer; /* first: an answer is its spare */
    struct spare_answer *next;
    struct spare_header headers[SPARE_HEADERS_MAX];
    uint32_t headers_count;
    uint32_t body_size;
    uint8_t body[]; /* libmicrohttpd sends it from here */
};

static bool is_copied(const struct http_response *response, const char *value)
{
    const uintptr_t at = (uintptr_t)value;
    const uintptr_t arena = (uintptr_t)response->arena;

    return at >= arena && at < arena + sizeof(response->arena);
}

static bool can_be_spared(const struct http_response *response)
{
    if (response->stream != NULL || response->is_bulk || response->long_value.data != NULL ||
        response->body.size > SPARE_BODY_SIZE_MAX || response->headers_count > SPARE_HEADERS_MAX) {
        return false;
    }
    for (uint32_t i = 0; i < response->headers_count; i++) {
        const char *value = response->headers[i].value;
        if (is_copied(response, value) && strlen(value) >= SPARE_VALUE_SIZE_MAX) {
            return false;
        }
    }
    return true;
}

/* ---- shapes ---- */

static uint32_t place_of(size_t body_size, uint32_t headers_count)
{
    return ((uint32_t)body_size + 13 * headers_count) % HTTP_ANSWER_SHAPES;
}

/* Names are static text: the same one mostly has the same address. */
static bool has_shape(const struct spare_answer *spare, const struct http_response *response)
{
    if (spare->body_size != response->body.size ||
        spare->headers_count != response->headers_count) {
        return false;
    }
    for (uint32_t i = 0; i < response->headers_count; i++) {
        if (spare->headers[i].name != response->headers[i].name) {
            return false;
        }
    }
    return true;
}

static struct spare_answer *spare_take(struct http_answer_pool *pool,
                                       const struct http_response *response)
{
    struct spare_answer **link =
        &pool->spares[place_of(response->body.size, response->headers_count)];

    for (uint32_t looks = 0; *link != NULL && looks < LOOKS_MAX; looks++) {
        struct spare_answer *spare = *link;
        if (has_shape(spare, response)) {
            *link = spare->next;
            pool->spares_count--;
            return spare;
        }
        link = &spare->next;
    }
    return NULL;
}

/* ---- filling ---- */

static void header_fill(struct spare_answer *spare, uint32_t i,
                        const struct http_response *response)
{
    struct spare_header *header = &spare->headers[i];
    const char *value = response->headers[i].value;

    header->name = response->headers[i].name;
    if (is_copied(response, value)) {
        memcpy(header->copy, value, strlen(value) + 1);
        value = header->copy;
    }
    header->value = value;
    /* A value that cannot be a field is left out: http_answer.h says so. */
    const enum MHD_Result added =
        MHD_add_response_header(spare->answer.mhd, header->name, header->value);
    RK_MAYBE(added == MHD_NO);
}

static void header_refill(struct spare_answer *spare, uint32_t i,
                          const struct http_response *response)
{
    const struct spare_header *header = &spare->headers[i];
    const char *value = response->headers[i].value;

    if (header->value == value || strcmp(header->value, value) == 0) {
        return;
    }
    const enum MHD_Result deleted =
        MHD_del_response_header(spare->answer.mhd, header->name, header->value);
    RK_MAYBE(deleted == MHD_NO); /* it was left out */
    header_fill(spare, i, response);
}

static struct spare_answer *spare_new(const struct http_response *response)
{
    const size_t body_size = response->body.size;
    struct spare_answer *spare = rk_heap_alloc(sizeof(*spare) + body_size);

    spare->headers_count = response->headers_count;
    spare->body_size = (uint32_t)body_size;
    spare->answer = (struct http_answer){
        .mhd = MHD_create_response_from_buffer(body_size, spare->body, MHD_RESPMEM_PERSISTENT),
        .holders = 1,
        .is_pooled = true,
    };
    RK_ASSERT(spare->answer.mhd != NULL);
    for (uint32_t i = 0; i < response->headers_count; i++) {
        header_fill(spare, i, response);
    }
    return spare;
}

struct http_answer *http_answer_pool_make(struct http_answer_pool *pool,
                                          struct http_response *response, bool closes_connection)
{
    if (closes_connection || !can_be_spared(response)) {
        return http_answer_new(response, closes_connection);
    }
    struct spare_answer *spare = spare_take(pool, response);
    if (spare == NULL) {
        spare = spare_new(response);
    } else {
        for (uint32_t i = 0; i < response->headers_count; i++) {
            header_refill(spare, i, response);
        }
    }
    spare->answer.status = response->status;
    if (response->body.size > 0) {
        memcpy(spare->body, response->body.data, response->body.size);
    }
    http_response_done(response);
    return &spare->answer;
}

/* ---- keeping ---- */

void http_answer_pool_init(struct http_answer_pool *pool)
{
    *pool = (struct http_answer_pool){.spares_count = 0};
}

static void drop_first(struct http_answer_pool *pool, uint32_t place)
{
    struct spare_answer *spare = pool->spares[place];

    pool->spares[place] = spare->next;
    pool->spares_count--;
    http_answer_drop(&spare->answer);
}

/* Those of a shape that is asked for no more are to go as well: each place in turn gives one. */
static void drop_one(struct http_answer_pool *pool)
{
    while (pool->spares[pool->victim % HTTP_ANSWER_SHAPES] == NULL) {
        pool->victim++;
    }
    drop_first(pool, pool->victim % HTTP_ANSWER_SHAPES);
    pool->victim++;
}

void http_answer_pool_put_back(struct http_answer_pool *pool, struct http_answer *answer)
{
    if (answer == NULL || !answer->is_pooled) {
        http_answer_drop(answer);
        return;
    }
    struct spare_answer *spare = (struct spare_answer *)(void *)answer;
    const uint32_t place = place_of(spare->body_size, spare->headers_count);

    RK_ASSERT(answer->holders == 1);
    if (pool->spares_count == SPARES_MAX) {
        drop_one(pool);
    }
    spare->next = pool->spares[place];
    pool->spares[place] = spare;
    pool->spares_count++;
}

void http_answer_pool_done(struct http_answer_pool *pool)
{
    for (uint32_t place = 0; place < HTTP_ANSWER_SHAPES; place++) {
        while (pool->spares[place] != NULL) {
            drop_first(pool, place);
        }
    }
}
