/* fuzz_txn_body.c -- whatever the body of a transaction: the answer is whole and says what was wrong, or
 * the command is one that every node can apply. */
#include "fuzz/api_try.h"
#include "fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    api_try(HTTP_PUT, "/v1/txn", (struct rk_bytes){.data = data, .size = (uint32_t)size});
    return 0;
}
