/* fuzz_http_target.c -- whatever stands in a request line, the answer is whole and the proposal is
 * one that every node can apply.
 *
 * Input: one byte for the method, the target up to a NUL, the body. */
#include <string.h>

#include "base/heap.h"
#include "fuzz/api_try.h"
#include "fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    const uint8_t *nul = memchr(data + 1, '\0', size - 1);
    const size_t target_size = nul == NULL ? size - 1 : (size_t)(nul - data - 1);
    struct rk_bytes body = {.size = 0};
    char *target = rk_heap_alloc(target_size + 1);

    memcpy(target, data + 1, target_size);
    target[target_size] = '\0';
    if (nul != NULL) {
        body = (struct rk_bytes){.data = nul + 1, .size = (uint32_t)(data + size - nul - 1)};
    }
    api_try((enum http_method)(data[0] % 8), target, body);
    rk_heap_free(target);
    return 0;
}
