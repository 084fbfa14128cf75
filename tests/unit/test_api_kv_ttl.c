/* /v1/kv/{key}?ttl=: what is asked for, what is refused, what is shown. */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "support/run.h"
#include "unit/api_harness.h"

START_TEST(entry_shows_its_time_to_live_as_a_duration)
{
    expect("PUT", "/v1/kv/k?ttl=90s", "v", 200, "true");
    expect("GET", "/v1/kv/k", "", 200,
           "[{\"LockIndex\":0,\"Key\":\"k\",\"Flags\":0,\"Value\":\"dg==\",\"TTL\":\"1m30s\","
           "\"CreateIndex\":2,\"ModifyIndex\":2}]");
    ck_assert_ptr_nonnull(strstr(get("/v1/kv/?recurse")->body, "\"TTL\":\"1m30s\""));
}
END_TEST

/* Contract 5.11: who does not ask for one sees no member that is not in the original. */
START_TEST(entry_without_one_has_no_such_member)
{
    put("/v1/kv/k?ttl=90s", "v");
    put("/v1/kv/k", "v");
    ck_assert_ptr_null(strstr(get("/v1/kv/k")->body, "TTL"));
}
END_TEST

/* A part of a millisecond is rounded up: late, never early. */
START_TEST(less_than_a_millisecond_is_one)
{
    expect("PUT", "/v1/kv/k?ttl=1ns", "v", 200, "true");
    ck_assert_ptr_nonnull(strstr(get("/v1/kv/k")->body, "\"TTL\":\"1ms\""));
    expect("PUT", "/v1/kv/k?ttl=1000001ns", "v", 200, "true");
    ck_assert_ptr_nonnull(strstr(get("/v1/kv/k")->body, "\"TTL\":\"2ms\""));
}
END_TEST

START_TEST(it_goes_with_flags_and_cas)
{
    expect("PUT", "/v1/kv/k?ttl=87600h&flags=7&cas=0", "v", 200, "true");
    get("/v1/kv/k");
    ck_assert_uint_eq(member_u64("Flags"), 7);
    ck_assert_ptr_nonnull(strstr(harness.answer.body, "\"TTL\":\"87600h0m0s\""));
    expect("PUT", "/v1/kv/k?ttl=1s&cas=0", "w", 200, "false");
    ck_assert_ptr_nonnull(strstr(get("/v1/kv/k")->body, "\"TTL\":\"87600h0m0s\""));
}
END_TEST

static const struct {
    const char *target;
    const char *text;
} refused[] = {
    {"/v1/kv/k?ttl", "Invalid ttl \"\", must be between [1ms=87600h0m0s]"},
    {"/v1/kv/k?ttl=", "Invalid ttl \"\", must be between [1ms=87600h0m0s]"},
    {"/v1/kv/k?ttl=0", "Invalid ttl \"0\", must be between [1ms=87600h0m0s]"},
    {"/v1/kv/k?ttl=30", "Invalid ttl \"30\", must be between [1ms=87600h0m0s]"},
    {"/v1/kv/k?ttl=-1s", "Invalid ttl \"-1s\", must be between [1ms=87600h0m0s]"},
    {"/v1/kv/k?ttl=1d", "Invalid ttl \"1d\", must be between [1ms=87600h0m0s]"},
    {"/v1/kv/k?ttl=87601h", "Invalid ttl \"87601h\", must be between [1ms=87600h0m0s]"},
    {"/v1/kv/k?ttl=99999999h", "Invalid ttl \"99999999h\", must be between [1ms=87600h0m0s]"},
    {"/v1/kv/k?ttl=1s&acquire=x", "Conflicting flags: acquire=x&ttl=1s\n"},
    {"/v1/kv/k?ttl=1s&release=x", "Conflicting flags: release=x&ttl=1s\n"},
};

START_TEST(bad_time_to_live_is_refused_and_nothing_done)
{
    expect("PUT", refused[_i].target, "v", 400, refused[_i].text);
    ck_assert_str_eq(header("X-Raftkv-Outcome"), "not-done");
    ck_assert_uint_eq(get("/v1/kv/k")->status, 404);
}
END_TEST

/* A lock lives as long as its session does. */
START_TEST(taking_the_lock_ends_it)
{
    char target[128];
    char id[64];
    put("/v1/session/create", "{\"TTL\":\"10s\"}");
    ck_assert_int_eq(sscanf(harness.answer.body, "{\"ID\":\"%36[^\"]", id), 1);
    put("/v1/kv/k?ttl=1s", "v");
    (void)snprintf(target, sizeof(target), "/v1/kv/k?acquire=%s", id);
    expect("PUT", target, "v", 200, "true");
    ck_assert_ptr_null(strstr(get("/v1/kv/k")->body, "TTL"));
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("kv_ttl");
    tcase_add_checked_fixture(tcase, harness_open, harness_close);
    tcase_add_test(tcase, entry_shows_its_time_to_live_as_a_duration);
    tcase_add_test(tcase, entry_without_one_has_no_such_member);
    tcase_add_test(tcase, less_than_a_millisecond_is_one);
    tcase_add_test(tcase, it_goes_with_flags_and_cas);
    tcase_add_loop_test(tcase, bad_time_to_live_is_refused_and_nothing_done, 0,
                        sizeof(refused) / sizeof(refused[0]));
    tcase_add_test(tcase, taking_the_lock_ends_it);
    return run_suite("api_kv_ttl", tcase);
}
