/* quick.h -- an assertion for inner loops: Check's own leave a mark on disk at every call. */
#ifndef RK_TESTS_SUPPORT_QUICK_H
#define RK_TESTS_SUPPORT_QUICK_H

#include <check.h>

#define quick_assert(condition)             \
    do {                                    \
        if (!(condition)) {                 \
            ck_abort_msg("%s", #condition); \
        }                                   \
    } while (0)

#endif
