/* fuzz_query.c -- a query string at every route that has parameters: the answer is whole, and what was
 * read of the query is read again from what is written of it.
 *
 * Input: one byte for the route, the query. */
#include <string.h>

#include "api/request.h"
#include "api/router.h"
#include "base/assert.h"
#include "base/heap.h"
#include "fuzz/api_try.h"
#include "fuzz/fuzz.h"

static void parse(struct api_call *call, struct rk_bytes query, enum request_fault *ret)
{
    memset(call, 0, sizeof(*call));
    rk_buf_init(&call->query, RK_TARGET_SIZE_MAX + 1);
    *ret = request_parse_query(call, query);
}

static bool is_same(const struct http_field *a, const struct http_field *b)
{
    return strcmp(a->name, b->name) == 0 && strcmp(a->value, b->value) == 0;
}

/* Sorted by name, each field stands for one of the other's: as many, and each is there. */
static void check_round_trip(const char *text)
{
    struct api_call first;
    struct api_call second;
    struct rk_buf written;
    enum request_fault fault = REQUEST_OK;

    parse(&first, (struct rk_bytes){.data = (const uint8_t *)text, .size = (uint32_t)strlen(text)},
          &fault);
    if (fault == REQUEST_OK) {
        rk_buf_init(&written, 4 * RK_TARGET_SIZE_MAX);
        request_encode_query(&first, &written);
        RK_ASSERT(!written.overflowed);
        if (written.size <= RK_TARGET_SIZE_MAX) {
            parse(&second, rk_buf_bytes(&written), &fault);
            RK_ASSERT(fault == REQUEST_OK);
            RK_ASSERT(second.parameters_count == first.parameters_count);
            for (uint32_t i = 0; i < first.parameters_count; i++) {
                uint32_t at = 0;
                while (at < second.parameters_count &&
                       !is_same(&first.parameters[i], &second.parameters[at])) {
                    at++;
                }
                RK_ASSERT(at < second.parameters_count);
            }
            rk_buf_done(&second.query);
        }
        rk_buf_done(&written);
    }
    rk_buf_done(&first.query);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0 || size > RK_TARGET_SIZE_MAX || memchr(data + 1, '\0', size - 1) != NULL) {
        return 0;
    }
    const struct api_route *route = &api_routes[data[0] % api_routes_count];
    const size_t path_size = strlen(route->path);
    char *target = rk_heap_alloc(path_size + size + 2);

    memcpy(target, route->path, path_size);
    memcpy(target + path_size, "a?", 2); /* the rest of the path, where there is one */
    const size_t at = path_size + (route->rest != NULL ? 2 : 1);
    target[at - 1] = '?';
    memcpy(target + at, data + 1, size - 1);
    target[at + size - 1] = '\0';
    check_round_trip(target + at);
    api_try(route->method, target, (struct rk_bytes){.data = (const uint8_t *)"{}", .size = 2});
    rk_heap_free(target);
    return 0;
}
