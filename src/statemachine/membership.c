/* Layout, integers little-endian, nothing behind the last byte:
 *
 *    0 u8  version (1 or 2)               each member, ascending by id
 *    1 u8  joint (0 or 1)                  0 u64 id
 *    2 u16 members_count                   8 u64 incarnation
 *    4 u32 election_timeout_ms            16 u8  roles: 1 voter, 2 old voter, 4 learner
 *    8 u64 cluster id, high               17 u8  name_size
 *   16 u64 cluster id, low                18 u16 peer_address_size
 *   24 members                            20 u16 client_address_size
 *                                         22 u64 replaces (version 2 only), and a further
 *                                            role: 8 wants to vote
 *                                            name, peer address, client address
 */
#include "statemachine/membership.h"

#include <stddef.h>
#include <string.h>

#include "base/assert.h"
#include "base/le.h"

enum {
    VERSION_PLAIN = 1,
    VERSION_CHANGES = 2, /* with what a change under way is to become */
    MEMBERSHIP_FIXED_SIZE = 24,
    MEMBER_PLAIN_SIZE = 22,
    MEMBER_CHANGES_SIZE = 30,
    ROLE_VOTER = 1,
    ROLE_OLD_VOTER = 2,
    ROLE_LEARNER = 4,
    ROLE_WANTS_VOTE = 8,
    ROLES_PLAIN = ROLE_VOTER | ROLE_OLD_VOTER | ROLE_LEARNER,
    ROLES_ALL = ROLES_PLAIN | ROLE_WANTS_VOTE,
};

#define NODE_ID_MAX ((UINT64_C(1) << 53) - 1)

/* --- cluster id --- */

bool cluster_id_is_set(struct cluster_id id)
{
    return (id.high | id.low) != 0;
}

bool cluster_id_equal(struct cluster_id a, struct cluster_id b)
{
    return a.high == b.high && a.low == b.low;
}

void cluster_id_format(struct cluster_id id, char text[CLUSTER_ID_TEXT_SIZE])
{
    for (uint32_t i = 0; i < 32; i++) {
        const uint64_t half = i < 16 ? id.high : id.low;
        text[i] = "0123456789abcdef"[half >> (60 - 4 * (i % 16)) & 15];
    }
    text[32] = '\0';
}

static bool hex_digit(char c, uint64_t *ret)
{
    if (c >= '0' && c <= '9') {
        *ret = (uint64_t)(c - '0');
        return true;
    }
    if (c >= 'a' && c <= 'f') {
        *ret = (uint64_t)(c - 'a') + 10;
        return true;
    }
    return false;
}

enum rk_status cluster_id_parse(const char *text, struct cluster_id *ret)
{
    struct cluster_id id = {0};
    for (uint32_t i = 0; i < 32; i++) {
        uint64_t digit;
        if (!hex_digit(text[i], &digit)) { /* the NUL included: no byte behind it is read */
            return RK_INVALID;
        }
        uint64_t *half = i < 16 ? &id.high : &id.low;
        *half = *half << 4 | digit;
    }
    if (text[32] != '\0' || !cluster_id_is_set(id)) {
        return RK_INVALID;
    }
    *ret = id;
    return RK_OK;
}

/* --- rules --- */

static bool name_char_is_legal(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
}

static bool name_is_legal(const char *name)
{
    uint32_t size = 0;
    while (name[size] != '\0') {
        if (!name_char_is_legal(name[size])) {
            return false;
        }
        size++;
    }
    return size > 0;
}

/* What it means is the network's business; here it may not break a log line or a header. */
static bool address_is_legal(const char *address)
{
    for (uint32_t i = 0; address[i] != '\0'; i++) {
        if (address[i] <= ' ' || address[i] > '~') {
            return false;
        }
    }
    return true;
}

static bool roles_are_legal(const struct member *member, bool is_joint)
{
    if (member->is_old_voter && !is_joint) {
        return false;
    }
    if (member->is_learner ? member->is_voter : member->wants_vote) {
        return false;
    }
    return member->is_voter || member->is_old_voter || member->is_learner;
}

bool member_texts_are_legal(const struct member *member)
{
    return name_is_legal(member->name) && member->peer_address[0] != '\0' &&
           address_is_legal(member->peer_address) && address_is_legal(member->client_address);
}

static bool member_is_legal(const struct member *member, bool is_joint)
{
    return member->id > 0 && member->id <= NODE_ID_MAX && member_texts_are_legal(member) &&
           roles_are_legal(member, is_joint);
}

static bool text_equal(const char *a, const char *b)
{
    const size_t size = strlen(a);
    return size == strlen(b) && memcmp(a, b, size) == 0;
}

static bool members_clash(const struct member *a, const struct member *b)
{
    if (a->id == b->id) {
        return true;
    }
    if (a->replaces == b->id || b->replaces == a->id) {
        return false;
    }
    return text_equal(a->name, b->name) || text_equal(a->peer_address, b->peer_address);
}

/* Whether member `i` may follow those before it. */
static bool member_is_apart(const struct membership *membership, uint32_t i)
{
    for (uint32_t j = 0; j < i; j++) {
        if (members_clash(&membership->members[j], &membership->members[i])) {
            return false;
        }
    }
    return i == 0 || membership->members[i - 1].id < membership->members[i].id;
}

/* One for one: whoever is replaced is there, is replaced once, and replaces nobody itself. */
static bool replacement_is_legal(const struct membership *membership, const struct member *member)
{
    uint32_t replacements = 0;

    if (member->replaces == 0) {
        return true;
    }
    for (uint32_t i = 0; i < membership->members_count; i++) {
        replacements += membership->members[i].replaces == member->replaces ? 1 : 0;
    }
    const struct member *replaced = membership_by_id(membership, member->replaces);
    return replacements == 1 && replaced != NULL && replaced != member && replaced->replaces == 0;
}

struct role_counts {
    uint32_t voters;
    uint32_t old_voters;
    uint32_t learners;
};

static struct role_counts count_roles(const struct membership *membership)
{
    struct role_counts counts = {0};
    for (uint32_t i = 0; i < membership->members_count; i++) {
        counts.voters += membership->members[i].is_voter ? 1 : 0;
        counts.old_voters += membership->members[i].is_old_voter ? 1 : 0;
        counts.learners += membership->members[i].is_learner ? 1 : 0;
    }
    return counts;
}

static bool counts_are_legal(const struct membership *membership)
{
    const struct role_counts counts = count_roles(membership);
    if (counts.voters == 0 || (counts.old_voters == 0) == membership->is_joint) {
        return false;
    }
    return counts.voters <= RAFT_VOTERS_MAX && counts.old_voters <= RAFT_VOTERS_MAX &&
           counts.learners <= RAFT_LEARNERS_MAX;
}

static bool membership_is_legal(const struct membership *membership)
{
    if (!cluster_id_is_set(membership->cluster) || membership->election_timeout_ms == 0) {
        return false;
    }
    for (uint32_t i = 0; i < membership->members_count; i++) {
        if (!member_is_legal(&membership->members[i], membership->is_joint) ||
            !member_is_apart(membership, i) ||
            !replacement_is_legal(membership, &membership->members[i])) {
            return false;
        }
    }
    return counts_are_legal(membership);
}

/* --- encoding --- */

static uint8_t roles_of(const struct member *member)
{
    return (uint8_t)((member->is_voter ? ROLE_VOTER : 0) |
                     (member->is_old_voter ? ROLE_OLD_VOTER : 0) |
                     (member->is_learner ? ROLE_LEARNER : 0) |
                     (member->wants_vote ? ROLE_WANTS_VOTE : 0));
}

static uint8_t version_of(const struct membership *membership)
{
    for (uint32_t i = 0; i < membership->members_count; i++) {
        if (membership->members[i].wants_vote || membership->members[i].replaces != 0) {
            return VERSION_CHANGES;
        }
    }
    return VERSION_PLAIN;
}

static uint32_t member_size(uint8_t version)
{
    return version == VERSION_PLAIN ? MEMBER_PLAIN_SIZE : MEMBER_CHANGES_SIZE;
}

static void member_encode(const struct member *member, uint8_t version, struct rk_buf *buf)
{
    uint8_t fixed[MEMBER_CHANGES_SIZE];
    rk_le_put_u64(&fixed[0], member->id);
    rk_le_put_u64(&fixed[8], member->incarnation);
    fixed[16] = roles_of(member);
    fixed[17] = (uint8_t)strlen(member->name);
    rk_le_put_u16(&fixed[18], (uint16_t)strlen(member->peer_address));
    rk_le_put_u16(&fixed[20], (uint16_t)strlen(member->client_address));
    rk_le_put_u64(&fixed[22], member->replaces);
    rk_buf_append(buf, fixed, member_size(version));
    rk_buf_append_text(buf, member->name);
    rk_buf_append_text(buf, member->peer_address);
    rk_buf_append_text(buf, member->client_address);
}

void membership_encode(const struct membership *membership, struct rk_buf *buf)
{
    RK_ASSERT(membership->members_count <= RAFT_MEMBERS_MAX);
    RK_ASSERT(membership_is_legal(membership));
    uint8_t fixed[MEMBERSHIP_FIXED_SIZE];
    fixed[0] = version_of(membership);
    fixed[1] = membership->is_joint ? 1 : 0;
    rk_le_put_u16(&fixed[2], (uint16_t)membership->members_count);
    rk_le_put_u32(&fixed[4], membership->election_timeout_ms);
    rk_le_put_u64(&fixed[8], membership->cluster.high);
    rk_le_put_u64(&fixed[16], membership->cluster.low);
    rk_buf_append(buf, fixed, sizeof(fixed));
    for (uint32_t i = 0; i < membership->members_count; i++) {
        member_encode(&membership->members[i], fixed[0], buf);
    }
}

/* --- decoding --- */

/* Takes `size` bytes from the front as a text without NUL. */
static bool text_take(struct rk_bytes *bytes, uint32_t size, char *text, uint32_t size_max)
{
    if (size > size_max || size > bytes->size) {
        return false;
    }
    for (uint32_t i = 0; i < size; i++) {
        if (bytes->data[i] == 0) {
            return false;
        }
        text[i] = (char)bytes->data[i];
    }
    text[size] = '\0';
    bytes->data += size;
    bytes->size -= size;
    return true;
}

static bool member_take(struct rk_bytes *bytes, uint8_t version, struct member *member)
{
    const uint8_t *fixed = bytes->data;
    const uint32_t size = member_size(version);
    const int roles = version == VERSION_PLAIN ? ROLES_PLAIN : ROLES_ALL;
    if (bytes->size < size || (fixed[16] & ~roles) != 0) {
        return false;
    }
    member->id = rk_le_u64(&fixed[0]);
    member->incarnation = rk_le_u64(&fixed[8]);
    member->is_voter = (fixed[16] & ROLE_VOTER) != 0;
    member->is_old_voter = (fixed[16] & ROLE_OLD_VOTER) != 0;
    member->is_learner = (fixed[16] & ROLE_LEARNER) != 0;
    member->wants_vote = (fixed[16] & ROLE_WANTS_VOTE) != 0;
    member->replaces = version == VERSION_PLAIN ? 0 : rk_le_u64(&fixed[22]);
    bytes->data += size;
    bytes->size -= size;
    return text_take(bytes, fixed[17], member->name, RK_NODE_NAME_SIZE_MAX) &&
           text_take(bytes, rk_le_u16(&fixed[18]), member->peer_address, RK_ADDRESS_SIZE_MAX) &&
           text_take(bytes, rk_le_u16(&fixed[20]), member->client_address, RK_ADDRESS_SIZE_MAX);
}

static bool membership_take(struct rk_bytes *bytes, struct membership *membership)
{
    const uint8_t *fixed = bytes->data;
    if (bytes->size < MEMBERSHIP_FIXED_SIZE || fixed[0] < VERSION_PLAIN ||
        fixed[0] > VERSION_CHANGES || fixed[1] > 1) {
        return false;
    }
    membership->is_joint = fixed[1] == 1;
    membership->members_count = rk_le_u16(&fixed[2]);
    membership->election_timeout_ms = rk_le_u32(&fixed[4]);
    membership->cluster.high = rk_le_u64(&fixed[8]);
    membership->cluster.low = rk_le_u64(&fixed[16]);
    if (membership->members_count > RAFT_MEMBERS_MAX) {
        return false;
    }
    bytes->data += MEMBERSHIP_FIXED_SIZE;
    bytes->size -= MEMBERSHIP_FIXED_SIZE;
    for (uint32_t i = 0; i < membership->members_count; i++) {
        if (!member_take(bytes, fixed[0], &membership->members[i])) {
            return false;
        }
    }
    return bytes->size == 0;
}

enum rk_status membership_decode(struct rk_bytes bytes, struct membership *ret)
{
    struct membership membership = {0};
    if (!membership_take(&bytes, &membership) || !membership_is_legal(&membership)) {
        return RK_CORRUPT;
    }
    *ret = membership;
    return RK_OK;
}

/* --- looking and changing --- */

void membership_to_raft(const struct membership *membership, struct raft_config *ret)
{
    RK_ASSERT(counts_are_legal(membership));
    *ret = (struct raft_config){0};
    for (uint32_t i = 0; i < membership->members_count; i++) {
        const struct member *member = &membership->members[i];
        if (member->is_voter) {
            ret->voters[ret->voters_count++] = member->id;
        }
        if (member->is_old_voter) {
            ret->old_voters[ret->old_voters_count++] = member->id;
        }
        if (member->is_learner) {
            ret->learners[ret->learners_count++] = member->id;
        }
    }
}

const struct member *membership_by_id(const struct membership *membership, raft_node_id id)
{
    for (uint32_t i = 0; i < membership->members_count; i++) {
        if (membership->members[i].id == id) {
            return &membership->members[i];
        }
    }
    return NULL;
}

const struct member *membership_by_name(const struct membership *membership, const char *name)
{
    const struct member *found = NULL;

    for (uint32_t i = 0; i < membership->members_count; i++) {
        const struct member *member = &membership->members[i];
        if (text_equal(member->name, name) && (found == NULL || member->replaces == found->id)) {
            found = member;
        }
    }
    return found;
}

static bool has_room(const struct membership *membership, const struct member *member)
{
    const struct role_counts counts = count_roles(membership);
    return membership->members_count < RAFT_MEMBERS_MAX &&
           (!member->is_voter || counts.voters < RAFT_VOTERS_MAX) &&
           (!member->is_old_voter || counts.old_voters < RAFT_VOTERS_MAX) &&
           (!member->is_learner || counts.learners < RAFT_LEARNERS_MAX);
}

enum rk_status membership_add(struct membership *membership, const struct member *member)
{
    for (uint32_t i = 0; i < membership->members_count; i++) {
        if (members_clash(&membership->members[i], member)) {
            return RK_CONFLICT;
        }
    }
    if (!has_room(membership, member)) {
        return RK_TOO_LARGE;
    }
    uint32_t place = membership->members_count;
    for (; place > 0 && membership->members[place - 1].id > member->id; place--) {
        membership->members[place] = membership->members[place - 1];
    }
    membership->members[place] = *member;
    membership->members_count++;
    return RK_OK;
}
