/* fuzz.h -- what a fuzz target defines: one function, called with arbitrary bytes.
 *
 * libFuzzer calls it in a build with --enable-fuzz; in every other build replay_main.c does, with
 * the files of tests/fuzz/corpus/<target> and a fixed set of damaged copies of them, as part of
 * `make check`. A violated property is an RK_ASSERT.
 */
#ifndef RK_TESTS_FUZZ_FUZZ_H
#define RK_TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>

/* Returns 0. `data` is borrowed and ends exactly at `size`; it may be NULL when size is 0. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
