/* oracles_forward.c -- what a leader answers to writes that another node has passed on to it (O13): of
 * what it says may be in a log, something was put into a log. */
#include <string.h>

#include "sim/node/oracles.h"

static const struct op *op_in(struct rk_bytes payload)
{
    struct rk_frame frame;
    struct sm_command command;

    if (rk_frame_read_payload(payload, &frame) != RK_OK || frame.type != RAFT_ENTRY_COMMAND ||
        sm_command_decode(frame.body, &command) != RK_OK ||
        (command.type == SM_COMMAND_ONCE &&
         sm_command_decode(command.once.command, &command) != RK_OK)) {
        return NULL;
    }
    const uint32_t uid = command.type == SM_COMMAND_KV_PUT ? (uint32_t)command.put.flags : 0;
    return uid != 0 && uid <= sim_world->ops_count ? &sim_world->ops[uid - 1] : NULL;
}

void oracle_forward_answered(const struct host *host, struct rk_bytes asked, struct rk_bytes body)
{
    static struct wire_forward question; /* these are too large for the stack */
    static struct wire_forward_answer answer;
    const char *reason = NULL;

    if (wire_decode_forward(asked, &question, &reason) != RK_OK ||
        wire_decode_forward_answer(body, &answer, &reason) != RK_OK) {
        return;
    }
    for (uint32_t i = 0; i < answer.count && i < question.count; i++) {
        const struct op *op = op_in(question.payloads[i]);
        const bool may_be_there =
            answer.items[i].status == RK_OK || answer.items[i].status == RK_UNKNOWN;
        if (op != NULL && may_be_there && !op->is_appended) {
            world_fail("O13", "n%u says that operation %u may be in a log, and it is in none",
                       host->number + 1, op->number);
        }
    }
}
