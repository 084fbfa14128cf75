/* Encodings that stay on disk: golden bytes, round trips, and every refusal. */
#include <check.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/heap.h"
#include "base/le.h"
#include "statemachine/command.h"
#include "statemachine/result.h"
#include "support/run.h"
#include "support/sm_commands.h"

static struct rk_buf buf;

static void setup(void)
{
    rk_buf_init(&buf, RK_COMMAND_SIZE_MAX);
}

static void teardown(void)
{
    rk_buf_done(&buf);
}

static void check_hex(const char *expected)
{
    static const char digits[] = "0123456789abcdef";
    ck_assert_uint_eq(buf.size * 2, strlen(expected));
    for (size_t i = 0; i < buf.size; i++) {
        ck_assert_int_eq(digits[buf.data[i] >> 4], expected[2 * i]);
        ck_assert_int_eq(digits[buf.data[i] & 15], expected[2 * i + 1]);
    }
}

static struct sm_command put_command(void)
{
    return (struct sm_command){.type = SM_COMMAND_KV_PUT,
                               .put = {.key = bytes_of("key"),
                                       .value = bytes_of("value"),
                                       .flags = UINT64_C(0x1122334455667788),
                                       .has_cas = true,
                                       .cas = 9}};
}

static struct sm_command put_ttl_command(void)
{
    struct sm_command command = put_command();
    command.type = SM_COMMAND_KV_PUT_TTL;
    command.put.ttl_ms = 258;
    return command;
}

static struct sm_command delete_command(void)
{
    return (struct sm_command){.type = SM_COMMAND_KV_DELETE,
                               .delete = {.key = bytes_of("key"), .has_cas = true, .cas = 258}};
}

static struct sm_command delete_prefix_command(void)
{
    return (struct sm_command){.type = SM_COMMAND_KV_DELETE_PREFIX,
                               .delete_prefix = {.prefix = bytes_of("a/")}};
}

static struct session_id id_of(uint8_t first)
{
    return (struct session_id){.bytes = {first, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}};
}

static struct sm_command lock_command(void)
{
    return (struct sm_command){.type = SM_COMMAND_KV_OP,
                               .op = {.verb = SM_KV_LOCK,
                                      .key = bytes_of("k"),
                                      .value = bytes_of("v"),
                                      .flags = 3,
                                      .has_session = true,
                                      .session = id_of(0xaa)}};
}

static struct sm_command create_command(void)
{
    return (struct sm_command){.type = SM_COMMAND_SESSION_CREATE,
                               .session = {.id = id_of(0xbb),
                                           .record = {.behavior = SESSION_DELETE,
                                                      .lock_delay_ns = 256,
                                                      .ttl_ms = 15000,
                                                      .ttl = bytes_of("15.0s"),
                                                      .name = bytes_of("me"),
                                                      .node = bytes_of("n1"),
                                                      .checks_count = 1,
                                                      .checks = {bytes_of("c")}}}};
}

static struct sm_command renew_command(void)
{
    return (struct sm_command){.type = SM_COMMAND_SESSION_RENEW, .session = {.id = id_of(0xcc)}};
}

static struct sm_command txn_command(void)
{
    static uint8_t ops[64];
    static struct rk_buf made;

    if (made.data == NULL) {
        made = (struct rk_buf){.data = ops, .capacity = sizeof(ops), .size_max = sizeof(ops)};
        sm_kv_op_append(&(struct sm_kv_op){.verb = SM_KV_CAS,
                                           .key = bytes_of("a"),
                                           .value = bytes_of("b"),
                                           .flags = 5,
                                           .index = 7},
                        &made);
        sm_kv_op_append(&(struct sm_kv_op){.verb = SM_KV_GET_TREE}, &made);
    }
    return (struct sm_command){.type = SM_COMMAND_TXN,
                               .txn = {.count = 2, .ops = rk_buf_bytes(&made)}};
}

static struct sm_command once_command(void)
{
    static const uint8_t inner[] = {3, 1, 0, 0, 2, 0, 0, 0, 'a', '/'};
    return (struct sm_command){.type = SM_COMMAND_ONCE,
                               .once = {.token = bytes_of("tok"),
                                        .fingerprint = {1, 2},
                                        .window_ms = 600000,
                                        .command = {.data = inner, .size = sizeof(inner)}}};
}

static struct sm_command expire_command(void)
{
    static const uint8_t item[] = {0xdd, 1,  2,  3,  4, 5, 6, 7, 8, 9, 10, 11,
                                   12,   13, 14, 15, 9, 0, 0, 0, 0, 0, 0,  0};
    return (struct sm_command){
        .type = SM_COMMAND_EXPIRE,
        .expire = {.term = 7, .count = 1, .items = {.data = item, .size = sizeof(item)}}};
}

static struct sm_command expire_keys_command(void)
{
    static const uint8_t items[] = {1, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0,   'a', 2,
                                    0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 'b', 'c'};
    return (struct sm_command){
        .type = SM_COMMAND_EXPIRE_KEYS,
        .expire = {.term = 7, .count = 2, .items = {.data = items, .size = sizeof(items)}}};
}

static enum rk_status decode(struct sm_command *ret)
{
    return sm_command_decode(rk_buf_bytes(&buf), ret);
}

static void check_bytes(struct rk_bytes actual, const char *expected)
{
    ck_assert_uint_eq(actual.size, strlen(expected));
    ck_assert(memcmp(actual.data, expected, actual.size) == 0);
}

/* --- golden: what version 1 wrote stays readable --- */

START_TEST(put_is_encoded_as_in_version_1)
{
    const struct sm_command command = put_command();
    sm_command_encode(&command, &buf);
    check_hex("010101000300000005000000887766554433221109000000000000006b657976616c7565");
}
END_TEST

START_TEST(put_with_a_time_to_live_is_encoded_as_in_version_1)
{
    struct sm_command command = put_ttl_command();
    sm_command_encode(&command, &buf);
    check_hex("0b0101000300000005000000887766554433221109000000000000000201000000000000"
              "6b657976616c7565");
    ck_assert_int_eq(decode(&command), RK_OK);
    ck_assert_int_eq(command.type, SM_COMMAND_KV_PUT_TTL);
    ck_assert_uint_eq(command.put.ttl_ms, 258);
    check_bytes(command.put.key, "key");
    check_bytes(command.put.value, "value");
}
END_TEST

START_TEST(time_to_live_out_of_range_is_corrupt)
{
    const struct sm_command command = put_ttl_command();
    sm_command_encode(&command, &buf);
    rk_le_put_u64(&buf.data[28], 0);
    struct sm_command decoded;
    ck_assert_int_eq(decode(&decoded), RK_CORRUPT);
    rk_le_put_u64(&buf.data[28], SM_KEY_TTL_MS_MAX + 1);
    ck_assert_int_eq(decode(&decoded), RK_CORRUPT);
    rk_le_put_u64(&buf.data[28], SM_KEY_TTL_MS_MAX);
    ck_assert_int_eq(decode(&decoded), RK_OK);
}
END_TEST

START_TEST(end_of_keys_is_encoded_as_in_version_1)
{
    struct sm_command command = expire_keys_command();
    struct sm_expire_key item;
    sm_command_encode(&command, &buf);
    check_hex("0c010000020000000700000000000000"
              "01000000090000000000000061"
              "0200000008000000000000006263");
    ck_assert_int_eq(decode(&command), RK_OK);
    ck_assert_uint_eq(command.expire.term, 7);
    struct rk_bytes rest = command.expire.items;
    ck_assert(sm_expire_key_next(&rest, &item));
    ck_assert_uint_eq(item.ttl_index, 9);
    check_bytes(item.key, "a");
    ck_assert(sm_expire_key_next(&rest, &item));
    check_bytes(item.key, "bc");
    ck_assert(!sm_expire_key_next(&rest, &item));
}
END_TEST

START_TEST(end_of_keys_with_a_wrong_count_is_corrupt)
{
    const struct sm_command command = expire_keys_command();
    struct sm_command decoded;
    sm_command_encode(&command, &buf);
    buf.data[4] = 1;
    ck_assert_int_eq(decode(&decoded), RK_CORRUPT);
    buf.data[4] = 3;
    ck_assert_int_eq(decode(&decoded), RK_CORRUPT);
    rk_le_put_u32(&buf.data[4], SM_EXPIRE_KEYS_MAX + 1);
    ck_assert_int_eq(decode(&decoded), RK_CORRUPT);
}
END_TEST

START_TEST(delete_is_encoded_as_in_version_1)
{
    const struct sm_command command = delete_command();
    sm_command_encode(&command, &buf);
    check_hex("020101000300000002010000000000006b6579");
}
END_TEST

START_TEST(prefix_delete_is_encoded_as_in_version_1)
{
    const struct sm_command command = delete_prefix_command();
    sm_command_encode(&command, &buf);
    check_hex("0301000002000000612f");
}
END_TEST

START_TEST(lock_is_encoded_as_in_version_1)
{
    const struct sm_command command = lock_command();
    sm_command_encode(&command, &buf);
    check_hex("040100000301000001000000010000000300000000000000"
              "aa0102030405060708090a0b0c0d0e0f6b76");
}
END_TEST

START_TEST(session_is_encoded_as_in_version_1)
{
    struct sm_command command = create_command();
    sm_command_encode(&command, &buf);
    check_hex("05010000bb0102030405060708090a0b0c0d0e0f"
              "010100010001000000000000983a000000000000"
              "050031352e307302006d6502006e31010063");
    rk_buf_reset(&buf);
    command = renew_command();
    sm_command_encode(&command, &buf);
    check_hex("07010000cc0102030405060708090a0b0c0d0e0f");
}
END_TEST

START_TEST(expire_is_encoded_as_in_version_1)
{
    const struct sm_command command = expire_command();
    sm_command_encode(&command, &buf);
    check_hex("08010000010000000700000000000000dd0102030405060708090a0b0c0d0e0f0900000000000000");
}
END_TEST

START_TEST(transaction_is_encoded_as_in_version_1)
{
    const struct sm_command command = txn_command();
    sm_command_encode(&command, &buf);
    check_hex("0901000002000000"
              "0202000001000000010000000500000000000000"
              "07000000000000006162"
              "0700000000000000000000000000000000000000");
}
END_TEST

START_TEST(transaction_comes_back_whole)
{
    struct sm_command command = txn_command();
    struct sm_kv_op op;
    sm_command_encode(&command, &buf);
    ck_assert_int_eq(decode(&command), RK_OK);
    ck_assert_uint_eq(command.txn.count, 2);
    struct rk_bytes rest = command.txn.ops;
    ck_assert(sm_kv_op_next(&rest, &op));
    ck_assert_int_eq(op.verb, SM_KV_CAS);
    ck_assert_uint_eq(op.index, 7);
    ck_assert_uint_eq(op.flags, 5);
    check_bytes(op.key, "a");
    check_bytes(op.value, "b");
    ck_assert(sm_kv_op_next(&rest, &op));
    ck_assert_int_eq(op.verb, SM_KV_GET_TREE);
    ck_assert(!sm_kv_op_next(&rest, &op));
}
END_TEST

START_TEST(once_is_encoded_as_in_version_1)
{
    struct sm_command command = once_command();
    sm_command_encode(&command, &buf);
    check_hex("0a0100000300000001020000000000000000000000000000"
              "c027090000000000746f6b0301000002000000612f");
    ck_assert_int_eq(decode(&command), RK_OK);
    check_bytes(command.once.token, "tok");
    ck_assert_uint_eq(command.once.window_ms, 600000);
    ck_assert_uint_eq(command.once.fingerprint[1], 2);
    ck_assert_uint_eq(command.once.command.size, 10);
}
END_TEST

/* Neither itself, nor what only a leader may say. */
START_TEST(once_holds_no_command_that_is_not_a_clients)
{
    const struct sm_command inner = once_command();
    struct sm_command command = once_command();
    struct rk_buf encoded;
    rk_buf_init(&encoded, 256);
    sm_command_encode(&inner, &encoded);
    command.once.command = rk_buf_bytes(&encoded);
    sm_command_encode(&command, &buf);
    ck_assert_int_eq(decode(&command), RK_CORRUPT);
    const struct sm_command ends[] = {expire_command(), expire_keys_command()};
    rk_buf_reset(&encoded);
    rk_buf_reset(&buf);
    sm_command_encode(&ends[_i], &encoded);
    command = once_command();
    command.once.command = rk_buf_bytes(&encoded);
    sm_command_encode(&command, &buf);
    ck_assert_int_eq(decode(&command), RK_CORRUPT);
    rk_buf_done(&encoded);
}
END_TEST

START_TEST(feature_level_is_encoded_as_in_version_1)
{
    struct sm_command command = {.type = SM_COMMAND_FEATURE_LEVEL, .feature_level.level = 258};
    sm_command_encode(&command, &buf);
    check_hex("1001000002010000");
    memset(&command, 0xee, sizeof(command));
    ck_assert_int_eq(decode(&command), RK_OK);
    ck_assert_uint_eq(command.feature_level.level, 258);
    rk_le_put_u32(buf.data + 4, 0);
    ck_assert_int_eq(decode(&command), RK_CORRUPT);
}
END_TEST

START_TEST(expire_comes_back_whole)
{
    struct sm_command command = expire_command();
    sm_command_encode(&command, &buf);
    memset(&command, 0xee, sizeof(command));
    ck_assert_int_eq(decode(&command), RK_OK);
    ck_assert_uint_eq(command.expire.term, 7);
    ck_assert_uint_eq(command.expire.count, 1);
    const struct sm_expire_item item = sm_expire_item_at(&command.expire, 0);
    ck_assert_uint_eq(item.id.bytes[0], 0xdd);
    ck_assert_uint_eq(item.renew_index, 9);
}
END_TEST

START_TEST(session_comes_back_whole)
{
    struct sm_command command = create_command();
    sm_command_encode(&command, &buf);
    memset(&command, 0xee, sizeof(command));
    ck_assert_int_eq(decode(&command), RK_OK);
    ck_assert_int_eq(command.type, SM_COMMAND_SESSION_CREATE);
    const struct session_record *record = &command.session.record;
    ck_assert_uint_eq(command.session.id.bytes[0], 0xbb);
    ck_assert_int_eq(record->behavior, SESSION_DELETE);
    ck_assert_uint_eq(record->lock_delay_ns, 256);
    ck_assert_uint_eq(record->ttl_ms, 15000);
    check_bytes(record->ttl, "15.0s");
    check_bytes(record->name, "me");
    check_bytes(record->node, "n1");
    ck_assert_uint_eq(record->checks_count, 1);
    check_bytes(record->checks[0], "c");
}
END_TEST

START_TEST(session_id_is_text_in_one_form_only)
{
    static const char text[] = "aa010203-0405-0607-0809-0a0b0c0d0e0f";
    char formatted[SESSION_ID_TEXT_SIZE];
    const struct session_id id = id_of(0xaa);
    struct session_id parsed;

    session_id_format(&id, formatted);
    ck_assert_str_eq(formatted, text);
    ck_assert_int_eq(session_id_parse(text, &parsed), RK_OK);
    ck_assert(session_id_equal(&parsed, &id));
    ck_assert_int_eq(session_id_parse("AA010203-0405-0607-0809-0a0b0c0d0e0f", &parsed), RK_INVALID);
    ck_assert_int_eq(session_id_parse("aa0102030405-0607-0809-0a0b0c0d0e0f-", &parsed), RK_INVALID);
    ck_assert_int_eq(session_id_parse("111111111111111111111111111111111111", &parsed), RK_INVALID);
    ck_assert_int_eq(session_id_parse("", &parsed), RK_INVALID);
}
END_TEST

START_TEST(result_is_encoded_as_in_version_2)
{
    struct sm_result result = {
        .reason = SM_LOCK_HELD, .index = 513, .modify_index = 7, .fence = 256};
    rk_buf_init(&result.body, 16);
    rk_buf_append_text(&result.body, "hi");
    sm_result_encode(&result, &buf);
    sm_result_done(&result);
    check_hex("02020000010200000000000007000000000000000001000000000000"
              "6869");
}
END_TEST

/* --- round trips --- */

START_TEST(put_comes_back_whole)
{
    struct sm_command command = put_command();
    sm_command_encode(&command, &buf);
    memset(&command, 0xee, sizeof(command));
    ck_assert_int_eq(decode(&command), RK_OK);
    ck_assert_int_eq(command.type, SM_COMMAND_KV_PUT);
    check_bytes(command.put.key, "key");
    check_bytes(command.put.value, "value");
    ck_assert_uint_eq(command.put.flags, UINT64_C(0x1122334455667788));
    ck_assert(command.put.has_cas);
    ck_assert_uint_eq(command.put.cas, 9);
}
END_TEST

START_TEST(delete_comes_back_whole)
{
    struct sm_command command = delete_command();
    sm_command_encode(&command, &buf);
    memset(&command, 0xee, sizeof(command));
    ck_assert_int_eq(decode(&command), RK_OK);
    ck_assert_int_eq(command.type, SM_COMMAND_KV_DELETE);
    check_bytes(command.delete.key, "key");
    ck_assert(command.delete.has_cas);
    ck_assert_uint_eq(command.delete.cas, 258);
}
END_TEST

/* Compare-and-set with 0 (create only) and none at all are two things. */
START_TEST(cas_of_zero_is_not_the_absence_of_cas)
{
    struct sm_command command = put_command();
    command.put.cas = 0;
    sm_command_encode(&command, &buf);
    ck_assert_int_eq(decode(&command), RK_OK);
    ck_assert(command.put.has_cas);
    rk_buf_reset(&buf);
    command.put.has_cas = false;
    sm_command_encode(&command, &buf);
    ck_assert_int_eq(decode(&command), RK_OK);
    ck_assert(!command.put.has_cas);
}
END_TEST

START_TEST(empty_prefix_and_empty_value_are_legal)
{
    struct sm_command command = {.type = SM_COMMAND_KV_DELETE_PREFIX};
    sm_command_encode(&command, &buf);
    ck_assert_int_eq(decode(&command), RK_OK);
    ck_assert_uint_eq(command.delete_prefix.prefix.size, 0);
    rk_buf_reset(&buf);
    command = (struct sm_command){.type = SM_COMMAND_KV_PUT, .put = {.key = bytes_of("k")}};
    sm_command_encode(&command, &buf);
    ck_assert_int_eq(decode(&command), RK_OK);
    ck_assert_uint_eq(command.put.value.size, 0);
}
END_TEST

/* Stock clients write values of exactly 512 KiB (contract 2.2). */
START_TEST(largest_key_and_value_are_legal)
{
    uint8_t *bytes = rk_heap_zalloc(1, RK_VALUE_SIZE_MAX);
    struct sm_command command = {.type = SM_COMMAND_KV_PUT,
                                 .put = {.key = {.data = bytes, .size = RK_KEY_SIZE_MAX},
                                         .value = {.data = bytes, .size = RK_VALUE_SIZE_MAX}}};
    sm_command_encode(&command, &buf);
    ck_assert_int_eq(rk_buf_status(&buf), RK_OK);
    ck_assert_int_eq(decode(&command), RK_OK);
    ck_assert_uint_eq(command.put.value.size, RK_VALUE_SIZE_MAX);
    rk_heap_free(bytes);
}
END_TEST

START_TEST(result_comes_back_whole)
{
    struct sm_result result;
    sm_result_init(&result);
    result.index = UINT64_MAX;
    result.modify_index = 3;
    result.fence = 2;
    rk_buf_append_text(&result.body, "body");
    sm_result_encode(&result, &buf);
    sm_result_done(&result);
    sm_result_init(&result);
    ck_assert_int_eq(sm_result_decode(rk_buf_bytes(&buf), &result), RK_OK);
    ck_assert(result.accepted);
    ck_assert_uint_eq(result.index, UINT64_MAX);
    ck_assert_uint_eq(result.modify_index, 3);
    ck_assert_uint_eq(result.fence, 2);
    check_bytes(rk_buf_bytes(&result.body), "body");
    sm_result_done(&result);
}
END_TEST

/* --- refusals --- */

static void encode_nth(int nth)
{
    const struct sm_command commands[] = {
        put_command(),    delete_command(),  delete_prefix_command(), lock_command(),
        create_command(), renew_command(),   expire_command(),        txn_command(),
        once_command(),   put_ttl_command(), expire_keys_command(),
    };
    sm_command_encode(&commands[nth], &buf);
}

static void check_refused(struct rk_bytes bytes)
{
    struct sm_command command = {.type = SM_COMMAND_KV_DELETE, .delete = {.cas = 77}};
    ck_assert_int_eq(sm_command_decode(bytes, &command), RK_CORRUPT);
    ck_assert_int_eq(command.type, SM_COMMAND_KV_DELETE);
    ck_assert_uint_eq(command.delete.cas, 77);
}

/* Cut anywhere, and copied, so that the address sanitizer sees a read behind the end. */
START_TEST(command_cut_short_is_corrupt)
{
    encode_nth(_i);
    for (uint32_t size = 0; size < buf.size; size++) {
        uint8_t *cut = rk_heap_alloc(size);
        memcpy(cut, buf.data, size);
        check_refused((struct rk_bytes){.data = cut, .size = size});
        rk_heap_free(cut);
    }
}
END_TEST

START_TEST(trailing_byte_is_corrupt)
{
    encode_nth(_i);
    rk_buf_append_byte(&buf, 0);
    check_refused(rk_buf_bytes(&buf));
}
END_TEST

START_TEST(other_version_is_corrupt)
{
    encode_nth(_i);
    buf.data[1] = 2;
    check_refused(rk_buf_bytes(&buf));
}
END_TEST

START_TEST(unknown_option_is_corrupt)
{
    encode_nth(_i);
    buf.data[2] |= 2;
    check_refused(rk_buf_bytes(&buf));
}
END_TEST

START_TEST(unknown_type_is_corrupt)
{
    encode_nth(_i);
    buf.data[0] = 200;
    check_refused(rk_buf_bytes(&buf));
}
END_TEST

/* A size near 2^32 may not wrap around and look right. */
START_TEST(enormous_size_is_corrupt)
{
    encode_nth(_i);
    rk_le_put_u32(&buf.data[4], UINT32_MAX);
    check_refused(rk_buf_bytes(&buf));
    rk_le_put_u32(&buf.data[4], UINT32_MAX - (uint32_t)buf.size);
    check_refused(rk_buf_bytes(&buf));
}
END_TEST

/* Only one encoding of a command is legal: equal commands are equal bytes. */
START_TEST(cas_without_its_option_is_corrupt)
{
    encode_nth(_i);
    buf.data[2] = 0;
    check_refused(rk_buf_bytes(&buf));
}
END_TEST

START_TEST(empty_key_is_corrupt)
{
    static const uint8_t put[28] = {1, 1};
    static const uint8_t delete[16] = {2, 1};
    check_refused((struct rk_bytes){.data = put, .size = sizeof(put)});
    check_refused((struct rk_bytes){.data = delete, .size = sizeof(delete)});
}
END_TEST

START_TEST(key_past_its_limit_is_corrupt)
{
    uint8_t *bytes = rk_heap_zalloc(1, 8 + RK_KEY_SIZE_MAX + 1);
    bytes[0] = SM_COMMAND_KV_DELETE_PREFIX;
    bytes[1] = 1;
    rk_le_put_u32(&bytes[4], RK_KEY_SIZE_MAX + 1);
    check_refused((struct rk_bytes){.data = bytes, .size = 8 + RK_KEY_SIZE_MAX + 1});
    rk_heap_free(bytes);
}
END_TEST

/* The negative space: the caller has checked its input. */
START_TEST(encoding_an_empty_key_aborts)
{
    const struct sm_command command = {.type = SM_COMMAND_KV_PUT};
    sm_command_encode(&command, &buf);
}
END_TEST

START_TEST(result_of_wrong_size_or_content_is_corrupt)
{
    struct sm_result result = {.index = 5};
    sm_result_encode(&(struct sm_result){.accepted = true}, &buf);
    const struct rk_bytes short_by_one = {.data = buf.data, .size = SM_RESULT_FIXED_SIZE - 1};
    ck_assert_int_eq(sm_result_decode(short_by_one, &result), RK_CORRUPT);
    for (uint32_t i = 0; i < 4; i++) {
        buf.data[i] ^= 0x82;
        ck_assert_int_eq(sm_result_decode(rk_buf_bytes(&buf), &result), RK_CORRUPT);
        buf.data[i] ^= 0x82;
    }
    ck_assert_uint_eq(result.index, 5);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("command");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, put_is_encoded_as_in_version_1);
    tcase_add_test(tcase, delete_is_encoded_as_in_version_1);
    tcase_add_test(tcase, prefix_delete_is_encoded_as_in_version_1);
    tcase_add_test(tcase, result_is_encoded_as_in_version_2);
    tcase_add_test(tcase, lock_is_encoded_as_in_version_1);
    tcase_add_test(tcase, session_is_encoded_as_in_version_1);
    tcase_add_test(tcase, put_with_a_time_to_live_is_encoded_as_in_version_1);
    tcase_add_test(tcase, time_to_live_out_of_range_is_corrupt);
    tcase_add_test(tcase, end_of_keys_is_encoded_as_in_version_1);
    tcase_add_test(tcase, end_of_keys_with_a_wrong_count_is_corrupt);
    tcase_add_test(tcase, expire_is_encoded_as_in_version_1);
    tcase_add_test(tcase, session_comes_back_whole);
    tcase_add_test(tcase, feature_level_is_encoded_as_in_version_1);
    tcase_add_test(tcase, expire_comes_back_whole);
    tcase_add_test(tcase, once_is_encoded_as_in_version_1);
    tcase_add_loop_test(tcase, once_holds_no_command_that_is_not_a_clients, 0, 2);
    tcase_add_test(tcase, transaction_is_encoded_as_in_version_1);
    tcase_add_test(tcase, transaction_comes_back_whole);
    tcase_add_test(tcase, session_id_is_text_in_one_form_only);
    tcase_add_test(tcase, put_comes_back_whole);
    tcase_add_test(tcase, delete_comes_back_whole);
    tcase_add_test(tcase, cas_of_zero_is_not_the_absence_of_cas);
    tcase_add_test(tcase, empty_prefix_and_empty_value_are_legal);
    tcase_add_test(tcase, largest_key_and_value_are_legal);
    tcase_add_test(tcase, result_comes_back_whole);
    tcase_add_loop_test(tcase, command_cut_short_is_corrupt, 0, 11);
    tcase_add_loop_test(tcase, trailing_byte_is_corrupt, 0, 11);
    tcase_add_loop_test(tcase, other_version_is_corrupt, 0, 11);
    tcase_add_loop_test(tcase, unknown_option_is_corrupt, 0, 11);
    tcase_add_loop_test(tcase, unknown_type_is_corrupt, 0, 11);
    tcase_add_loop_test(tcase, enormous_size_is_corrupt, 0, 3);
    tcase_add_loop_test(tcase, cas_without_its_option_is_corrupt, 0, 2);
    tcase_add_test(tcase, empty_key_is_corrupt);
    tcase_add_test(tcase, key_past_its_limit_is_corrupt);
    tcase_add_test_raise_signal(tcase, encoding_an_empty_key_aborts, SIGABRT);
    tcase_add_test(tcase, result_of_wrong_size_or_content_is_corrupt);
    return run_suite("command", tcase);
}
