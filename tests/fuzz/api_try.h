/* api_try.h -- one request through the API of a small store, and what must hold of every answer; shared
 * by the fuzz targets of src/api. */
#ifndef RK_FUZZ_API_TRY_H
#define RK_FUZZ_API_TRY_H

#include "base/http.h"

/* Asks, and lets the node do what comes of it: a write is applied to a state of its own, a read is
 * answered from a few keys. Aborts where the answer is not whole, not JSON where it says so, or the
 * command not one that every node can apply. The target is copied to its exact size, so that reads
 * behind its end are seen. */
void api_try(enum http_method method, const char *target, struct rk_bytes body);

#endif
