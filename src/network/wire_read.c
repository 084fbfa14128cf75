/* The reading half of wire_line.h. */
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "network/wire_line.h"

/* ---- Taking a line apart ---- */

/* Text still to be read. A step that finds something else sets `at` to NULL, and so do all that
 * follow it. */
struct scan {
    const uint8_t *at;
    const uint8_t *end;
};

static bool is_at(const struct scan *scan, char expected)
{
    return scan->at != NULL && scan->at < scan->end && *scan->at == (uint8_t)expected;
}

static bool is_at_digit(const struct scan *scan)
{
    return scan->at != NULL && scan->at < scan->end && *scan->at >= '0' && *scan->at <= '9';
}

/* Steps over one character if it is the expected one. */
static bool skip_one(struct scan *scan, char expected)
{
    const bool is_there = is_at(scan, expected);

    if (is_there) {
        scan->at++;
    }
    return is_there;
}

static void skip_blanks(struct scan *scan)
{
    while (is_at(scan, ' ')) {
        scan->at++;
    }
}

static void need(struct scan *scan, char expected)
{
    skip_blanks(scan);
    if (!skip_one(scan, expected)) {
        scan->at = NULL;
    }
    skip_blanks(scan);
}

static void need_word(struct scan *scan, const char *word)
{
    const size_t size = strlen(word);

    if (scan->at == NULL || (size_t)(scan->end - scan->at) < size ||
        memcmp(scan->at, word, size) != 0) {
        scan->at = NULL;
        return;
    }
    scan->at += size;
}

static void need_digits(struct scan *scan)
{
    if (!is_at_digit(scan)) {
        scan->at = NULL;
    }
    while (is_at_digit(scan)) {
        scan->at++;
    }
}

static void scan_numeral(struct scan *scan)
{
    (void)skip_one(scan, '-');
    if (!skip_one(scan, '0')) {
        need_digits(scan);
    }
    if (skip_one(scan, '.')) {
        need_digits(scan);
    }
    if (skip_one(scan, 'e') || skip_one(scan, 'E')) {
        if (!skip_one(scan, '-')) {
            (void)skip_one(scan, '+');
        }
        need_digits(scan);
    }
}

/* After a backslash. */
static void scan_escape(struct scan *scan)
{
    static const char hex[] = "0123456789abcdefABCDEF";

    if (scan->at == scan->end) {
        scan->at = NULL;
        return;
    }
    if (*scan->at != 'u') {
        scan->at = memchr("\"\\/bfnrt", *scan->at, 8) == NULL ? NULL : scan->at + 1;
        return;
    }
    scan->at++;
    for (int i = 0; i < 4 && scan->at != NULL; i++) {
        const bool is_hex = scan->at < scan->end && memchr(hex, *scan->at, 22) != NULL;
        scan->at = is_hex ? scan->at + 1 : NULL;
    }
}

/* A string from its quote; *ret is what is between the quotes. */
static enum wire_kind scan_string(struct scan *scan, struct rk_bytes *ret)
{
    enum wire_kind kind = WIRE_STRING;

    if (!skip_one(scan, '"')) {
        scan->at = NULL;
        return WIRE_ABSENT;
    }
    const uint8_t *start = scan->at;
    while (scan->at != NULL && scan->at < scan->end && *scan->at != '"') {
        if (*scan->at++ == '\\') {
            kind = WIRE_STRING_ESCAPED;
            scan_escape(scan);
        }
    }
    if (scan->at == NULL || scan->at == scan->end) {
        scan->at = NULL;
        return WIRE_ABSENT;
    }
    *ret = (struct rk_bytes){.data = start, .size = (uint32_t)(scan->at - start)};
    scan->at++;
    return kind;
}

static enum wire_kind scan_plain_value(struct scan *scan)
{
    if (is_at(scan, 't')) {
        need_word(scan, "true");
        return WIRE_TRUE;
    }
    if (is_at(scan, 'f')) {
        need_word(scan, "false");
        return WIRE_FALSE;
    }
    if (is_at(scan, 'n')) {
        need_word(scan, "null");
        return WIRE_NULL;
    }
    scan_numeral(scan);
    return WIRE_NUMERAL;
}

static void scan_value(struct scan *scan, struct wire_member *member)
{
    const uint8_t *start = scan->at;

    if (is_at(scan, '"')) {
        member->kind = scan_string(scan, &member->value);
        return;
    }
    member->kind = scan_plain_value(scan);
    if (scan->at != NULL) {
        member->value = (struct rk_bytes){.data = start, .size = (uint32_t)(scan->at - start)};
    }
}

static bool is_same(struct rk_bytes a, struct rk_bytes b)
{
    return a.size == b.size && memcmp(a.data, b.data, a.size) == 0;
}

static bool has_member(const struct wire_line *line, struct rk_bytes name)
{
    for (uint32_t i = 0; i < line->members_count; i++) {
        if (is_same(line->members[i].name, name)) {
            return true;
        }
    }
    return false;
}

/* An escaped name could be another one in disguise. */
static void scan_member(struct scan *scan, struct wire_line *line)
{
    struct wire_member *member = &line->members[line->members_count];

    if (line->members_count == WIRE_MEMBERS_MAX ||
        scan_string(scan, &member->name) != WIRE_STRING || has_member(line, member->name)) {
        scan->at = NULL;
        return;
    }
    need(scan, ':');
    scan_value(scan, member);
    line->members_count++;
}

static bool scan_object(struct scan *scan, struct wire_line *line)
{
    need(scan, '{');
    if (is_at(scan, '}')) {
        need(scan, '}');
        return scan->at == scan->end;
    }
    while (scan->at != NULL) {
        scan_member(scan, line);
        skip_blanks(scan);
        if (!skip_one(scan, ',')) {
            break;
        }
        skip_blanks(scan);
    }
    need(scan, '}');
    return scan->at == scan->end;
}

static bool is_printable(const uint8_t *text, size_t size)
{
    bool is_good = true;

    for (size_t i = 0; i < size; i++) {
        is_good &= text[i] >= ' ' && text[i] <= '~';
    }
    return is_good;
}

static void take_apart(struct wire_line *line, struct rk_bytes body)
{
    const size_t reach = body.size < WIRE_LINE_SIZE_MAX ? body.size : WIRE_LINE_SIZE_MAX;
    const uint8_t *end = reach == 0 ? NULL : memchr(body.data, '\n', reach);
    struct scan scan = {.at = body.data, .end = end};

    if (body.size > RK_PEER_BODY_SIZE_MAX) {
        wire_line_refuse(line, "the body is too large");
    } else if (end == NULL) {
        wire_line_refuse(line, "no line of JSON at the start, or too long a line");
    } else if (!is_printable(body.data, (size_t)(end - body.data)) || !scan_object(&scan, line)) {
        wire_line_refuse(line, "the first line is not one flat JSON object");
    } else {
        line->rest.data = end + 1;
        line->rest.size = body.size - (uint32_t)(end - body.data) - 1;
    }
}

/* ---- Asking for members ---- */

static const struct wire_member *find(struct wire_line *line, const char *name)
{
    static const struct wire_member absent = {.kind = WIRE_ABSENT};
    const struct rk_bytes wanted = {.data = (const uint8_t *)name, .size = (uint32_t)strlen(name)};

    /* After a refusal a member may be half read. */
    const uint32_t count = line->reason == NULL ? line->members_count : 0;
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t at = (line->next + i) % count;
        if (is_same(line->members[at].name, wanted)) {
            line->next = at + 1;
            return &line->members[at];
        }
    }
    return &absent;
}

/* Digits only and below 2^64: the caller has the bound. */
static bool read_decimal(struct rk_bytes digits, uint64_t *ret)
{
    uint64_t value = 0;

    for (uint32_t i = 0; i < digits.size; i++) {
        if (digits.data[i] < '0' || digits.data[i] > '9' || i == 19) {
            return false;
        }
        value = value * 10 + (uint64_t)(digits.data[i] - '0');
    }
    *ret = value;
    return true;
}

/* 16 lower-case digits. */
static bool read_hex(const uint8_t *digits, uint64_t *ret)
{
    uint64_t value = 0;

    for (int i = 0; i < 16; i++) {
        const uint8_t digit = digits[i];
        if (digit >= '0' && digit <= '9') {
            value = value << 4 | (uint64_t)(digit - '0');
        } else if (digit >= 'a' && digit <= 'f') {
            value = value << 4 | (uint64_t)(digit - 'a' + 10);
        } else {
            return false;
        }
    }
    *ret = value;
    return true;
}

/* The numbers are what an operator needs in the middle of an upgrade, so the text is made. */
static void check_protocol(struct wire_line *line, uint32_t protocol)
{
    static _Thread_local char reason[64];

    if (line->reason == NULL && protocol != RK_PROTOCOL_VERSION) {
        (void)snprintf(reason, sizeof(reason), "protocol version %u there, %d here",
                       (unsigned)protocol, RK_PROTOCOL_VERSION);
        wire_line_refuse(line, reason);
    }
}

static void get_cluster(struct wire_line *line, struct wire_envelope *envelope)
{
    const struct wire_member *cluster = find(line, "cluster");

    if (cluster->kind != WIRE_STRING || cluster->value.size != 32 ||
        !read_hex(cluster->value.data, &envelope->cluster_high) ||
        !read_hex(cluster->value.data + 16, &envelope->cluster_low)) {
        wire_line_refuse(line, "member cluster is not 32 hexadecimal digits");
    }
}

void wire_line_open(struct wire_line *line, struct rk_bytes body, struct wire_envelope *envelope)
{
    line->members_count = 0;
    line->next = 1; /* after the type */
    line->rest = (struct rk_bytes){.data = NULL};
    line->reason = NULL;
    *envelope = (struct wire_envelope){.protocol = 0};
    take_apart(line, body);
    envelope->protocol = (uint32_t)WIRE_NUMBER_UP_TO(line, "protocol", UINT32_MAX);
    check_protocol(line, envelope->protocol);
    get_cluster(line, envelope);
    envelope->from = WIRE_NUMBER(line, "from");
    envelope->to = WIRE_NUMBER(line, "to");
    envelope->from_incarnation = WIRE_HEX(line, "incarnation");
    envelope->election_timeout_ms =
        (uint32_t)WIRE_NUMBER_UP_TO(line, "election_timeout_ms", UINT32_MAX);
    envelope->feature_level = (uint32_t)WIRE_OPTIONAL(line, "feature_level", UINT32_MAX);
}

void wire_line_refuse(struct wire_line *line, const char *reason)
{
    if (line->reason == NULL) {
        line->reason = reason;
    }
}

bool wire_line_is(struct wire_line *line, const char *type)
{
    const uint32_t next = line->next;
    const struct wire_member *member = find(line, "type");
    const struct rk_bytes wanted = {.data = (const uint8_t *)type, .size = (uint32_t)strlen(type)};

    line->next = next;
    return member->kind == WIRE_STRING && is_same(member->value, wanted);
}

void wire_line_expect(struct wire_line *line, const char *type)
{
    if (!wire_line_is(line, type)) {
        wire_line_refuse(line, "a message of another type is expected here");
    }
}

void wire_line_expect_nodes(struct wire_line *line, const struct wire_envelope *envelope)
{
    if (envelope->from == 0 || envelope->to == 0) {
        wire_line_refuse(line, "from and to must name a node");
    }
}

void wire_line_expect_end(struct wire_line *line)
{
    if (line->rest.size > 0) {
        wire_line_refuse(line, "bytes after the end of the message");
    }
}

uint64_t wire_get_number(struct wire_line *line, const char *name, uint64_t max, const char *reason)
{
    RK_ASSERT(max <= WIRE_NUMBER_MAX);
    const struct wire_member *member = find(line, name);
    uint64_t value = 0;

    if (member->kind != WIRE_NUMERAL || !read_decimal(member->value, &value) || value > max) {
        wire_line_refuse(line, reason);
        return 0;
    }
    return value;
}

uint64_t wire_get_optional(struct wire_line *line, const char *name, uint64_t max,
                           const char *reason)
{
    const uint32_t next = line->next;

    if (find(line, name)->kind == WIRE_ABSENT) {
        line->next = next;
        return 0;
    }
    line->next = next;
    return wire_get_number(line, name, max, reason);
}

uint64_t wire_get_hex(struct wire_line *line, const char *name, const char *reason)
{
    const struct wire_member *member = find(line, name);
    uint64_t value = 0;

    if (member->kind != WIRE_STRING || member->value.size != 16 ||
        !read_hex(member->value.data, &value)) {
        wire_line_refuse(line, reason);
        return 0;
    }
    return value;
}

bool wire_get_bool(struct wire_line *line, const char *name, const char *reason)
{
    const struct wire_member *member = find(line, name);

    if (member->kind != WIRE_TRUE && member->kind != WIRE_FALSE) {
        wire_line_refuse(line, reason);
    }
    return member->kind == WIRE_TRUE;
}

void wire_get_text(struct wire_line *line, const char *name, char *ret, size_t size_max,
                   const char *reason)
{
    const struct wire_member *member = find(line, name);
    const struct rk_bytes value = member->value;

    ret[0] = '\0';
    if (member->kind != WIRE_STRING || value.size > size_max ||
        (value.size > 0 && memchr(value.data, ' ', value.size) != NULL)) {
        wire_line_refuse(line, reason);
        return;
    }
    rk_bytes_copy(ret, value);
    ret[value.size] = '\0';
}
