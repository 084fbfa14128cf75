/* log_vfs.h -- what stands between SQLite and its files: writes that follow one another are gathered and
 * reach the file in one call.
 *
 * Why: SQLite writes each page of a transaction to its WAL with two system calls, and each page of a
 * checkpoint with one. Only a sync makes them durable, so until then they may as well wait here: they
 * reach the file before anything reads it, cuts it, asks for its size or syncs it. An error of a write
 * that had waited is told by the call that made it go, at the latest by the sync, and every call after it
 * fails with the same one, as after a sync that failed: nothing is written or synced a second time (F2,
 * pitfall 48). A sync of a file that has not changed since its last one is spared.
 *
 * Thread: any; a file has one user, as in SQLite. Memory: one buffer of GATHER_SIZE for each file that
 * was written to.
 */
#ifndef RK_STORAGE_LOG_VFS_H
#define RK_STORAGE_LOG_VFS_H

/* The name to open a database by, after sqlite3_open_v2(). It stands upon what is SQLite's default when
 * it is first asked for. */
const char *log_vfs_name(void);

#endif
