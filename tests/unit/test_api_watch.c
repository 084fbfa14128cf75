/* The event stream as its reader sees it: nothing missing, nothing twice (pitfalls 134 to 136). */
#include "api/api_watch.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/heap.h"
#include "base/parse.h"
#include "base/prng.h"
#include "support/quick.h"
#include "support/run.h"
#include "unit/api_harness.h"

static struct api_call call;
static struct rk_buf text; /* all that was sent, with a NUL behind it */
static char last_id[32];   /* as a browser keeps it */

static void setup(void)
{
    harness_open();
    rk_buf_init(&text, 64 << 20);
    call.events = NULL;
    last_id[0] = '\0';
}

static void hang_up(void)
{
    if (call.events != NULL) {
        api_end(&call);
        call.events = NULL;
    }
}

static void teardown(void)
{
    hang_up();
    rk_buf_done(&text);
    harness_close();
}

static void connect_with(const char *target, const char *last_event_id)
{
    const struct http_field header = {.name = "last-event-id", .value = last_event_id};
    const struct http_request request = {.method = HTTP_GET,
                                         .method_name = "GET",
                                         .target = target,
                                         .headers = &header,
                                         .headers_count = last_event_id == NULL ? 0 : 1};
    const struct sm_root root = sm_publish(harness.sm);
    struct http_response response;
    bool streams = false;

    hang_up();
    ck_assert_int_eq(api_begin(&call, &harness.options, &request, &harness.node, &response),
                     API_READ);
    api_finish_read(&call, &root, &harness.node, &response, &streams);
    ck_assert_ptr_nonnull(call.events);
    ck_assert_uint_eq(response.status, 200);
    http_response_done(&response);
}

/* One slice, behind what was sent before. */
static enum api_events_status slice(void)
{
    const struct sm_root root = sm_publish(harness.sm);
    struct rk_buf chunk;

    rk_buf_init(&chunk, API_EVENTS_SIZE_MAX);
    const enum api_events_status status = api_events_render(call.events, &root, &chunk);
    rk_buf_append(&text, chunk.data, chunk.size);
    rk_buf_append_byte(&text, '\0');
    text.size--;
    rk_buf_done(&chunk);
    return status;
}

/* All that there is now, and nothing of before. */
static const char *sent(void)
{
    rk_buf_reset(&text);
    while (slice() == API_EVENTS_MORE) {
        /* the next one */
    }
    return (const char *)text.data;
}

START_TEST(stream_begins_with_its_place)
{
    put("/v1/kv/a/1", "old");
    connect_with("/v1/watch/a/", NULL);
    ck_assert_str_eq(sent(), "id: 2\nevent: start\ndata: {\"Index\":2}\n\n");
    put("/v1/kv/a/1?flags=7", "x");
    put("/v1/kv/b", "elsewhere");
    ck_assert_str_eq(sent(), "id: 3\nevent: put\ndata: {\"Key\":\"a/1\",\"Value\":\"eA==\","
                             "\"Flags\":7,\"CreateIndex\":2,\"ModifyIndex\":3,\"LockIndex\":0,"
                             "\"Cause\":\"put\"}\n\n");
    del("/v1/kv/a/1");
    ck_assert_str_eq(sent(), "id: 5\nevent: delete\ndata: {\"Key\":\"a/1\",\"Index\":5,"
                             "\"Cause\":\"delete\"}\n\n");
    ck_assert_str_eq(sent(), "");
}
END_TEST

START_TEST(place_is_gone_on_from)
{
    put("/v1/kv/a", "1");
    put("/v1/kv/b", "2");
    connect_with("/v1/watch/?since=2", NULL);
    ck_assert_ptr_null(strstr(sent(), "\"a\""));
    connect_with("/v1/watch/?since=2", NULL);
    ck_assert_ptr_nonnull(strstr(sent(), "id: 3\nevent: put"));
    connect_with("/v1/watch/?since=1", "3"); /* the header is the later word */
    ck_assert_str_eq(sent(), "");
}
END_TEST

START_TEST(place_within_an_entry_is_gone_on_from)
{
    put("/v1/kv/p/a", "1");
    put("/v1/kv/p/b", "1");
    connect_with("/v1/watch/p/", NULL);
    (void)sent();
    del("/v1/kv/p?recurse");
    const char *both = sent();
    ck_assert_ptr_nonnull(strstr(both, "id: 4.1\nevent: delete\ndata: {\"Key\":\"p/a\""));
    ck_assert_ptr_nonnull(strstr(both, "id: 4\nevent: delete\ndata: {\"Key\":\"p/b\""));
    connect_with("/v1/watch/p/", "4.1");
    const char *second = sent();
    ck_assert_ptr_null(strstr(second, "p/a"));
    ck_assert_ptr_nonnull(strstr(second, "p/b"));
}
END_TEST

/* Pitfall 135: who comes from a node that is ahead is told nothing again. */
START_TEST(place_ahead_of_the_state_waits_until_it_is_passed)
{
    put("/v1/kv/a", "1");
    connect_with("/v1/watch/?since=3", NULL);
    put("/v1/kv/a", "2");
    ck_assert_str_eq(sent(), "");
    put("/v1/kv/a", "3");
    ck_assert_ptr_nonnull(strstr(sent(), "id: 4\n"));
}
END_TEST

/* etcd #15271: also when the stream has been looked at while the node was still behind. */
START_TEST(pitfall_135_place_ahead_of_the_state_stays_while_the_node_catches_up)
{
    put("/v1/kv/a", "1");
    connect_with("/v1/watch/?since=4", NULL);
    (void)sent();
    put("/v1/kv/a", "2");
    ck_assert_str_eq(sent(), "");
    put("/v1/kv/a", "3");
    ck_assert_str_eq(sent(), "");
    put("/v1/kv/a", "4");
    ck_assert_ptr_nonnull(strstr(sent(), "id: 5\n"));
}
END_TEST

/* It may be of another cluster, and then long in coming. */
START_TEST(who_is_ahead_of_the_state_is_told_so_once)
{
    put("/v1/kv/a", "1");
    connect_with("/v1/watch/?since=400", NULL);
    ck_assert_str_eq(sent(), "event: ahead\ndata: {\"Index\":2}\n\n");
    ck_assert_str_eq(sent(), "");
    connect_with("/v1/watch/?since=2", NULL);
    ck_assert_str_eq(sent(), "");
}
END_TEST

START_TEST(place_that_is_not_kept_gets_a_listing)
{
    put("/v1/kv/a/1", "x");
    put("/v1/kv/b", "y");
    connect_with("/v1/watch/a?since=0", NULL);
    ck_assert_str_eq(sent(), "id: 0\nevent: reset\ndata: {\"Index\":3}\n\n"
                             "event: put\ndata: {\"Key\":\"a/1\",\"Value\":\"eA==\",\"Flags\":0,"
                             "\"CreateIndex\":2,\"ModifyIndex\":2,\"LockIndex\":0,"
                             "\"Cause\":\"listing\"}\n\n"
                             "id: 3\nevent: listed\ndata: {\"Index\":3}\n\n");
}
END_TEST

static void fill(const char *path, int count, const char *value)
{
    char target[64];

    for (int i = 0; i < count; i++) {
        (void)snprintf(target, sizeof(target), "%s%04d", path, i);
        put(target, value);
    }
}

/* What changes while a long listing is sent comes as its event, and only so. */
START_TEST(change_during_a_listing_is_left_to_its_event)
{
    fill("/v1/kv/k", 2000, "before");
    connect_with("/v1/watch/?since=0", NULL);
    ck_assert_int_eq(slice(), API_EVENTS_MORE);
    put("/v1/kv/k1999", "after");
    del("/v1/kv/k1998");
    put("/v1/kv/k2000", "new");
    while (slice() == API_EVENTS_MORE) {
        /* the next one */
    }
    char *listed = strstr((char *)text.data, "event: listed");
    ck_assert_ptr_nonnull(listed);
    ck_assert_ptr_nonnull(strstr(listed, "\"k1999\""));
    ck_assert_ptr_nonnull(strstr(listed, "event: delete\ndata: {\"Key\":\"k1998\""));
    ck_assert_ptr_nonnull(strstr(listed, "\"k2000\""));
    *listed = '\0';
    ck_assert_ptr_nonnull(strstr((char *)text.data, "\"k1997\""));
    ck_assert_ptr_null(strstr((char *)text.data, "\"k1998\""));
    ck_assert_ptr_null(strstr((char *)text.data, "\"k1999\""));
    ck_assert_ptr_null(strstr((char *)text.data, "\"k2000\""));
}
END_TEST

/* Pitfall 134: never silently. */
START_TEST(reader_that_falls_behind_is_cut_off_with_the_reason)
{
    char *value = rk_heap_zalloc(1, 100 * 1024 + 1);

    connect_with("/v1/watch/", NULL);
    (void)sent();
    memset(value, 'x', 100 * 1024);
    fill("/v1/kv/large", 100, value);
    rk_buf_reset(&text);
    ck_assert_int_eq(slice(), API_EVENTS_CUT);
    ck_assert_str_eq(
        (char *)text.data,
        "event: end\ndata: {\"Reason\":\"what comes next is not kept any more: too slow, or "
        "the node took over a snapshot\"}\n\n");
    connect_with("/v1/watch/", "2");
    ck_assert_ptr_nonnull(strstr(sent(), "event: reset"));
    rk_heap_free(value);
}
END_TEST

START_TEST(deletion_of_many_concerns_who_watches_above_and_below)
{
    fill("/v1/kv/p/q/k", 1000, "x");
    connect_with("/v1/watch/p/q/k09", NULL);
    (void)sent();
    del("/v1/kv/p/?recurse");
    ck_assert_ptr_nonnull(strstr(sent(),
                                 "event: delete-prefix\ndata: {\"Prefix\":\"p/\",\"Index\":1002,"
                                 "\"Cause\":\"delete-prefix\"}"));
    connect_with("/v1/watch/p?since=1001", NULL);
    ck_assert_ptr_nonnull(strstr(sent(), "event: delete-prefix"));
    connect_with("/v1/watch/x?since=1001", NULL);
    ck_assert_str_eq(sent(), "");
}
END_TEST

/* Pitfall 136: who comes back from a quiet prefix has not lost its place. */
START_TEST(sign_of_life_carries_the_place_reached)
{
    struct rk_buf chunk;

    connect_with("/v1/watch/quiet/", NULL);
    (void)sent();
    put("/v1/kv/elsewhere", "x");
    (void)sent();
    rk_buf_init(&chunk, 1024);
    api_events_keep_alive(call.events, &chunk);
    rk_buf_append_byte(&chunk, '\0');
    ck_assert_str_eq((char *)chunk.data, ": keep-alive\nid: 2\n\n");
    rk_buf_done(&chunk);
}
END_TEST

START_TEST(stream_waits_for_its_prefix_behind_what_it_has_seen)
{
    raft_index after = 0;

    connect_with("/v1/watch/a%2Fb", NULL);
    put("/v1/kv/elsewhere", "x");
    (void)sent();
    const struct sm_topic topic = api_events_topic(call.events, &after);
    ck_assert_int_eq(topic.kind, SM_TOPIC_PREFIX);
    ck_assert_uint_eq(topic.key.size, 3);
    ck_assert_uint_eq(after, 2);
}
END_TEST

START_TEST(what_is_no_place_is_refused)
{
    static const char *const places[] = {"x",   "-1",    "1.",           ".1",
                                         "1.x", "1.2.3", "1.2147483647", "18446744073709551616"};

    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        char target[64];
        (void)snprintf(target, sizeof(target), "/v1/watch/?since=%s", places[i]);
        expect("GET", target, "", 400, "Invalid since or Last-Event-ID");
    }
    expect("GET", "/v1/watch/?dc=elsewhere", "", 500, "No path to datacenter");
}
END_TEST

/* --- a reader that keeps what it is told, and loses its connection all the time --- */

enum { KEYS_COUNT = 8, STEPS_COUNT = 3000 };

static raft_index told[KEYS_COUNT]; /* modify index of each key; 0: not there */

static void tell_put(const char *data)
{
    const uint32_t key = (uint32_t)(strstr(data, "\"Key\":\"p/")[9] - '0');
    const raft_index index = strtoull(strstr(data, "ModifyIndex\":") + 13, NULL, 10);

    quick_assert(index > told[key]); /* else twice, or back in time */
    told[key] = index;
}

static void tell_one(const char *event, const char *data)
{
    if (strncmp(event, "reset", 5) == 0) {
        memset(told, 0, sizeof(told));
    } else if (strncmp(event, "put", 3) == 0) {
        tell_put(data);
    } else if (strncmp(event, "delete", 6) == 0) {
        const uint32_t key = (uint32_t)(strstr(data, "\"Key\":\"p/")[9] - '0');
        quick_assert(told[key] != 0); /* else twice */
        told[key] = 0;
    }
}

/* Takes whole events; with `breaks`, the connection is lost after one of them. */
static void tell(const char *events, bool breaks, struct rk_prng *prng)
{
    while (*events != '\0') {
        const char *next = strstr(events, "\n\n") + 2;
        const char *event = strstr(events, "event: ");
        if (strncmp(events, "id: ", 4) == 0) {
            const size_t size = strcspn(events + 4, "\n");
            memcpy(last_id, events + 4, size);
            last_id[size] = '\0';
        }
        tell_one(event + 7, event);
        events = next;
        if (breaks && rk_prng_chance(prng, 300)) {
            connect_with("/v1/watch/p/", last_id);
            return;
        }
    }
}

static void change_one(struct rk_prng *prng)
{
    char target[32];

    (void)snprintf(target, sizeof(target), "/v1/kv/p/%u",
                   (unsigned)rk_prng_below(prng, KEYS_COUNT));
    if (rk_prng_chance(prng, 50)) {
        del("/v1/kv/p?recurse");
    } else if (rk_prng_chance(prng, 300)) {
        del(target);
    } else {
        put(target, rk_prng_chance(prng, 500) ? "1" : "2");
    }
}

static raft_index modify_index(uint32_t key)
{
    const struct sm_root root = sm_publish(harness.sm);
    struct sm_kv_entry entry = {.modify_index = 0};
    char name[8];

    (void)snprintf(name, sizeof(name), "p/%u", key);
    (void)sm_kv_get(&root, (struct rk_bytes){.data = (const uint8_t *)name, .size = 3}, &entry);
    return entry.modify_index;
}

START_TEST(reader_that_comes_back_again_and_again_knows_the_whole_state)
{
    struct rk_prng prng;

    rk_prng_seed(&prng, 7 + (uint64_t)_i);
    memset(told, 0, sizeof(told));
    connect_with("/v1/watch/p/", "0");
    for (int step = 0; step < STEPS_COUNT; step++) {
        for (uint64_t i = rk_prng_below(&prng, 4); i > 0; i--) {
            change_one(&prng);
        }
        tell(sent(), true, &prng);
    }
    tell(sent(), false, &prng);
    for (uint32_t key = 0; key < KEYS_COUNT; key++) {
        ck_assert_uint_eq(told[key], modify_index(key));
    }
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("api_watch");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, stream_begins_with_its_place);
    tcase_add_test(tcase, place_is_gone_on_from);
    tcase_add_test(tcase, place_within_an_entry_is_gone_on_from);
    tcase_add_test(tcase, place_ahead_of_the_state_waits_until_it_is_passed);
    tcase_add_test(tcase, pitfall_135_place_ahead_of_the_state_stays_while_the_node_catches_up);
    tcase_add_test(tcase, who_is_ahead_of_the_state_is_told_so_once);
    tcase_add_test(tcase, place_that_is_not_kept_gets_a_listing);
    tcase_add_test(tcase, change_during_a_listing_is_left_to_its_event);
    tcase_add_test(tcase, reader_that_falls_behind_is_cut_off_with_the_reason);
    tcase_add_test(tcase, deletion_of_many_concerns_who_watches_above_and_below);
    tcase_add_test(tcase, sign_of_life_carries_the_place_reached);
    tcase_add_test(tcase, stream_waits_for_its_prefix_behind_what_it_has_seen);
    tcase_add_test(tcase, what_is_no_place_is_refused);
    tcase_add_loop_test(tcase, reader_that_comes_back_again_and_again_knows_the_whole_state, 0, 3);
    return run_suite("api_watch", tcase);
}
