#include "cli/progress.h"

#include <unistd.h>

#include "base/clock.h"

enum { SHOW_MS = 100, BAR_WIDTH = 30 };

void progress_begin(struct progress *progress, FILE *file, const char *what, uint64_t total)
{
    const int fd = fileno(file);

    *progress = (struct progress){
        .file = fd >= 0 && isatty(fd) ? file : NULL, .what = what, .total = total};
}

static void bar(const struct progress *progress, uint64_t done)
{
    const uint64_t most = progress->total;
    const uint64_t filled = done >= most ? BAR_WIDTH : done * BAR_WIDTH / most;

    fputc('[', progress->file);
    for (uint64_t i = 0; i < BAR_WIDTH; i++) {
        fputc(i < filled ? '#' : '.', progress->file);
    }
    fprintf(progress->file, "] %3u%% ", (unsigned int)(done >= most ? 100 : done * 100 / most));
}

void progress_show(struct progress *progress, uint64_t done)
{
    const uint64_t now_ms = rk_monotonic_ms();

    if (progress->file == NULL || (progress->is_shown && now_ms - progress->shown_ms < SHOW_MS)) {
        return;
    }
    fprintf(progress->file, "\r%s ", progress->what);
    if (progress->total > 0) {
        bar(progress, done);
    }
    fprintf(progress->file, "%.1f MiB", (double)done / (1 << 20));
    fflush(progress->file);
    progress->is_shown = true;
    progress->shown_ms = now_ms;
}

void progress_end(struct progress *progress)
{
    if (progress->is_shown) {
        fputs("\r\033[K", progress->file);
        fflush(progress->file);
        progress->is_shown = false;
    }
}
