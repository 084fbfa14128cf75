/* shim.c -- preloaded into a node: its clocks are wrong and its disk is slow, as a file says that
 * the runner changes while the node runs (RK_SHIM names it). A jump of a clock that a time
 * namespace can only give at the start, and a slow disk that needs no device of its own. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "shim.h"

enum { MILLION = 1000000, WAIT_STEP_US = 5000, WALL_SECONDS_MIN = 1000000000 };

int fsync(int fd);
int fdatasync(int fd);

static struct shim_control *control; /* NULL: nothing to change */

__attribute__((constructor)) static void shim_open(void)
{
    const char *path = getenv("RK_SHIM");
    const int fd = path != NULL ? open(path, O_RDONLY | O_CLOEXEC) : -1;

    if (fd < 0) {
        return;
    }
    void *mapped = mmap(NULL, sizeof(*control), PROT_READ, MAP_SHARED, fd, 0);
    (void)close(fd);
    control = mapped != MAP_FAILED ? mapped : NULL;
}

static struct shim_setting setting(void)
{
    return control->settings[atomic_load(&control->used) & 1];
}

static int64_t true_us(clockid_t clock)
{
    struct timespec now = {.tv_sec = 0};

    (void)syscall(SYS_clock_gettime, clock, &now);
    return (int64_t)now.tv_sec * MILLION + now.tv_nsec / 1000;
}

static int64_t steady_ahead_us(void)
{
    const struct shim_setting now = setting();

    return now.steady_us + (true_us(CLOCK_MONOTONIC) - now.since_us) * now.rate_ppm / MILLION;
}

static int64_t ahead_us(clockid_t clock)
{
    if (control == NULL) {
        return 0;
    }
    switch (clock) {
    case CLOCK_REALTIME:
    case CLOCK_REALTIME_COARSE:
        return setting().wall_us;
    case CLOCK_MONOTONIC:
    case CLOCK_MONOTONIC_COARSE:
    case CLOCK_MONOTONIC_RAW:
    case CLOCK_BOOTTIME:
        return steady_ahead_us();
    default:
        return 0; /* CPU time */
    }
}

static void add_us(struct timespec *time, int64_t us)
{
    int64_t ns = (int64_t)time->tv_nsec + us % MILLION * 1000;

    time->tv_sec += us / MILLION;
    while (ns < 0) {
        ns += 1000000000;
        time->tv_sec--;
    }
    while (ns >= 1000000000) {
        ns -= 1000000000;
        time->tv_sec++;
    }
    time->tv_nsec = ns;
}

int clock_gettime(clockid_t clock, struct timespec *now)
{
    const long failed = syscall(SYS_clock_gettime, clock, now);

    if (failed == 0) {
        add_us(now, ahead_us(clock));
    }
    return (int)failed;
}

time_t time(time_t *out)
{
    struct timespec now = {.tv_sec = 0};

    (void)clock_gettime(CLOCK_REALTIME, &now);
    if (out != NULL) {
        *out = now.tv_sec;
    }
    return now.tv_sec;
}

/* The kernel waits by the true clock. Which one a condition waits by shows in the deadline. */
int pthread_cond_timedwait(pthread_cond_t *condition, pthread_mutex_t *mutex,
                           const struct timespec *deadline)
{
    static int (*next)(pthread_cond_t *, pthread_mutex_t *, const struct timespec *);
    struct timespec until = *deadline;

    if (next == NULL) {
        *(void **)&next = dlsym(RTLD_NEXT, "pthread_cond_timedwait");
    }
    add_us(&until, -ahead_us(until.tv_sec < WALL_SECONDS_MIN ? CLOCK_MONOTONIC : CLOCK_REALTIME));
    return next(condition, mutex, &until);
}

/* As long as the setting says, but no longer: the runner may mend the disk meanwhile. */
static void disk_wait(void)
{
    const struct timespec step = {.tv_nsec = WAIT_STEP_US * 1000};
    const int64_t began_us = true_us(CLOCK_MONOTONIC);

    while (control != NULL && true_us(CLOCK_MONOTONIC) - began_us < setting().sync_wait_us) {
        (void)clock_nanosleep(CLOCK_MONOTONIC, 0, &step, NULL);
    }
}

int fsync(int fd)
{
    disk_wait();
    return (int)syscall(SYS_fsync, fd);
}

int fdatasync(int fd)
{
    disk_wait();
    return (int)syscall(SYS_fdatasync, fd);
}
