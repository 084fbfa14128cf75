/* options_file.h -- what the readers of options share: how a refusal is worded.
 *
 * options_apply_text(), which reads the file's text, is in options.h. Thread: the main one.
 */
#ifndef RK_SERVER_OPTIONS_FILE_H
#define RK_SERVER_OPTIONS_FILE_H

#include "server/options.h"

/* Writes one line, "PLACE: KEY = VALUE: WHY"; key or value may be NULL. Control bytes of the
 * operator's text become '?', and what is very long is cut. */
void options_refuse(const char *place, const char *key, const char *value, const char *why,
                    char *message, size_t message_size);

#endif
