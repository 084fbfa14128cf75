/* txn_internal.h -- a transaction's evaluation and execution, shared by txn*.c and sm*.c alone. */
#ifndef RK_STATEMACHINE_TXN_INTERNAL_H
#define RK_STATEMACHINE_TXN_INTERNAL_H

#include "statemachine/sm_internal.h"
#include "statemachine/txn.h"

void sm_txn_entry_append(const struct sm_kv_entry *entry, bool has_value, struct rk_buf *buf);
void sm_txn_error_append(const struct sm_txn_error *error, struct rk_buf *buf);
uint64_t sm_txn_cost(uint32_t key_size, uint32_t value_size);

/* Evaluates all operations and appends an error for each that fails; true: none does. `sm` is NULL
 * for a transaction that only reads; `root` is what it holds now. */
bool sm_txn_check(const struct sm_root *root, struct sm *sm, const struct sm_place *place,
                  const struct sm_command_txn *txn, struct rk_buf *errors);

#endif
