/* openapi.yaml and the route table say the same: every route, method and parameter, both ways.
 *
 * The document is read line by line, in the regular layout that its head describes; a line that
 * leaves the layout fails the test, so that nothing can hide from it. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/router.h"
#include "base/heap.h"
#include "support/run.h"

enum { LINES_MAX = 4000, LINE_SIZE_MAX = 1024, WORDS_MAX = 512, WORD_SIZE_MAX = 128 };

/* A list of texts like "GET /v1/kv/{key} cas". */
struct words {
    uint32_t count;
    char word[WORDS_MAX][WORD_SIZE_MAX];
};

static struct words routes;     /* of the table: "GET /path" and "GET /path parameter" */
static struct words documented; /* of the document: the same */
static struct words defined;    /* components/parameters of the document */
static struct words used;       /* references to them */
static struct words problems;   /* lines that leave the layout */

static void words_add(struct words *words, const char *text)
{
    ck_assert_uint_lt(words->count, WORDS_MAX);
    ck_assert_uint_lt(strlen(text), WORD_SIZE_MAX);
    memcpy(words->word[words->count++], text, strlen(text) + 1);
}

static bool words_have(const struct words *words, const char *text)
{
    for (uint32_t i = 0; i < words->count; i++) {
        if (strcmp(words->word[i], text) == 0) {
            return true;
        }
    }
    return false;
}

/* How many of `a` are missing in `b`; each is printed. */
static uint32_t missing(const struct words *a, const struct words *b, const char *where)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < a->count; i++) {
        if (!words_have(b, a->word[i])) {
            printf("not in %s: %s\n", where, a->word[i]);
            count++;
        }
    }
    return count;
}

static uint32_t repeated(const struct words *words)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < words->count; i++) {
        for (uint32_t j = i + 1; j < words->count; j++) {
            if (strcmp(words->word[i], words->word[j]) == 0) {
                printf("twice: %s\n", words->word[i]);
                count++;
            }
        }
    }
    return count;
}

static void route_words(const struct api_route *route)
{
    char head[WORD_SIZE_MAX];
    char text[2 * WORD_SIZE_MAX];
    const char *method = route_method_name(route->method);

    if (route->rest == NULL) {
        snprintf(head, sizeof(head), "%s %s", method, route->path);
    } else {
        snprintf(head, sizeof(head), "%s %s{%s}", method, route->path, route->rest);
        snprintf(text, sizeof(text), "%s %s", head, route->rest);
        words_add(&routes, text);
    }
    words_add(&routes, head);
    if (route->finish_write != NULL) { /* it is a write of the log: api.c takes its token */
        snprintf(text, sizeof(text), "%s Idempotency-Key", head);
        words_add(&routes, text);
    }
    for (const char *at = route->parameters; *at != '\0';) {
        const size_t size = strcspn(at, " ");
        ck_assert_uint_gt(size, 0);
        snprintf(text, sizeof(text), "%s %.*s", head, (int)size, at);
        words_add(&routes, text);
        at += size + (at[size] == ' ');
    }
}

/* Where a reader of the document is. */
struct reader {
    char section[WORD_SIZE_MAX];   /* a key without indent */
    char component[WORD_SIZE_MAX]; /* components: the kind, two spaces in */
    char parameter[WORD_SIZE_MAX]; /* components/parameters: the name, four spaces in */
    char path[WORD_SIZE_MAX];
    char operation[WORD_SIZE_MAX + 8]; /* "GET /path" */
    bool in_parameters;                /* of an operation */
    size_t block; /* indent of the key that opened a block text, + 1; 0: none */
};

static void problem(const char *line, const char *what)
{
    char text[WORD_SIZE_MAX];
    snprintf(text, sizeof(text), "%.40s: %.60s", what, line);
    words_add(&problems, text);
}

/* "key:" or "key: value" at `text`; the value is "" when there is none. */
static bool split_key(const char *text, char *key, size_t key_size, const char **ret_value)
{
    const char *colon = *text == '"' ? strchr(text, ':') : strstr(text, ": ");

    if (colon == NULL && text[0] != '\0' && text[strlen(text) - 1] == ':') {
        colon = text + strlen(text) - 1;
    }
    if (colon == NULL || (size_t)(colon - text) >= key_size) {
        return false;
    }
    memcpy(key, text, (size_t)(colon - text));
    key[colon - text] = '\0';
    *ret_value = colon[1] == ' ' ? colon + 2 : colon + 1;
    return true;
}

/* A plain value may not look like a key or a comment: YAML would read something else. */
static void check_value(const char *line, const char *value)
{
    if (strchr("\"'[{|", *value) == NULL &&
        (strstr(value, ": ") != NULL || strstr(value, " #") != NULL)) {
        problem(line, "plain value with ': ' or ' #'");
    }
    if (*value == '|' && strcmp(value, "|") != 0) {
        problem(line, "block text that is not plain |");
    }
    if ((*value == '"' || *value == '\'') && value[strlen(value) - 1] != *value) {
        problem(line, "quote that does not end");
    }
}

static void read_method(struct reader *reader, const char *line, const char *key)
{
    static const char *const keys[] = {"get", "put", "delete", "post", "patch"};
    static const char *const names[] = {"GET", "PUT", "DELETE", "POST", "PATCH"};

    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        if (strcmp(key, keys[i]) == 0) {
            snprintf(reader->operation, sizeof(reader->operation), "%s %s", names[i], reader->path);
            words_add(&documented, reader->operation);
            return;
        }
    }
    problem(line, "not a method");
}

static void read_path_key(struct reader *reader, const char *line, size_t indent, const char *key)
{
    if (indent == 2) {
        if (*key != '/') {
            problem(line, "not a path");
        }
        snprintf(reader->path, sizeof(reader->path), "%s", key);
    } else if (indent == 4) {
        read_method(reader, line, key);
    }
    if (indent <= 6) {
        reader->in_parameters = indent == 6 && strcmp(key, "parameters") == 0;
    } else if (strcmp(key, "parameters") == 0) {
        problem(line, "parameters in an unexpected place");
    }
}

static void read_component_key(struct reader *reader, const char *line, size_t indent,
                               const char *key, const char *value)
{
    if (indent == 2) {
        snprintf(reader->component, sizeof(reader->component), "%s", key);
    }
    if (strcmp(reader->component, "parameters") != 0) {
        return;
    }
    if (indent == 4) {
        snprintf(reader->parameter, sizeof(reader->parameter), "%s", key);
        words_add(&defined, key);
    } else if (indent == 6 && strcmp(key, "name") == 0 && strcmp(value, reader->parameter) != 0) {
        problem(line, "name and key of a parameter differ");
    } else if (indent == 6 && strcmp(key, "in") == 0) {
        const bool in_path =
            strcmp(reader->parameter, "key") == 0 || strcmp(reader->parameter, "path") == 0 ||
            strcmp(reader->parameter, "member") == 0 || strcmp(reader->parameter, "session") == 0 ||
            strcmp(reader->parameter, "node") == 0 || strcmp(reader->parameter, "service") == 0 ||
            strcmp(reader->parameter, "state") == 0;
        const bool in_header = strcmp(reader->parameter, "Idempotency-Key") == 0;
        if (strcmp(value, in_header ? "header" : in_path ? "path" : "query") != 0) {
            problem(line, "a parameter in the wrong place");
        }
    }
}

/* "- $ref: "#/components/parameters/NAME"" of an operation. */
static void read_reference(struct reader *reader, const char *line, const char *item)
{
    static const char before[] = "$ref: \"#/components/parameters/";
    char text[256];
    char name[64];

    if (strncmp(item, before, sizeof(before) - 1) != 0) {
        problem(line, "a parameter that is no reference");
        return;
    }
    snprintf(name, sizeof(name), "%s", item + sizeof(before) - 1);
    name[strcspn(name, "\"")] = '\0';
    snprintf(text, sizeof(text), "%s %s", reader->operation, name);
    words_add(&documented, text);
    if (!words_have(&used, name)) {
        words_add(&used, name);
    }
}

static void read_key(struct reader *reader, const char *line, size_t indent)
{
    char key[WORD_SIZE_MAX];
    const char *value = "";

    if (!split_key(line + indent, key, sizeof(key), &value)) {
        problem(line, "neither a key nor an item");
        return;
    }
    check_value(line, value);
    if (strcmp(value, "|") == 0) {
        reader->block = indent + 1;
    }
    if (indent == 0) {
        snprintf(reader->section, sizeof(reader->section), "%s", key);
    }
    if (strcmp(line, "  version: " PACKAGE_VERSION) == 0) {
        words_add(&documented, "version");
    }
    if (strcmp(reader->section, "paths") == 0 && indent > 0) {
        read_path_key(reader, line, indent, key);
    } else if (strcmp(reader->section, "components") == 0 && indent > 0) {
        read_component_key(reader, line, indent, key, value);
    }
}

static void read_line(struct reader *reader, const char *line)
{
    const size_t indent = strspn(line, " ");

    if (line[indent] == '\0' || line[0] == '#') {
        return;
    }
    if (reader->block > 0 && indent >= reader->block) {
        return;
    }
    reader->block = 0;
    if (indent % 2 != 0 || strchr(line, '\t') != NULL) {
        problem(line, "odd indent or a tab");
    } else if (strncmp(line + indent, "- ", 2) == 0) {
        if (reader->in_parameters) {
            read_reference(reader, line, line + indent + 2);
        }
    } else {
        read_key(reader, line, indent);
    }
}

static void read_document(const char *text)
{
    struct reader reader = {.block = 0};
    char line[LINE_SIZE_MAX];
    uint32_t lines = 0;

    memset(&documented, 0, sizeof(documented));
    memset(&defined, 0, sizeof(defined));
    memset(&used, 0, sizeof(used));
    memset(&problems, 0, sizeof(problems));
    for (; *text != '\0'; lines++) {
        const size_t size = strcspn(text, "\n");
        ck_assert_uint_lt(lines, LINES_MAX);
        ck_assert_msg(size < sizeof(line), "line %u is too long", lines + 1);
        memcpy(line, text, size);
        line[size] = '\0';
        read_line(&reader, line);
        text += size + (text[size] == '\n');
    }
    memset(&routes, 0, sizeof(routes));
    words_add(&routes, "version");
    for (uint32_t i = 0; i < api_routes_count; i++) {
        route_words(&api_routes[i]);
    }
}

static uint32_t differences(const char *text)
{
    read_document(text);
    for (uint32_t i = 0; i < problems.count; i++) {
        printf("%s\n", problems.word[i]);
    }
    return problems.count + missing(&routes, &documented, "openapi.yaml") +
           missing(&documented, &routes, "the route table") +
           missing(&used, &defined, "components/parameters") +
           missing(&defined, &used, "any operation") + repeated(&documented) + repeated(&defined) +
           repeated(&routes);
}

static char *document;

static void document_open(void)
{
    enum { SIZE_MAX_READ = 1 << 20 };
    char name[4096];
    const char *top = getenv("srcdir");

    snprintf(name, sizeof(name), "%s/openapi.yaml", top == NULL ? "." : top);
    FILE *file = fopen(name, "rb");
    ck_assert_msg(file != NULL, "cannot open %s", name);
    document = rk_heap_zalloc(SIZE_MAX_READ, 1);
    const size_t size = fread(document, 1, SIZE_MAX_READ - 1, file);
    ck_assert_uint_gt(size, 10000);
    ck_assert_uint_lt(size, SIZE_MAX_READ - 1);
    ck_assert_int_eq(fclose(file), 0);
}

static void document_close(void)
{
    rk_heap_free(document);
}

START_TEST(the_document_equals_the_route_table)
{
    ck_assert_uint_eq(differences(document), 0);
    ck_assert_uint_ge(documented.count, 80); /* it was really read */
}
END_TEST

/* The reader itself: each damage is a difference, so that the test above can fail. */
static const struct {
    const char *from;
    const char *to;
} damages[] = {
    {"  /v1/status/peers:", "  /v1/status/peerz:"},
    {"  /readyz:\n    get:", "  /readyz:\n    put:"},
    {"        - $ref: \"#/components/parameters/seperator\"\n", ""},
    {"/parameters/raw\"\n", "/parameters/raw\"\n        - $ref: \"#/components/parameters/cas\"\n"},
    {"/parameters/raw\"\n", "/parameters/raw\"\n        - $ref: \"#/components/parameters/raw\"\n"},
    {"        - $ref: \"#/components/parameters/raw\"\n", "        - name: raw\n"},
    {"    raw:\n      name: raw", "    raw:\n      name: rawish"},
    {"    raw:\n      name: raw\n      in: query", "    raw:\n      name: raw\n      in: path"},
    {"    raw:\n      name: raw", "    crude:\n      name: crude"},
    {"  version: " PACKAGE_VERSION, "  version: 0.0.1"},
    {"      operationId: kvGet", "      operationId kvGet"},
    {"      operationId: kvGet", "     operationId: kvGet"},
    {"summary: A greeting", "summary: A greeting: hello"},
    {"  /readyz:\n    get:", "  /readyz:\n    get:\n    trace:"},
};

START_TEST(a_damaged_document_differs)
{
    const char *at = strstr(document, damages[_i].from);
    ck_assert_msg(at != NULL, "no longer there: %s", damages[_i].from);
    const size_t before = (size_t)(at - document);
    const size_t size = strlen(document) + strlen(damages[_i].to) + 1;
    char *damaged = rk_heap_zalloc(size, 1);

    snprintf(damaged, size, "%.*s%s%s", (int)before, document, damages[_i].to,
             at + strlen(damages[_i].from));
    ck_assert_uint_gt(differences(damaged), 0);
    rk_heap_free(damaged);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("openapi");
    tcase_add_checked_fixture(tcase, document_open, document_close);
    tcase_add_test(tcase, the_document_equals_the_route_table);
    tcase_add_loop_test(tcase, a_damaged_document_differs, 0, sizeof(damages) / sizeof(damages[0]));
    return run_suite("api_openapi", tcase);
}
