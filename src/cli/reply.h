/* reply.h -- JSON that a node answered, read with care: what is missing or of another type is "" or
 * 0, and texts are safe to show.
 *
 * Thread: the main one.
 */
#ifndef RK_CLI_REPLY_H
#define RK_CLI_REPLY_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "cli/client.h"

/* The body of a 200, owned by the caller; NULL: another status, or no JSON. */
json_t *reply_parse(const struct client_response *response);

/* Copies the text member `name`, "" when it is longer than `ret` holds; control bytes become '?'. */
void reply_take_text(const json_t *object, const char *name, char *ret, size_t ret_size);

/* The number member `name`, exact up to 2^53, which no id passes. */
uint64_t reply_take_number(const json_t *object, const char *name);

#endif
