/* When one answer may be given to many: to the same question, about the same state, at once. */
#include "server/shared_answer.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/http.h"
#include "server/http_answer.h"
#include "support/run.h"

enum { ROOT = 7, MADE_MS = 1000 };

static struct shared_answer shared;
static struct http_answer *made;

static struct rk_bytes question(const char *text)
{
    return (struct rk_bytes){.data = (const uint8_t *)text, .size = (uint32_t)strlen(text)};
}

static struct http_answer *answer_new(void)
{
    struct http_response response;

    http_response_init(&response, 100);
    http_response_text(&response, 200, "body");
    return http_answer_new(&response, false);
}

static void setup(void)
{
    shared_answer_init(&shared);
    made = answer_new();
    shared_answer_keep(&shared, question("k"), ROOT, MADE_MS, made);
}

static void teardown(void)
{
    shared_answer_done(&shared);
    ck_assert_uint_eq(made->holders, 1);
    http_answer_drop(made);
}

START_TEST(same_question_gets_the_same_answer_and_a_hold_of_it)
{
    struct http_answer *found =
        shared_answer_find(&shared, question("k"), ROOT, MADE_MS + SHARED_ANSWER_AGE_MS);

    ck_assert_ptr_eq(found, made);
    ck_assert_uint_eq(made->holders, 3);
    http_answer_drop(found);
}
END_TEST

START_TEST(another_question_or_state_gets_none)
{
    ck_assert_ptr_null(shared_answer_find(&shared, question("j"), ROOT, MADE_MS));
    ck_assert_ptr_null(shared_answer_find(&shared, question("kk"), ROOT, MADE_MS));
    ck_assert_ptr_null(shared_answer_find(&shared, question("k"), ROOT + 1, MADE_MS));
}
END_TEST

/* It says how long ago the leader was heard. */
START_TEST(old_answer_is_not_given_again)
{
    ck_assert_ptr_null(
        shared_answer_find(&shared, question("k"), ROOT, MADE_MS + SHARED_ANSWER_AGE_MS + 1));
}
END_TEST

START_TEST(newer_answer_takes_the_place_of_the_last)
{
    struct http_answer *newer = answer_new();

    shared_answer_keep(&shared, question("k"), ROOT + 1, MADE_MS, newer);
    ck_assert_uint_eq(made->holders, 1);
    ck_assert_ptr_null(shared_answer_find(&shared, question("k"), ROOT, MADE_MS));
    struct http_answer *found = shared_answer_find(&shared, question("k"), ROOT + 1, MADE_MS);
    ck_assert_ptr_eq(found, newer);
    http_answer_drop(found);
    http_answer_drop(newer);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("shared_answer");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, same_question_gets_the_same_answer_and_a_hold_of_it);
    tcase_add_test(tcase, another_question_or_state_gets_none);
    tcase_add_test(tcase, old_answer_is_not_given_again);
    tcase_add_test(tcase, newer_answer_takes_the_place_of_the_last);
    return run_suite("shared_answer", tcase);
}
