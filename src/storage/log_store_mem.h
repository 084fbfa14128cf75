/* log_store_mem.h -- log store in memory, for the simulator, unit tests and log-store = memory.
 *
 * It holds a copy of every frame. It models a disk that may fail: `write_fault_at` names the write
 * that returns RK_IO, `bytes_max` the room there is.
 */
#ifndef RK_STORAGE_LOG_STORE_MEM_H
#define RK_STORAGE_LOG_STORE_MEM_H

#include "storage/log_store.h"

struct log_store_mem_options {
    const char *node_name;
    uint64_t incarnation;
    uint64_t bytes_max;      /* a write past it returns RK_FULL; 0: no ceiling */
    uint32_t write_fault_at; /* 1-based number of the log_store_write() that fails; 0: never */
};

/* Returns a new empty store. Caller frees: log_store_close(). */
struct log_store *log_store_mem_new(const struct log_store_mem_options *options);

#endif
