/* output.h -- text for people: tables, and words of others made safe for a terminal.
 *
 * Thread: the main one.
 */
#ifndef RK_CLI_OUTPUT_H
#define RK_CLI_OUTPUT_H

#include <stdint.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/bytes.h"

enum { OUTPUT_COLUMNS_MAX = 12 };

/* Appends rows of `columns` cells each, in columns two blanks apart; nothing is padded at the end
 * of a line. Widths are counted in bytes: names and addresses are ASCII. */
void output_table(struct rk_buf *buf, const char *const *cells, uint32_t rows, uint32_t columns);

/* Appends `text` with control bytes as '?', without blanks or newlines at its end. */
void output_append_safe(struct rk_buf *buf, struct rk_bytes text);

/* Writes the bytes as they are. */
void output_bytes(FILE *file, struct rk_bytes bytes);

#endif
