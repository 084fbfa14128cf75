/* simfs_seam.h -- put before a source file of src/storage (-include): the file system that it calls is
 * the modelled one of simfs.h, for paths below SIMFS_ROOT, and the machine's for all others. */
#ifndef RK_TESTS_SIM_NODE_SIMFS_SEAM_H
#define RK_TESTS_SIM_NODE_SIMFS_SEAM_H

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sim/node/simfs.h"

#define mkdir(path, mode)                  simfs_mkdir(path, mode)
#define open(path, flags)                  simfs_open(path, flags)
#define openat                             simfs_openat
#define close(fd)                          simfs_close(fd)
#define fstat(fd, status)                  simfs_fstat(fd, status)
#define write(fd, data, size)              simfs_write(fd, data, size)
#define pread(fd, data, size, offset)      simfs_pread(fd, data, size, offset)
#define fsync(fd)                          simfs_fsync(fd)
#define fdatasync(fd)                      simfs_fsync(fd)
#define renameat(from_fd, from, to_fd, to) simfs_renameat(from_fd, from, to_fd, to)
#define unlinkat(fd, name, flags)          simfs_unlinkat(fd, name, flags)
#define DIR                                struct simfs_walk
#define fdopendir(fd)                      simfs_fdopendir(fd)
#define readdir(walk)                      simfs_readdir(walk)
#define closedir(walk)                     simfs_closedir(walk)

#endif
