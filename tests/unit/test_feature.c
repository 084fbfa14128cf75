/* Levels: what each encoding needs of its reader, and how the cluster's level stands in the state. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/heap.h"
#include "statemachine/feature.h"
#include "statemachine/image.h"
#include "statemachine/membership.h"
#include "support/run.h"
#include "support/sm_commands.h"

static struct sm *sm;
static struct rk_buf buf;

static void setup(void)
{
    sm = sm_new();
    rk_buf_init(&buf, RK_COMMAND_SIZE_MAX);
}

static void teardown(void)
{
    sm_free(sm);
    rk_buf_done(&buf);
}

static uint32_t level_of(const struct sm_command *command)
{
    rk_buf_reset(&buf);
    sm_command_encode(command, &buf);
    return feature_level_of_command(rk_buf_bytes(&buf));
}

static void raise(raft_index index, uint32_t level)
{
    (void)sm_do(
        sm, index,
        &(struct sm_command){.type = SM_COMMAND_FEATURE_LEVEL, .feature_level.level = level});
}

static struct sm_command_put put_of(const char *key)
{
    return (struct sm_command_put){.key = bytes_of(key), .value = bytes_of("v")};
}

static uint64_t digest(void)
{
    const struct sm_root root = sm_publish(sm);
    return sm_digest(&root);
}

/* What 0.1 wrote is read by all. */
START_TEST(commands_of_the_first_version_need_the_first_level)
{
    const uint8_t first[] = {1, 2, 3, 4, 5, 6, 7, 8, 9};

    for (size_t i = 0; i < sizeof(first); i++) {
        const uint8_t head[] = {first[i], 1, 0, 0};
        const struct rk_bytes bytes = {.data = head, .size = sizeof(head)};
        ck_assert_uint_eq(feature_level_of_command(bytes), FEATURE_LEVEL_FIRST);
    }
}
END_TEST

START_TEST(a_command_that_is_not_known_has_no_level)
{
    const uint8_t other_type[] = {200, 1, 0, 0};
    const uint8_t other_version[] = {SM_COMMAND_KV_PUT, 200, 0, 0};

    ck_assert_uint_eq(feature_level_of_command((struct rk_bytes){other_type, 4}), 0);
    ck_assert_uint_eq(feature_level_of_command((struct rk_bytes){other_version, 4}), 0);
    ck_assert_uint_eq(feature_level_of_command((struct rk_bytes){other_type, 0}), 0);
}
END_TEST

START_TEST(a_raise_needs_the_second_level)
{
    const struct sm_command command = {.type = SM_COMMAND_FEATURE_LEVEL, .feature_level.level = 2};

    ck_assert_uint_eq(level_of(&command), 2);
}
END_TEST

START_TEST(what_is_done_once_needs_what_is_inside)
{
    struct rk_buf inside;
    const struct sm_command put = {.type = SM_COMMAND_KV_PUT, .put = put_of("k")};

    rk_buf_init(&inside, RK_COMMAND_SIZE_MAX);
    sm_command_encode(&put, &inside);
    const struct sm_command once = {
        .type = SM_COMMAND_ONCE,
        .once = {.token = bytes_of("t"), .window_ms = 1, .command = rk_buf_bytes(&inside)}};
    ck_assert_uint_eq(level_of(&once), FEATURE_LEVEL_FIRST);
    inside.data[0] = 200; /* in the copy that is encoded next */
    ck_assert_uint_eq(level_of(&once), 0);
    rk_buf_done(&inside);
}
END_TEST

START_TEST(configurations_of_both_versions_need_the_first_level)
{
    const uint8_t versions[] = {1, 2, 3};

    ck_assert_uint_eq(feature_level_of_config((struct rk_bytes){&versions[0], 1}), 1);
    ck_assert_uint_eq(feature_level_of_config((struct rk_bytes){&versions[1], 1}), 1);
    ck_assert_uint_eq(feature_level_of_config((struct rk_bytes){&versions[2], 1}), 0);
}
END_TEST

START_TEST(the_level_rises_and_never_falls)
{
    ck_assert_uint_eq(sm_feature_level(sm), FEATURE_LEVEL_FIRST);
    raise(1, 3);
    ck_assert_uint_eq(sm_feature_level(sm), 3);
    raise(2, 2);
    ck_assert_uint_eq(sm_feature_level(sm), 3);
}
END_TEST

/* Pitfall 141: members of both versions compare digests while they are upgraded. */
START_TEST(at_the_first_level_the_digest_is_as_before_there_were_levels)
{
    const struct sm_command_put put = put_of("k");

    (void)sm_do_put(sm, 1, &put);
    ck_assert_uint_eq(digest(), UINT64_C(16260633181145784891));
}
END_TEST

START_TEST(the_level_is_in_the_digest)
{
    struct sm *other = sm_new();

    raise(1, 2);
    sm_skip(other, &(struct sm_place){.term = 1, .index = 1});
    const struct sm_root root = sm_publish(other);
    ck_assert_uint_ne(digest(), sm_digest(&root));
    sm_free(other);
}
END_TEST

static uint32_t bit(uint8_t type)
{
    return UINT32_C(1) << type;
}

/* The records of the state, read back; NULL: refused. *ret_types has a bit for each type. */
static struct sm *read_back(uint32_t *ret_types)
{
    const struct sm_root root = sm_publish(sm);
    struct sm_image_reader *reader = sm_image_reader_new();
    struct sm_image_writer writer;
    struct sm *back = NULL;
    enum rk_status status = RK_OK;
    uint8_t type = 0;

    sm_image_writer_init(&writer, &root);
    rk_buf_reset(&buf);
    *ret_types = 0;
    while (status == RK_OK && sm_image_write(&writer, &buf, &type)) {
        *ret_types |= bit(type);
        status = sm_image_read(reader, type, rk_buf_bytes(&buf));
        rk_buf_reset(&buf);
    }
    if (status == RK_OK) {
        status = sm_image_finish(reader, &back);
    }
    ck_assert(status == RK_OK || back == NULL);
    sm_image_reader_free(reader);
    return back;
}

START_TEST(the_level_goes_with_the_image)
{
    const struct sm_command_put put = put_of("k");
    uint32_t types = 0;

    raise(1, 2);
    (void)sm_do_put(sm, 2, &put);
    struct sm *back = read_back(&types);
    ck_assert_ptr_nonnull(back);
    ck_assert_uint_ne(types & bit(SM_IMAGE_FEATURE_LEVEL), 0);
    ck_assert_uint_eq(sm_feature_level(back), 2);
    sm_free(back);
}
END_TEST

/* So that a member that is not upgraded yet can read it. */
START_TEST(at_the_first_level_the_image_does_not_speak_of_it)
{
    const struct sm_command_put put = put_of("k");
    uint32_t types = 0;

    (void)sm_do_put(sm, 1, &put);
    struct sm *back = read_back(&types);
    ck_assert_ptr_nonnull(back);
    ck_assert_uint_eq(types, bit(SM_IMAGE_NUMBERS) | bit(SM_IMAGE_KV));
    ck_assert_uint_eq(sm_feature_level(back), FEATURE_LEVEL_FIRST);
    sm_free(back);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("feature");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, commands_of_the_first_version_need_the_first_level);
    tcase_add_test(tcase, a_command_that_is_not_known_has_no_level);
    tcase_add_test(tcase, a_raise_needs_the_second_level);
    tcase_add_test(tcase, what_is_done_once_needs_what_is_inside);
    tcase_add_test(tcase, configurations_of_both_versions_need_the_first_level);
    tcase_add_test(tcase, the_level_rises_and_never_falls);
    tcase_add_test(tcase, at_the_first_level_the_digest_is_as_before_there_were_levels);
    tcase_add_test(tcase, the_level_is_in_the_digest);
    tcase_add_test(tcase, the_level_goes_with_the_image);
    tcase_add_test(tcase, at_the_first_level_the_image_does_not_speak_of_it);
    return run_suite("feature", tcase);
}
