#include "base/heap.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

/* malloc(0) and realloc(p, 0) may answer NULL, which would read as a failure. */
static size_t at_least_one(size_t size)
{
    return size == 0 ? 1 : size;
}

static void *checked(void *memory, size_t size)
{
    if (memory == NULL) {
        (void)fprintf(stderr, "out of memory: %zu bytes were wanted\n", size);
        abort();
    }
    return memory;
}

void *rk_heap_alloc(size_t size)
{
    return checked(malloc(at_least_one(size)), size);
}

void *rk_heap_zalloc(size_t count, size_t size)
{
    RK_ASSERT(size == 0 || count <= SIZE_MAX / size);
    return checked(calloc(1, at_least_one(count * size)), count * size);
}

void *rk_heap_realloc(void *memory, size_t size)
{
    return checked(realloc(memory, at_least_one(size)), size);
}

char *rk_heap_text(const char *text)
{
    const size_t size = strlen(text) + 1;
    return memcpy(rk_heap_alloc(size), text, size);
}

void rk_heap_free(void *memory)
{
    free(memory);
}
