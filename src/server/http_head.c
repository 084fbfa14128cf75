#include "server/http_head.h"

#include <stddef.h>
#include <string.h>
#include <strings.h>

/* What the fields say about the body and the host. */
struct framing {
    uint32_t lengths_count;
    uint32_t codings_count;
    uint32_t hosts_count;
    const char *length;
    const char *coding;
};

static bool run_has_control(const char *value, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        const unsigned char byte = (unsigned char)value[i];
        if ((byte < 0x20 && byte != '\t') || byte == 0x7f) {
            return true;
        }
    }
    return false;
}

/* Whether a byte of the word is below 0x20 or is 0x7f: where one borrows, its top bit is set and
 * was not before. */
static bool word_is_suspect(uint64_t word)
{
    const uint64_t ones = UINT64_C(0x0101010101010101);
    const uint64_t tops = ones << 7;
    const uint64_t deletes = word ^ (ones * 0x7f);

    return ((((word - ones * 0x20) & ~word) | ((deletes - ones) & ~deletes)) & tops) != 0;
}

bool http_value_has_control(const char *value, size_t size)
{
    for (; size >= sizeof(uint64_t); size -= sizeof(uint64_t), value += sizeof(uint64_t)) {
        uint64_t word;
        memcpy(&word, value, sizeof(word));
        if (word_is_suspect(word) && run_has_control(value, sizeof(word))) {
            return true;
        }
    }
    return run_has_control(value, size);
}

/* RFC 9110 5.6.2: what is printable, but for the delimiters. Most are letters. */
static bool is_token_byte(unsigned char byte)
{
    const unsigned char folded = byte | 0x20;

    if ((folded >= 'a' && folded <= 'z') || byte == '-') {
        return true;
    }
    return byte > 0x20 && byte < 0x7f && strchr("\"(),/:;<=>?@[\\]{}", byte) == NULL;
}

/* A name with a blank before its colon is another field to some servers and none to others
 * (RFC 9112 5.1): a coding that is spelled so would make the body vanish. */
static bool names_are_tokens(const struct http_head *head)
{
    for (uint32_t i = 0; i < head->fields_count; i++) {
        const char *at = head->fields[i].name;
        while (is_token_byte((unsigned char)*at)) {
            at++;
        }
        if (*at != '\0' || at == head->fields[i].name) {
            return false;
        }
    }
    return true;
}

/* Most fields differ from `wanted` in their first letter. */
static bool is_named(const struct http_field *field, const char *wanted)
{
    return (field->name[0] | 0x20) == (wanted[0] | 0x20) && strcasecmp(field->name, wanted) == 0;
}

static struct framing framing_of(const struct http_head *head)
{
    struct framing framing = {.length = NULL};

    for (uint32_t i = 0; i < head->fields_count; i++) {
        const struct http_field *field = &head->fields[i];
        if (is_named(field, "Content-Length")) {
            framing.lengths_count++;
            framing.length = field->value;
        } else if (is_named(field, "Transfer-Encoding")) {
            framing.codings_count++;
            framing.coding = field->value;
        } else if (is_named(field, "Host")) {
            framing.hosts_count++;
        }
    }
    return framing;
}

/* Digits only, and no more than 2^64-1: what libmicrohttpd takes beyond that is not for us. */
static bool length_parse(const char *text, uint64_t *ret)
{
    uint64_t value = 0;

    for (const char *at = text; *at != '\0'; at++) {
        const uint64_t digit = (uint64_t)(unsigned char)*at - '0';
        if (*at < '0' || *at > '9' || value > (UINT64_MAX - digit) / 10) {
            return false;
        }
        value = value * 10 + digit;
    }
    *ret = value;
    return *text != '\0';
}

static bool target_is_printable(const char *target)
{
    for (const char *at = target; *at != '\0'; at++) {
        if ((unsigned char)*at <= 0x20 || *at == 0x7f) {
            return false;
        }
    }
    return true;
}

static const char *target_fault(const struct http_head *head)
{
    const bool is_absolute = strncasecmp(head->target, "http://", 7) == 0;

    if (head->target[0] != '/' && !(is_absolute && !head->origin_form_only)) {
        return "Bad request: the target must begin with a slash";
    }
    if (!target_is_printable(head->target)) {
        return "Bad request: control character or space in the target";
    }
    return strstr(head->target, "%00") != NULL ? "Bad request: NUL in the target" : NULL;
}

static const char *framing_fault(const struct framing *framing, bool is_http_1_1)
{
    if (framing->lengths_count > 1) {
        return "Bad request: more than one Content-Length";
    }
    if (framing->lengths_count > 0 && framing->codings_count > 0) {
        return "Bad request: both Content-Length and Transfer-Encoding";
    }
    if (framing->codings_count > 0 && !is_http_1_1) {
        return "Bad request: Transfer-Encoding needs HTTP/1.1";
    }
    if (framing->hosts_count > 1 || (is_http_1_1 && framing->hosts_count == 0)) {
        return "Bad request: exactly one Host is required";
    }
    return NULL;
}

static struct http_verdict refusal(uint32_t status, const char *text)
{
    return (struct http_verdict){.status = status, .text = text};
}

static struct http_verdict framing_judge(const struct framing *framing, bool is_http_1_1)
{
    const char *fault = framing_fault(framing, is_http_1_1);
    struct http_verdict verdict = {.status = 0};

    if (fault != NULL) {
        return refusal(400, fault);
    }
    if (framing->codings_count > 0) {
        if (framing->codings_count > 1 || strcasecmp(framing->coding, "chunked") != 0) {
            return refusal(501, "Transfer-Encoding not implemented: only chunked is");
        }
        verdict.has_body = true;
    } else if (framing->lengths_count > 0) {
        if (!length_parse(framing->length, &verdict.content_length)) {
            return refusal(400, "Bad request: Content-Length is not a number");
        }
        verdict.has_body = verdict.content_length > 0;
    }
    return verdict;
}

struct http_verdict http_head_judge(const struct http_head *head)
{
    if (head->target_too_long) {
        return refusal(414, "Request target too long");
    }
    if (head->fields_too_many) {
        return refusal(431, "Too many header fields");
    }
    if (head->has_control) {
        return refusal(400, "Bad request: control character in the request head");
    }
    if (!names_are_tokens(head)) {
        return refusal(400, "Bad request: a field's name is not a token");
    }
    const char *fault = target_fault(head);
    if (fault != NULL) {
        return refusal(400, fault);
    }
    const struct framing framing = framing_of(head);
    return framing_judge(&framing, strcmp(head->version, "HTTP/1.1") == 0);
}
