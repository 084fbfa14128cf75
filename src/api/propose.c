#include "api/propose.h"

#include "api/reserve.h"
#include "base/assert.h"
#include "base/frame.h"

enum { FRAME_FIXED_SIZE = 128 }; /* of a frame and a command, beside key and value */

enum api_action propose(struct api_call *call, const struct sm_command *command, size_t bytes_size)
{
    buf_reserve(&call->frame, bytes_size + FRAME_FIXED_SIZE);
    const size_t offset = rk_frame_begin(&call->frame, RAFT_ENTRY_COMMAND);
    sm_command_encode(command, &call->frame);
    rk_frame_end(&call->frame, offset);
    RK_ASSERT(rk_buf_status(&call->frame) == RK_OK);
    return API_PROPOSE;
}
