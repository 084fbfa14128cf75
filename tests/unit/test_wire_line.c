/* The reader of lines, held against jansson: it takes what jansson takes, as far as a flat object
 * of printable ASCII goes, and reads the same out of it. */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/prng.h"
#include "network/wire_line.h"
#include "support/run.h"

enum { LINE_MAX = 512, ROUNDS = 30000 };

static struct rk_prng prng;
static struct wire_line line;
static uint32_t taken_count;

static void set_up(void)
{
    rk_prng_seed(&prng, 3);
    taken_count = 0;
}

static const char *const seeds[] = {
    "{\"type\":\"vote_request\",\"protocol\":1,\"cluster\":\"0123456789abcdeffedcba9876543210\"}",
    "{\"a\":0,\"b\":-0,\"c\":12,\"d\":-3.25,\"e\":1e5,\"f\":1.5E-3,\"g\":2e+1}",
    "{\"a\":true,\"b\":false,\"c\":null,\"d\":\"\",\"\":1}",
    "{\"a\":\"x\\\"y\\\\z\\/\\b\\f\\n\\r\\t\",\"b\":\"\\u0041\\u00Fe\"}",
    "{ \"a\" : 1 , \"b\" : \"c d\" }",
    "{}",
    "{\"a\":[1],\"b\":{\"c\":2}}",
    "{\"aa\":1,\"ab\":2,\"a\":3}",
};
enum { SEEDS_COUNT = sizeof(seeds) / sizeof(seeds[0]) };

/* Bytes that matter to the grammar come often. */
static char any_byte(void)
{
    static const char telling[] = "{}[]\":,\\ 0123456789.-+eEtrufalsn";

    return rk_prng_chance(&prng, 800) ? telling[rk_prng_below(&prng, sizeof(telling) - 1)]
                                      : (char)(' ' + rk_prng_below(&prng, 95));
}

/* A seed with a few bytes changed, put in or taken out; its size. */
static size_t any_line(char text[LINE_MAX])
{
    const char *seed = seeds[rk_prng_below(&prng, SEEDS_COUNT)];
    size_t size = strlen(seed);

    memcpy(text, seed, size);
    for (uint64_t edits = rk_prng_below(&prng, 4); edits > 0 && size > 0; edits--) {
        const size_t at = (size_t)rk_prng_below(&prng, size);
        const uint64_t kind = rk_prng_below(&prng, 3);
        if (kind == 0) {
            text[at] = any_byte();
        } else if (kind == 1) {
            memmove(text + at, text + at + 1, --size - at);
        } else {
            memmove(text + at + 1, text + at, size++ - at);
            text[at] = any_byte();
        }
    }
    return size;
}

/* What the format leaves out, and jansson's own bounds on numbers and code points. */
static bool is_outside(const char *text, size_t size, json_t *object)
{
    const char *name;
    json_t *value;

    json_object_foreach(object, name, value)
    {
        if (json_is_object(value) || json_is_array(value)) {
            return true;
        }
    }
    return memchr(text, '\\', size) != NULL;
}

static const struct wire_member *member(const char *name)
{
    for (uint32_t i = 0; i < line.members_count; i++) {
        const struct rk_bytes found = line.members[i].name;
        if (found.size == strlen(name) && memcmp(found.data, name, found.size) == 0) {
            return &line.members[i];
        }
    }
    return NULL;
}

static void assert_same_value(const struct wire_member *ours, json_t *theirs)
{
    char text[LINE_MAX];

    (void)snprintf(text, sizeof(text), "%.*s", (int)ours->value.size,
                   (const char *)ours->value.data);
    ck_assert_int_eq(ours->kind == WIRE_TRUE, json_is_true(theirs));
    ck_assert_int_eq(ours->kind == WIRE_FALSE, json_is_false(theirs));
    ck_assert_int_eq(ours->kind == WIRE_NULL, json_is_null(theirs));
    ck_assert_int_eq(ours->kind == WIRE_NUMERAL, json_is_number(theirs));
    if (ours->kind == WIRE_STRING) {
        ck_assert_str_eq(text, json_string_value(theirs));
    }
    if (json_is_integer(theirs)) {
        ck_assert_int_eq(strtoll(text, NULL, 10), json_integer_value(theirs));
    }
}

static void assert_same(json_t *object)
{
    const char *name;
    json_t *value;

    ck_assert_uint_eq(line.members_count, json_object_size(object));
    json_object_foreach(object, name, value)
    {
        ck_assert_ptr_nonnull(member(name));
        assert_same_value(member(name), value);
    }
}

static bool is_taken_apart(const char *text, size_t size)
{
    struct wire_envelope envelope;

    wire_line_open(&line, (struct rk_bytes){(const uint8_t *)text, (uint32_t)size + 1}, &envelope);
    /* Anything but these two reasons is about the envelope's members. */
    return strcmp(line.reason == NULL ? "" : line.reason,
                  "the first line is not one flat JSON object") != 0;
}

static void compare(char text[LINE_MAX], size_t size)
{
    json_error_t error;
    json_t *object = json_loadb(text, size, JSON_REJECT_DUPLICATES, &error);

    text[size] = '\n';
    const bool is_ours = is_taken_apart(text, size);
    const bool is_theirs = json_is_object(object);
    const bool is_number_bound = object == NULL && (strstr(error.text, "too big") != NULL ||
                                                    strstr(error.text, "overflow") != NULL);
    text[size] = '\0';
    if (is_ours && memchr(text, '\\', size) == NULL && !is_number_bound) {
        ck_assert_msg(is_theirs, "only we take %s: %s", text, error.text);
        assert_same(object);
        taken_count++;
    }
    if (is_theirs && !is_outside(text, size, object)) {
        ck_assert_msg(is_ours, "only jansson takes %s", text);
    }
    json_decref(object);
}

START_TEST(it_takes_what_jansson_takes_and_reads_the_same)
{
    char text[LINE_MAX + 1];

    for (int i = 0; i < ROUNDS; i++) {
        compare(text, any_line(text));
    }
    /* Neither side of the comparison was idle. */
    ck_assert_uint_gt(taken_count, ROUNDS / 10);
    ck_assert_uint_lt(taken_count, ROUNDS);
}
END_TEST

/* A name with an escape could be another name in disguise; a value may have some. */
START_TEST(escapes_are_for_values_only)
{
    static const char *const good[] = {"{\"a\":\"\\u00e9\\n\\\\\"}", "{\"a\":\"\\\"\"}"};
    static const char *const bad[] = {"{\"\\u0061\":1}",     "{\"a\":\"\\x\"}",
                                      "{\"a\":\"\\u00e\"}",  "{\"a\":\"\\",
                                      "{\"a\":\"\\u00eg\"}", "{\"a\":\"\\\"}"};
    char text[64];

    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        (void)snprintf(text, sizeof(text), "%s\n", good[i]);
        ck_assert_msg(is_taken_apart(text, strlen(good[i])), "%s", text);
        ck_assert_int_eq(line.members[0].kind, WIRE_STRING_ESCAPED);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        (void)snprintf(text, sizeof(text), "%s\n", bad[i]);
        ck_assert_msg(!is_taken_apart(text, strlen(bad[i])), "%s", text);
    }
}
END_TEST

START_TEST(more_members_than_a_line_may_have_are_refused)
{
    char text[LINE_MAX + 1];

    for (int count = 1; count <= WIRE_MEMBERS_MAX + 1; count++) {
        size_t size = 0;
        for (int i = 0; i < count; i++) {
            size += (size_t)snprintf(text + size, LINE_MAX - size, "%c\"m%d\":%d",
                                     i == 0 ? '{' : ',', i, i);
        }
        memcpy(text + size, "}\n", 3);
        ck_assert_int_eq(is_taken_apart(text, size + 1), count <= WIRE_MEMBERS_MAX);
    }
}
END_TEST

/* Members are found wherever they stand; in order, at once. */
START_TEST(members_are_found_in_any_order)
{
    static const char text[] =
        "{\"c\":3,\"protocol\":1,\"a\":1,\"election_timeout_ms\":7,\"from\":5,"
        "\"incarnation\":\"00000000000000ff\",\"to\":6,\"type\":\"x\","
        "\"cluster\":\"0123456789abcdeffedcba9876543210\"}\n";
    struct wire_envelope envelope;

    wire_line_open(&line, (struct rk_bytes){(const uint8_t *)text, sizeof(text) - 1}, &envelope);
    ck_assert_ptr_null(line.reason);
    ck_assert(wire_line_is(&line, "x"));
    ck_assert_uint_eq(WIRE_NUMBER(&line, "a"), 1);
    ck_assert_uint_eq(WIRE_NUMBER(&line, "c"), 3);
    ck_assert_uint_eq(envelope.from, 5);
    ck_assert_uint_eq(envelope.to, 6);
    ck_assert_uint_eq(envelope.from_incarnation, 255);
    ck_assert_uint_eq(envelope.election_timeout_ms, 7);
    ck_assert_uint_eq(WIRE_NUMBER(&line, "b"), 0);
    ck_assert_str_eq(line.reason, "member b is missing or out of range");
}
END_TEST

/* Past 2^64 a careless reader would come round to a small number. */
START_TEST(a_numeral_that_does_not_fit_is_refused)
{
    static const char *const numerals[] = {"9007199254740992",
                                           "18446744073709551617",
                                           "100000000000000000000",
                                           "-1",
                                           "1.0",
                                           "1e1",
                                           "true"};
    char text[64];

    for (size_t i = 0; i < sizeof(numerals) / sizeof(numerals[0]); i++) {
        const int size = snprintf(text, sizeof(text), "{\"a\":%s}\n", numerals[i]);
        ck_assert(is_taken_apart(text, (size_t)size - 1));
        line.reason = NULL;
        ck_assert_uint_eq(WIRE_NUMBER(&line, "a"), 0);
        ck_assert_str_eq(line.reason, "member a is missing or out of range");
    }
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("wire_line");

    tcase_add_checked_fixture(tcase, set_up, NULL);
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, it_takes_what_jansson_takes_and_reads_the_same);
    tcase_add_test(tcase, escapes_are_for_values_only);
    tcase_add_test(tcase, more_members_than_a_line_may_have_are_refused);
    tcase_add_test(tcase, members_are_found_in_any_order);
    tcase_add_test(tcase, a_numeral_that_does_not_fit_is_refused);
    return run_suite("wire_line", tcase);
}
