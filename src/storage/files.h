/* files.h -- what the modules that own a file share: saying why an open failed, and making a new
 * name durable.
 *
 * Thread: any. No memory is kept.
 */
#ifndef RK_STORAGE_FILES_H
#define RK_STORAGE_FILES_H

#include <stdbool.h>
#include <stddef.h>

#include "base/status.h"

/* Where a failing open says why; everything is borrowed. */
struct complaint {
    const char *path;
    char *text;
    size_t text_size;
};

/* Says "path: reason" and returns `status`, for `return complaint_refuse(...)`. */
__attribute__((format(printf, 3, 4))) RK_MUST_USE enum rk_status
complaint_refuse(const struct complaint *complaint, enum rk_status status, const char *format, ...);

/* Says "path: doing: text of errno"; returns files_status(errno). */
RK_MUST_USE enum rk_status complaint_refuse_errno(const struct complaint *complaint,
                                                  const char *doing);

/* RK_FULL for a full disk or quota, else RK_IO. */
enum rk_status files_status(int error);

/* Copies a file, or as much of it as there is now. Errors: RK_IO, RK_FULL; errno says which. */
RK_MUST_USE enum rk_status files_copy(const char *from, const char *to);

/* Whether there is something of that name. */
bool files_exists(const char *path);

/* Syncs the directory that holds `path`: only then is a new or renamed file sure to be found
 * again (correctness 59). On false, errno is set. */
RK_MUST_USE bool files_sync_directory_of(const char *path);

#endif
