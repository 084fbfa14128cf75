/* Which bytes a head may have, every byte at every place; the rest of the seam is tested through the
 * server (test_http_refusal). */
#include "server/http_head.h"

#include <check.h>
#include <string.h>

#include "support/run.h"

enum { TEXT_SIZE = 21 };

/* RFC 9110 5.5: no control but the tab. What is above ASCII is the value's own affair. */
START_TEST(value_has_no_control_but_the_tab)
{
    const bool is_control = (_i < 0x20 && _i != '\t') || _i == 0x7f;
    char value[TEXT_SIZE];

    for (size_t size = 1; size <= TEXT_SIZE; size++) {
        for (size_t place = 0; place < size; place++) {
            memset(value, 0x20, sizeof(value));
            value[place] = (char)_i;
            ck_assert_msg(http_value_has_control(value, size) == is_control,
                          "byte %d at %zu of %zu", _i, place, size);
        }
    }
}
END_TEST

START_TEST(byte_does_not_hide_its_neighbour)
{
    const char value[] = {(char)_i, 0x1f, (char)_i, 'a', 'a', 'a', 'a', 'a'};
    const char other[] = {0x7f, (char)_i, 'a', 'a', 'a', 'a', 'a', (char)_i};

    ck_assert(http_value_has_control(value, sizeof(value)));
    ck_assert(http_value_has_control(other, sizeof(other)));
}
END_TEST

/* RFC 9110 5.6.2. */
START_TEST(name_is_made_of_token_bytes)
{
    const char *delimiters = "\"(),/:;<=>?@[\\]{}";
    const bool is_token = _i > 0x20 && _i < 0x7f && strchr(delimiters, _i) == NULL;
    const char name[] = {'X', (char)_i, 'x', '\0'};
    const struct http_field fields[] = {{"Host", "h"}, {name, "v"}};
    const struct http_head head = {
        .version = "HTTP/1.1", .target = "/", .fields = fields, .fields_count = 2};

    ck_assert_uint_eq(http_head_judge(&head).status, is_token ? 0 : 400);
}
END_TEST

/* Any case, and nothing that only begins so. */
START_TEST(framing_fields_are_known_by_their_whole_name)
{
    const struct http_field fields[] = {{"HOST", "h"},
                                        {"Hosts", "h"},
                                        {"content-length", "7"},
                                        {"Content-Lengths", "8"},
                                        {"Content-Type", "9"}};
    const struct http_head head = {
        .version = "HTTP/1.1", .target = "/", .fields = fields, .fields_count = 5};
    const struct http_verdict verdict = http_head_judge(&head);

    ck_assert_uint_eq(verdict.status, 0);
    ck_assert_uint_eq(verdict.content_length, 7);
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("http_head");

    tcase_add_loop_test(tests, value_has_no_control_but_the_tab, 0, 256);
    tcase_add_loop_test(tests, byte_does_not_hide_its_neighbour, 0, 256);
    tcase_add_loop_test(tests, name_is_made_of_token_bytes, 1, 256);
    tcase_add_test(tests, framing_fields_are_known_by_their_whole_name);
    return run_suite("http_head", tests);
}
