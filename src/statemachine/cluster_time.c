#include "statemachine/cluster_time.h"

uint64_t cluster_time_ms(const struct cluster_time *time, uint64_t now_ms)
{
    const uint64_t elapsed_ms = time->is_running && now_ms > time->at_ms ? now_ms - time->at_ms : 0;
    const uint64_t room_ms = UINT64_MAX - time->stamp_ms;

    return time->stamp_ms + (elapsed_ms < room_ms ? elapsed_ms : room_ms);
}

void cluster_time_note(struct cluster_time *time, uint64_t stamp_ms, uint64_t now_ms)
{
    *time = (struct cluster_time){.stamp_ms = stamp_ms, .at_ms = now_ms, .is_running = true};
}
