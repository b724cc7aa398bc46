/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * Log lines and progress.  See progress.h.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>

#include "bar.h"
#include "progress.h"
#include "say.h"

#define HELD_MAX_BYTES (64u << 10)
#define LINE_MAX_BYTES 4000         /* less than PIPE_BUF: never half taken */
#define LINE_INTERVAL_MS 2000       /* of progress that is not on a terminal */
#define TTY_INTERVAL_MS 200

/* The figure with two digits at least, and the unit's letter; 0: bytes. */
static char scale(uint64_t bytes, char *figure, size_t size)
{
    static const char units[] = "KMGTPE";
    double n = (double)bytes;
    int i = -1;

    while (n >= 1024 && units[i + 1]) {
        n /= 1024;
        i++;
    }
    snprintf(figure, size, i >= 0 && n < 9.95 ? "%.1f" : "%.0f", n);
    return i < 0 ? 0 : units[i];
}

char *xl_bytes_text(uint64_t bytes)
{
    char figure[32];
    char unit = scale(bytes, figure, sizeof(figure));

    return unit ? snap_printf("%s %ciB", figure, unit)
                : snap_printf("%s B", figure);
}

char *xl_bytes_brief(uint64_t bytes)
{
    char figure[32];
    char unit = scale(bytes, figure, sizeof(figure));

    return unit ? snap_printf("%s%c", figure, unit) : snap_strdup(figure);
}

/* Whether a short line can be written now without waiting. */
static bool takes_more(int fd)
{
    struct pollfd p = { .fd = fd, .events = POLLOUT };

    return poll(&p, 1, 0) == 1 && (p.revents & POLLOUT);
}

/* As much of the held text as goes without waiting. */
static void flush_held(struct xl_progress *p)
{
    while (p->held.len && takes_more(STDERR_FILENO)) {
        size_t n = p->held.len < LINE_MAX_BYTES ? p->held.len
                                                : LINE_MAX_BYTES;
        ssize_t done = write(STDERR_FILENO, p->held.data, n);

        if (done < 0 && errno != EINTR && errno != EAGAIN)
            p->held.len = 0;        /* nobody reads: do not keep it */
        if (done <= 0) return;
        p->held.len -= (size_t)done;
        memmove(p->held.data, p->held.data + done, p->held.len);
    }
}

static void put(struct xl_progress *p, const char *text)
{
    size_t n = strlen(text);

    if (p->held.len + n <= HELD_MAX_BYTES)
        snap_text_add_bytes(&p->held, text, n);
    flush_held(p);
}

static void end_line(struct xl_progress *p)
{
    if (p->on_line) put(p, "\n");
    p->on_line = false;
}

static void on_log(void *arg, enum snap_log_level level, const char *text)
{
    struct xl_progress *p = arg;
    AUTO_FREE char *clean = NULL;
    AUTO_FREE char *line = NULL;

    if ((int)level < p->level) return;
    end_line(p);
    clean = xl_clean(text);
    line = snap_printf("%s\n", clean);
    put(p, line);
}

/* ---- progress -------------------------------------------------------- */

static uint64_t rate(const struct xl_progress *p,
                     const struct snap_progress *now, int64_t elapsed_ms)
{
    if (elapsed_ms < 100 || now->done_bytes < p->begun_bytes) return 0;
    return (now->done_bytes - p->begun_bytes) / (uint64_t)elapsed_ms * 1000;
}

static size_t terminal_columns(void)
{
    struct winsize w;

    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &w) || !w.ws_col) return 80;
    return w.ws_col;
}

static void show_bar(struct xl_progress *p, const struct snap_progress *now,
                     int64_t elapsed_ms)
{
    struct xl_bar bar = {
        .what = p->what,
        .done_bytes = now->done_bytes,
        .total_bytes = now->total_bytes,
        .bytes_per_second = rate(p, now, elapsed_ms),
        .elapsed_ms = elapsed_ms,
        .finished = now->finished,
    };
    /* The last column stays free: a cursor behind it may wrap. */
    AUTO_FREE char *text = xl_bar_text(&bar, terminal_columns() - 1);
    AUTO_FREE char *line = snap_printf("\r%s\033[K%s", text,
                                       now->finished ? "\n" : "");

    put(p, line);
    p->on_line = !now->finished;
}

static void show_line(struct xl_progress *p, const struct snap_progress *now,
                      int64_t elapsed_ms)
{
    AUTO_FREE char *done = xl_bytes_text(now->done_bytes);
    AUTO_FREE char *total = xl_bytes_text(now->total_bytes);
    uint64_t bps = rate(p, now, elapsed_ms);
    AUTO_FREE char *speed = xl_bytes_text(bps);
    struct snap_text t = { 0 };

    snap_text_add(&t, "%s: %s", p->what, done);
    if (now->total_bytes)
        snap_text_add(&t, " of %s", total);
    if (bps)
        snap_text_add(&t, ", %s/s", speed);
    if (now->finished)
        snap_text_add(&t, ", %.1f s", (double)elapsed_ms / 1000);
    else if (bps && now->total_bytes > now->done_bytes)
        snap_text_add(&t, ", %llu s left", (unsigned long long)
                      ((now->total_bytes - now->done_bytes) / bps + 1));
    snap_text_add(&t, "\n");
    put(p, t.data);
    free(t.data);
}

static void write_json(struct xl_progress *p, const struct snap_progress *now,
                       int64_t elapsed_ms)
{
    struct snap_json *o = snap_json_new_object();
    AUTO_FREE char *text = NULL;
    AUTO_FREE char *line = NULL;

    snap_json_set_str(o, "what", p->what);
    snap_json_set_int(o, "done_bytes", (int64_t)now->done_bytes);
    snap_json_set_int(o, "total_bytes", (int64_t)now->total_bytes);
    snap_json_set_int(o, "elapsed_ms", elapsed_ms);
    snap_json_set_int(o, "bytes_per_second",
                      (int64_t)rate(p, now, elapsed_ms));
    snap_json_set_bool(o, "finished", now->finished);
    text = snap_json_print(o);
    snap_json_free(o);
    line = snap_printf("%s\n", text);
    /* A slow reader misses lines rather than stopping the guest. */
    if (takes_more(p->fd) &&
        write(p->fd, line, strlen(line)) < 0 && errno != EINTR &&
        errno != EAGAIN)
        p->fd = -1;
}

static void on_progress(void *arg, const struct snap_progress *now)
{
    struct xl_progress *p = arg;
    AUTO_FREE char *short_what = snap_strndup(now->what ? now->what : "", 15);
    AUTO_FREE char *what = xl_clean(short_what);    /* at most 60 bytes */
    int64_t t = snap_now_ms(), elapsed;

    if (strcmp(p->what, what)) {
        end_line(p);
        snprintf(p->what, sizeof(p->what), "%s", what);
        p->begun_ms = t;
        p->begun_bytes = now->done_bytes;
        p->shown_ms = 0;
    }
    elapsed = t - p->begun_ms;
    if (p->fd >= 0)
        write_json(p, now, elapsed);
    if (p->show && (now->finished || t - p->shown_ms >=
                    (p->tty ? TTY_INTERVAL_MS : LINE_INTERVAL_MS))) {
        if (p->tty)
            show_bar(p, now, elapsed);
        else
            show_line(p, now, elapsed);
        p->shown_ms = t;
    }
    if (now->finished)
        p->what[0] = 0;
}

/* ---- begin and end --------------------------------------------------- */

void xl_progress_init(struct xl_progress *p, const struct xl_request *rq)
{
    unsigned verbose = rq->count[OPT_VERBOSE];

    memset(p, 0, sizeof(*p));
    p->level = verbose > 1 ? SNAP_LOG_DEBUG
        : verbose ? SNAP_LOG_DETAIL
        : xl_given(rq, OPT_QUIET) ? SNAP_LOG_NOTE + 1 : SNAP_LOG_NOTE;
    p->show = verbose > 0;
    p->tty = isatty(STDERR_FILENO);
    p->fd = rq->progress_fd;
}

libxl_snapshot_callbacks xl_progress_callbacks(struct xl_progress *p)
{
    libxl_snapshot_callbacks c = {
        .arg = p,
        .log = on_log,
        .progress = on_progress,
    };

    return c;
}

void xl_progress_end(struct xl_progress *p)
{
    size_t at = 0;
    ssize_t n;

    end_line(p);
    while (at < p->held.len) {
        n = write(STDERR_FILENO, p->held.data + at, p->held.len - at);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) break;
        at += (size_t)n;
    }
    free(p->held.data);
    memset(&p->held, 0, sizeof(p->held));
}
