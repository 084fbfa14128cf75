#include "server/lease.h"

#include "base/clock.h"

/* Who sees the new end must see the commit index that it goes with. */
void lease_publish(struct lease *lease, uint64_t end_ms, raft_index commit_index)
{
    atomic_store(&lease->commit_index, commit_index);
    atomic_store(&lease->end_ms, end_ms);
}

/* In this order: the end that was seen holds while the clock is short of it, hence it held when it
 * was seen; and what is committed is looked at after that moment, not before. */
bool lease_holds(const struct lease *lease, raft_index last_applied)
{
    const uint64_t end_ms = atomic_load(&lease->end_ms);
    const raft_index commit_index = atomic_load(&lease->commit_index);

    return end_ms != 0 && last_applied >= commit_index && rk_boottime_ms() < end_ms;
}

uint32_t lease_length_ms(uint32_t election_timeout_ms, uint32_t drift_percent)
{
    const uint64_t drift_ms = ((uint64_t)election_timeout_ms * drift_percent + 99) / 100;

    return (uint32_t)(election_timeout_ms - drift_ms - 1);
}
