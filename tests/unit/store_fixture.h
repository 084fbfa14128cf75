/* store_fixture.h -- what the tests of the store on disk share: one store in a directory of its own,
 * on the disk of storage_vfs.h. */
#ifndef RK_TESTS_STORE_FIXTURE_H
#define RK_TESTS_STORE_FIXTURE_H

#include "storage/log_store.h"
#include "storage_support.h"
#include "storage_vfs.h"

extern char dir[MADE_PATH_SIZE];
extern char db_path[2 * MADE_PATH_SIZE];
extern char wal_path[2 * MADE_PATH_SIZE];
extern char message[512]; /* of the latest open_as() */
extern struct made *made;
extern struct log_store *store;   /* NULL: closed */
extern uint64_t checkpoint_bytes; /* for the next open; 0: the default */

/* The checked fixture of every test; nothing is open yet. */
void store_begin(void);
void store_end(void);

/* Opens `store`; as node n1 with incarnation 7, which has to succeed, is must_open(). */
enum rk_status open_as(const char *node_name, uint64_t incarnation);
void must_open(void);
void close_store(void);

enum rk_status append_one(raft_index index, raft_term term, uint32_t size);
enum rk_status vote(raft_term term, raft_node_id node);
void must_append(raft_index first, raft_index last, raft_term term);

enum rk_status scan(raft_index *bad_index);
void must_scan(void);

/* Runs SQL on the closed database, as a damaged disk or another program would. */
void execute(const char *sql);
/* 0 when there is no such file. */
uint64_t size_of(const char *path);

#endif
