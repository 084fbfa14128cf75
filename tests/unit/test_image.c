/* A state machine's image: what was applied comes back whole, and nothing else is taken for one. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/heap.h"
#include "base/le.h"
#include "base/prng.h"
#include "statemachine/image.h"
#include "support/quick.h"
#include "support/run.h"
#include "support/sm_commands.h"

enum { RECORDS_MAX = 4096, KEY_MAX = 6, NUMBERS_LAST_APPLIED = 8 };

struct image {
    struct rk_buf bodies[RECORDS_MAX];
    uint8_t types[RECORDS_MAX];
    uint32_t count;
};

static struct sm *sm;
static struct image *image;
static struct rk_prng prng;
static raft_index last_index;
static struct rk_buf expired; /* parts of the last command, which only borrows them */

static void setup(void)
{
    sm = sm_new();
    image = rk_heap_zalloc(1, sizeof(*image));
    last_index = 0;
    sm_now_ms = 0;
    rk_buf_init(&expired, RK_COMMAND_SIZE_MAX);
    rk_prng_seed(&prng, 1);
}

static void image_clear(struct image *of)
{
    while (of->count > 0) {
        of->count--;
        rk_buf_done(&of->bodies[of->count]);
    }
}

static void teardown(void)
{
    sm_free(sm);
    rk_buf_done(&expired);
    image_clear(image);
    rk_heap_free(image);
}

static void image_of_root(const struct sm_root *root, struct image *ret)
{
    struct sm_image_writer writer;
    uint8_t type = 0;

    image_clear(ret);
    sm_image_writer_init(&writer, root);
    rk_buf_init(&ret->bodies[0], SM_IMAGE_RECORD_SIZE_MAX);
    while (sm_image_write(&writer, &ret->bodies[ret->count], &type)) {
        quick_assert(!ret->bodies[ret->count].overflowed);
        ret->types[ret->count] = type;
        ret->count++;
        quick_assert(ret->count < RECORDS_MAX);
        rk_buf_init(&ret->bodies[ret->count], SM_IMAGE_RECORD_SIZE_MAX);
    }
}

static void image_of(struct sm *of, struct image *ret)
{
    const struct sm_root root = sm_publish(of);
    image_of_root(&root, ret);
}

/* NULL: refused. */
static struct sm *read_back(const struct image *from)
{
    struct sm_image_reader *reader = sm_image_reader_new();
    struct sm *made = NULL;
    enum rk_status status = RK_OK;

    for (uint32_t i = 0; status == RK_OK && i < from->count; i++) {
        status = sm_image_read(reader, from->types[i], rk_buf_bytes(&from->bodies[i]));
    }
    if (status == RK_OK) {
        status = sm_image_finish(reader, &made);
    }
    quick_assert(status == RK_OK || status == RK_CORRUPT);
    quick_assert((status == RK_OK) == (made != NULL));
    sm_image_reader_free(reader);
    return made;
}

static bool is_refused(const struct image *from)
{
    struct sm *made = read_back(from);

    sm_free(made);
    return made == NULL;
}

static bool images_equal(const struct image *a, const struct image *b)
{
    bool is_equal = a->count == b->count;

    for (uint32_t i = 0; is_equal && i < a->count; i++) {
        is_equal = a->types[i] == b->types[i] && a->bodies[i].size == b->bodies[i].size &&
                   memcmp(a->bodies[i].data, b->bodies[i].data, a->bodies[i].size) == 0;
    }
    return is_equal;
}

static void put(const char *key, const char *value)
{
    (void)sm_do_put(sm, ++last_index,
                    &(struct sm_command_put){.key = bytes_of(key), .value = bytes_of(value)});
}

static void fill_a_little(void)
{
    put("a", "1");
    put("b", "2");
    put("gone", "");
    (void)sm_do_delete(sm, ++last_index, &(struct sm_command_delete){.key = bytes_of("gone")});
}

/* --- random histories --- */

struct name {
    uint8_t bytes[KEY_MAX];
    uint32_t size;
};

static struct rk_bytes random_name(struct name *name, uint32_t size_min)
{
    name->size = size_min + (uint32_t)rk_prng_below(&prng, KEY_MAX - 1);
    for (uint32_t i = 0; i < name->size; i++) {
        name->bytes[i] =
            (uint8_t)(rk_prng_below(&prng, 4) == 0 ? '/' : 'a' + rk_prng_below(&prng, 3));
    }
    return (struct rk_bytes){.data = name->bytes, .size = name->size};
}

static uint64_t random_cas(void)
{
    return rk_prng_below(&prng, last_index + 1);
}

static struct session_id random_session(void)
{
    return (struct session_id){.bytes = {(uint8_t)rk_prng_below(&prng, 6)}};
}

static struct rk_bytes random_node_name(void)
{
    return bytes_of(rk_prng_below(&prng, 2) == 0 ? "n1" : "n2");
}

static struct session_record random_record(void)
{
    return (struct session_record){
        .behavior = (enum session_behavior)rk_prng_below(&prng, 2),
        .is_exact = rk_prng_below(&prng, 2) == 0,
        .lock_delay_ns = rk_prng_below(&prng, 3) * 50000000,
        .ttl_ms = rk_prng_below(&prng, 3) * 200,
        .node = random_node_name(),
        .checks_count = (uint32_t)rk_prng_below(&prng, 2),
        .checks = {bytes_of("serfHealth")},
    };
}

/* What a leader would propose now. */
static void random_expiry(struct sm_command *ret)
{
    const struct sm_place now = {.term = 1, .time_ms = sm_now_ms};

    rk_buf_reset(&expired);
    if (!sm_find_expired(sm, &now, &expired, ret)) {
        ret->expire = (struct sm_command_expire){.term = 1};
    }
}

static void random_txn(struct sm_command *ret, struct name *name)
{
    rk_buf_reset(&expired);
    for (ret->txn.count = 0; ret->txn.count < 3; ret->txn.count++) {
        const struct sm_kv_op op = {
            .verb = (enum sm_kv_verb)(1 + rk_prng_below(&prng, SM_KV_DELETE_CAS)),
            .key = random_name(name, 2),
            .value = {name->bytes, name->size},
            .index = random_cas(),
            .has_session = rk_prng_below(&prng, 4) != 0,
        };
        sm_kv_op_append(&op, &expired);
    }
    ret->txn.ops = rk_buf_bytes(&expired);
}

/* Some tokens come back, with the same request or with another one. */
static void random_once(struct sm_command *ret, struct name *name)
{
    static const char *const tokens[] = {"a", "b", "c", "d"};
    const struct sm_command inner = {
        .type = SM_COMMAND_KV_PUT,
        .put = {.key = random_name(name, 1), .value = {name->bytes, name->size}}};

    rk_buf_reset(&expired);
    sm_command_encode(&inner, &expired);
    ret->once = (struct sm_command_once){
        .token = bytes_of(tokens[rk_prng_below(&prng, 4)]),
        .fingerprint = {(uint8_t)rk_prng_below(&prng, 2)},
        .window_ms = 1 + rk_prng_below(&prng, 300),
        .command = rk_buf_bytes(&expired),
    };
}

static void random_node(struct sm_command *ret)
{
    ret->node = (struct sm_command_node){.term = 1, .name = random_node_name()};
    if (ret->type == SM_COMMAND_NODE_CLEAR) {
        ret->node.is_gone = rk_prng_below(&prng, 2) == 0;
        return;
    }
    ret->node.status = rk_prng_below(&prng, 2) == 0 ? SM_CHECK_PASSING : SM_CHECK_CRITICAL;
    ret->node.id = 1 + rk_prng_below(&prng, 2);
    ret->node.address = bytes_of(rk_prng_below(&prng, 2) == 0 ? "h:1" : "");
}

static enum sm_command_type random_type(void)
{
    static const uint8_t others[] = {SM_COMMAND_FEATURE_LEVEL, SM_COMMAND_NODE_SET,
                                     SM_COMMAND_NODE_CLEAR};
    const uint64_t type = 1 + rk_prng_below(&prng, SM_COMMAND_EXPIRE_KEYS + sizeof(others));

    return (enum sm_command_type)(
        type <= SM_COMMAND_EXPIRE_KEYS ? type : others[type - SM_COMMAND_EXPIRE_KEYS - 1]);
}

/* A new type of command needs a case here, so that no table can be left out of the image. */
static void random_command(struct sm_command *ret, struct name *name)
{
    *ret = (struct sm_command){.type = random_type()};
    sm_now_ms += rk_prng_below(&prng, 100);
    switch (ret->type) {
    case SM_COMMAND_KV_PUT:
    case SM_COMMAND_KV_PUT_TTL:
        ret->put = (struct sm_command_put){
            .key = random_name(name, 1),
            .value = {name->bytes, name->size},
            .flags = rk_prng_below(&prng, 2),
            .has_cas = rk_prng_below(&prng, 4) == 0,
            .cas = random_cas(),
            .ttl_ms = ret->type == SM_COMMAND_KV_PUT ? 0 : 1 + rk_prng_below(&prng, 3) * 300,
        };
        break;
    case SM_COMMAND_KV_DELETE:
        ret->delete = (struct sm_command_delete){.key = random_name(name, 1),
                                                 .has_cas = rk_prng_below(&prng, 4) == 0,
                                                 .cas = random_cas()};
        break;
    case SM_COMMAND_KV_DELETE_PREFIX:
        ret->delete_prefix.prefix = random_name(name, 2);
        break;
    case SM_COMMAND_KV_OP:
        ret->op = (struct sm_kv_op){
            .verb = rk_prng_below(&prng, 4) == 0 ? SM_KV_UNLOCK : SM_KV_LOCK,
            .key = random_name(name, 1),
            .value = {name->bytes, name->size},
            .has_session = rk_prng_below(&prng, 8) != 0,
            .session = random_session(),
        };
        break;
    case SM_COMMAND_SESSION_CREATE:
        ret->session.record = random_record();
        ret->session.id = random_session();
        break;
    case SM_COMMAND_SESSION_DESTROY:
    case SM_COMMAND_SESSION_RENEW:
        ret->session.id = random_session();
        break;
    case SM_COMMAND_EXPIRE:
    case SM_COMMAND_EXPIRE_KEYS:
        random_expiry(ret);
        break;
    case SM_COMMAND_TXN:
        random_txn(ret, name);
        break;
    case SM_COMMAND_ONCE:
        random_once(ret, name);
        break;
    case SM_COMMAND_RESTORE_BEGIN: /* test_sm_restore.c */
    case SM_COMMAND_RESTORE_RECORD:
    case SM_COMMAND_RESTORE_END:
        break;
    case SM_COMMAND_FEATURE_LEVEL:
        ret->feature_level.level = 1 + (uint32_t)rk_prng_below(&prng, 4);
        break;
    case SM_COMMAND_NODE_SET:
    case SM_COMMAND_NODE_CLEAR:
        random_node(ret);
        break;
    }
}

static bool results_equal(const struct sm_result *a, const struct sm_result *b)
{
    return a->reason == b->reason && a->fence == b->fence && a->index == b->index &&
           a->modify_index == b->modify_index;
}

static void check_answers(struct sm *a, struct sm *b)
{
    const struct sm_root root_a = sm_publish(a);
    const struct sm_root root_b = sm_publish(b);
    struct name name;

    quick_assert(root_a.last_applied == root_b.last_applied);
    quick_assert(sm_digest(&root_a) == sm_digest(&root_b));
    quick_assert(sm_next_deadline_ms(a) == sm_next_deadline_ms(b));
    quick_assert(sm_session_index(&root_a) == sm_session_index(&root_b));
    quick_assert(sm_nodes_index(&root_a) == sm_nodes_index(&root_b));
    quick_assert(sm_checks_index(&root_a) == sm_checks_index(&root_b));
    quick_assert(sm_tied_count(a, bytes_of("n1")) == sm_tied_count(b, bytes_of("n1")));
    for (uint32_t i = 0; i < 8; i++) {
        struct sm_kv_entry entry_a = {0};
        struct sm_kv_entry entry_b = {0};
        const struct rk_bytes key = random_name(&name, 1);
        quick_assert(sm_kv_get(&root_a, key, &entry_a) == sm_kv_get(&root_b, key, &entry_b));
        quick_assert(entry_a.modify_index == entry_b.modify_index);
        quick_assert(entry_a.is_locked == entry_b.is_locked);
        quick_assert(entry_a.ttl_ms == entry_b.ttl_ms);
        quick_assert(session_id_equal(&entry_a.session, &entry_b.session));
        quick_assert(sm_kv_index_of_key(&root_a, key) == sm_kv_index_of_key(&root_b, key));
        quick_assert(sm_kv_index_of_prefix(&root_a, key) == sm_kv_index_of_prefix(&root_b, key));
    }
}

/* One command for both, or for `sm` alone when `other` is NULL. */
static void do_random(struct sm *other)
{
    struct sm_command command;
    struct name name;

    random_command(&command, &name);
    last_index++;
    const struct sm_result one = sm_do(sm, last_index, &command);
    if (other != NULL) {
        const struct sm_result two = sm_do(other, last_index, &command);
        quick_assert(results_equal(&one, &two));
        check_answers(sm, other);
    }
}

/* Pitfall 75: a table that is left out loses what somebody relies on: equal digest, equal answers,
 * and the same results and answers whatever comes after. */
START_TEST(everything_applied_comes_back_and_goes_on_the_same)
{
    rk_prng_seed(&prng, (uint64_t)_i + 1);
    for (uint64_t i = rk_prng_below(&prng, 400) + 1; i > 0; i--) {
        do_random(NULL);
    }
    image_of(sm, image);
    struct sm *other = read_back(image);
    ck_assert_ptr_nonnull(other);
    check_answers(sm, other);
    for (uint32_t i = 0; i < 200; i++) {
        do_random(other);
    }
    sm_free(other);
}
END_TEST

/* Pitfall 74: what comes back is written the same, byte by byte, though its tree has another shape. */
START_TEST(equal_states_give_equal_bytes)
{
    struct image *again = rk_heap_zalloc(1, sizeof(*again));

    for (uint32_t i = 0; i < 500; i++) {
        do_random(NULL);
    }
    image_of(sm, image);
    struct sm *other = read_back(image);
    ck_assert_ptr_nonnull(other);
    image_of(other, again);
    ck_assert(images_equal(image, again));
    sm_free(other);
    image_clear(again);
    rk_heap_free(again);
}
END_TEST

/* Replicas that differ in one table alone have different digests. */
START_TEST(every_table_is_in_the_digest)
{
    const struct sm_command_put put = {.key = bytes_of("k"), .value = bytes_of("v")};
    (void)sm_do_put(sm, 1, &put);
    const struct sm_root root = sm_publish(sm);
    struct sm_root other = root;
    const struct omap_node **const tables[] = {
        &other.kv,   &other.locks,   &other.delays,     &other.sessions,      &other.tokens,
        &other.ttls, &other.catalog, &other.tombstones, &other.tombstones_old};
    for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
        other = root;
        *tables[i] = *tables[i] == NULL ? root.kv : NULL;
        ck_assert_msg(sm_digest(&other) != sm_digest(&root), "table %zu", i);
    }
}
END_TEST

START_TEST(every_number_is_in_the_digest)
{
    const struct sm_root root = sm_publish(sm);
    struct sm_root other = root;
    uint64_t *const numbers[] = {&other.kv_index, &other.session_index, &other.time_ms,
                                 &other.tombstone_floor};
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        other = root;
        *numbers[i] += 1;
        ck_assert_msg(sm_digest(&other) != sm_digest(&root), "number %zu", i);
    }
}
END_TEST

START_TEST(a_state_without_anything_comes_back)
{
    image_of(sm, image);
    ck_assert_uint_eq(image->count, 1);
    struct sm *other = read_back(image);
    ck_assert_ptr_nonnull(other);
    check_answers(sm, other);
    sm_free(other);
}
END_TEST

/* Pitfall 72: the image is of the root that was held, whatever is applied while it is written. */
START_TEST(writes_meanwhile_are_not_in_it)
{
    struct image *again = rk_heap_zalloc(1, sizeof(*again));
    fill_a_little();
    const struct sm_root root = sm_publish(sm);
    image_of_root(&root, image);
    put("a", "changed");
    put("c", "new");
    (void)sm_do_delete(sm, ++last_index, &(struct sm_command_delete){.key = bytes_of("b")});
    image_of_root(&root, again);
    ck_assert(images_equal(image, again));
    image_clear(again);
    rk_heap_free(again);
}
END_TEST

/* Else it would take the place of the log that has it right. */
START_TEST(memory_that_has_changed_is_noticed_by_the_writer)
{
    struct sm_image_writer writer;
    struct omap_entry entry;
    struct rk_buf body;
    uint8_t type = 0;

    fill_a_little();
    const struct sm_root root = sm_publish(sm);
    omap_item_read(omap_find(root.kv, bytes_of("b")), &entry);
    ((uint8_t *)(uintptr_t)entry.value.data)[0] ^= 1;
    sm_image_writer_init(&writer, &root);
    rk_buf_init(&body, 1 << 20);
    while (sm_image_write(&writer, &body, &type)) {
    }
    rk_buf_done(&body);
    ck_assert_uint_eq(writer.damaged_index, entry.modify_index);
}
END_TEST

/* Both generations of tombstones and the floor: an index that went back would let a blocked reader
 * sleep through a change. */
START_TEST(both_generations_of_tombstones_come_back)
{
    uint8_t key[4];
    const struct rk_bytes bytes = {.data = key, .size = sizeof(key)};

    for (uint32_t i = 0; i < SM_TOMBSTONES_MAX + 100; i++) {
        rk_le_put_u32(key, i);
        (void)sm_do_put(sm, ++last_index, &(struct sm_command_put){.key = bytes});
        (void)sm_do_delete(sm, ++last_index, &(struct sm_command_delete){.key = bytes});
    }
    const struct sm_root root = sm_publish(sm);
    ck_assert_uint_gt(root.tombstone_floor, 0);
    image_of_root(&root, image);
    ck_assert_uint_eq(image->types[image->count - 1], SM_IMAGE_TOMBSTONES_OLD);
    struct sm *other = read_back(image);
    ck_assert_ptr_nonnull(other);
    check_answers(sm, other);
    sm_free(other);
}
END_TEST

START_TEST(the_largest_entries_fit_a_record_each)
{
    uint8_t *bytes = rk_heap_zalloc(1, RK_VALUE_SIZE_MAX);

    for (uint32_t i = 0; i < 3; i++) {
        bytes[0] = (uint8_t)('a' + i);
        (void)sm_do_put(sm, ++last_index,
                        &(struct sm_command_put){.key = {bytes, RK_KEY_SIZE_MAX},
                                                 .value = {bytes, RK_VALUE_SIZE_MAX}});
    }
    image_of(sm, image);
    ck_assert_uint_eq(image->count, 4);
    ck_assert_uint_eq(image->bodies[3].size, SM_IMAGE_ENTRY_SIZE_MAX);
    struct sm *other = read_back(image);
    ck_assert_ptr_nonnull(other);
    check_answers(sm, other);
    sm_free(other);
    rk_heap_free(bytes);
}
END_TEST

/* Records have no checks of their own, frames have; but the digest alone sees every flipped bit of
 * the state. last_applied is the snapshot's index and is compared with it. */
START_TEST(a_flipped_bit_is_seen_by_the_digest)
{
    fill_a_little();
    image_of(sm, image);
    for (uint32_t i = 0; i < image->count; i++) {
        for (size_t at = 0; at < image->bodies[i].size; at++) {
            uint8_t *byte = &image->bodies[i].data[at];
            const bool is_last_applied = i == 0 && at >= NUMBERS_LAST_APPLIED &&
                                         at < NUMBERS_LAST_APPLIED + sizeof(raft_index);
            *byte ^= 0x10;
            quick_assert(is_last_applied || is_refused(image));
            *byte ^= 0x10;
        }
    }
    ck_assert(!is_refused(image));
}
END_TEST

static void drop_record(uint32_t at)
{
    rk_buf_done(&image->bodies[at]);
    image->count--;
    memmove(&image->bodies[at], &image->bodies[at + 1],
            (image->count - at) * sizeof(image->bodies[0]));
    memmove(&image->types[at], &image->types[at + 1], image->count - at);
}

START_TEST(a_record_that_is_missing_is_seen)
{
    fill_a_little();
    image_of(sm, image);
    ck_assert_uint_eq(image->count, 3);
    drop_record((uint32_t)_i);
    ck_assert(is_refused(image));
}
END_TEST

START_TEST(a_type_that_is_not_known_is_refused)
{
    fill_a_little();
    image_of(sm, image);
    image->types[2] = SM_IMAGE_TOMBSTONES_OLD + 1;
    ck_assert(is_refused(image));
}
END_TEST

START_TEST(records_out_of_order_are_refused)
{
    fill_a_little();
    image_of(sm, image);
    const struct rk_buf kv = image->bodies[1];
    image->bodies[1] = image->bodies[2];
    image->bodies[2] = kv;
    image->types[1] = SM_IMAGE_TOMBSTONES;
    image->types[2] = SM_IMAGE_KV;
    ck_assert(is_refused(image));
}
END_TEST

START_TEST(a_table_cut_into_smaller_records_is_refused)
{
    fill_a_little();
    image_of(sm, image);
    struct rk_buf *kv = &image->bodies[1];
    const size_t half = kv->size / 2; /* two entries of one size */
    image->bodies[3] = image->bodies[2];
    image->types[3] = image->types[2];
    rk_buf_init(&image->bodies[2], SM_IMAGE_RECORD_SIZE_MAX);
    rk_buf_append(&image->bodies[2], kv->data + half, half);
    image->types[2] = SM_IMAGE_KV;
    kv->size = half;
    image->count = 4;
    ck_assert(is_refused(image));
}
END_TEST

START_TEST(nothing_at_all_is_no_image)
{
    ck_assert(is_refused(image));
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("image");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(tcase, everything_applied_comes_back_and_goes_on_the_same, 0, 50);
    tcase_add_test(tcase, equal_states_give_equal_bytes);
    tcase_add_test(tcase, every_table_is_in_the_digest);
    tcase_add_test(tcase, every_number_is_in_the_digest);
    tcase_add_test(tcase, a_state_without_anything_comes_back);
    tcase_add_test(tcase, writes_meanwhile_are_not_in_it);
    tcase_add_test(tcase, memory_that_has_changed_is_noticed_by_the_writer);
    tcase_add_test(tcase, both_generations_of_tombstones_come_back);
    tcase_add_test(tcase, the_largest_entries_fit_a_record_each);
    tcase_add_test(tcase, a_flipped_bit_is_seen_by_the_digest);
    tcase_add_loop_test(tcase, a_record_that_is_missing_is_seen, 0, 3);
    tcase_add_test(tcase, a_type_that_is_not_known_is_refused);
    tcase_add_test(tcase, records_out_of_order_are_refused);
    tcase_add_test(tcase, a_table_cut_into_smaller_records_is_refused);
    tcase_add_test(tcase, nothing_at_all_is_no_image);
    return run_suite("image", tcase);
}
