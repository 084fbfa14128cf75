/* propose.h -- a resource's command, framed for the log.
 *
 * Thread: the HTTP loop that has the request.
 */
#ifndef RK_API_PROPOSE_H
#define RK_API_PROPOSE_H

#include "api/api.h"
#include "statemachine/command.h"

/* Makes call->frame of the command, whose keys and values come to `bytes_size`; returns
 * API_PROPOSE. The frame is made whole here, at its final size: nothing parses or copies it before
 * apply. */
enum api_action propose(struct api_call *call, const struct sm_command *command, size_t bytes_size);

#endif
