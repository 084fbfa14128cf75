/* history_text.h -- a history as text, an operation a line, for files and for the tests' samples:
 *
 *   put KEY VALUE TIMES [@INDEX]
 *   del KEY TIMES [@INDEX]
 *   get KEY VALUE TIMES [@INDEX]
 *   cas KEY EXPECTED>VALUE TIMES [@INDEX]     it did, or its outcome is unknown
 *   cas KEY EXPECTED|VALUE TIMES [@INDEX]     it met another value
 *
 * TIMES is INVOKED-RETURNED, with `?` for RETURNED if the outcome is unknown, and INVOKED-RETURNED!
 * if it was not done. Numbers are decimal; history.h says what they mean.
 */
#ifndef RK_TESTS_SUPPORT_HISTORY_TEXT_H
#define RK_TESTS_SUPPORT_HISTORY_TEXT_H

#include "support/history.h"

/* False: not such a line. */
bool history_parse(const char *line, struct history_operation *operation);

enum { HISTORY_LINE_SIZE = 160 };

/* The line, without its end; `line` has room for HISTORY_LINE_SIZE bytes. */
void history_print(const struct history_operation *operation, char *line);

#endif
