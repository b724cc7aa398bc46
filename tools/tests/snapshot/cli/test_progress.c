/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * The progress line: its text from numbers, and what a terminal gets of it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "bar.h"
#include "progress.h"
#include "tap.h"

#define MIB (UINT64_C(1) << 20)

static void is_bar(const struct xl_bar *b, size_t columns, const char *want,
                   const char *claim)
{
    AUTO_FREE char *text = xl_bar_text(b, columns);

    is_str(text, want, "%s", claim);
}

static void a_bar(void)
{
    struct xl_bar b = {
        .what = "memory", .done_bytes = 58 * MIB, .total_bytes = 128 * MIB,
        .bytes_per_second = 12 * MIB, .elapsed_ms = 4800,
    };

    is_bar(&b, 79, "memory  [=========>          ]  45%  58 MiB of 128 MiB  "
           "12 MiB/s  6 s left", "a line in the middle");
    is_bar(&b, 200, "memory  [=========>          ]  45%  58 MiB of 128 MiB  "
           "12 MiB/s  6 s left", "more room changes nothing");
    is_bar(&b, 70, "memory  [=======>        ]  45%  58 MiB of 128 MiB  "
           "12 MiB/s  6 s left", "with less the bar is shorter");
    is_bar(&b, 60, "memory  45%  58 MiB of 128 MiB  12 MiB/s  6 s left",
           "then it goes");
    is_bar(&b, 49, "memory  45%  58 MiB of 128 MiB  6 s left",
           "then the rate");
    is_bar(&b, 30, "memory  45%  6 s left", "then the amount");
    is_bar(&b, 20, "memory  45%", "then the time");
    is_bar(&b, 8, "memory", "then the percentage");
    is_bar(&b, 3, "mem", "and in the end letters");
    b.finished = true;
    b.done_bytes = b.total_bytes;
    is_bar(&b, 79, "memory  [====================]  100%  128 MiB of 128 MiB  "
           "12 MiB/s  4.8 s", "a line at the end");
}

static void edges(void)
{
    struct xl_bar b = { .what = "copy", .total_bytes = 10 };

    is_bar(&b, 79, "copy  [>                   ]   0%  0 B of 10 B",
           "nothing is done");
    b.done_bytes = 12;
    b.bytes_per_second = 3;
    is_bar(&b, 79, "copy  [====================]  100%  12 B of 10 B  3 B/s",
           "more is done than there was");
    b.total_bytes = 0;
    is_bar(&b, 79, "copy  12 B  3 B/s", "no total: no bar, nor time");
    b.bytes_per_second = 0;
    b.done_bytes = 0;
    is_bar(&b, 79, "copy  0 B", "nothing is known at all");
    b.done_bytes = UINT64_MAX - 1;
    b.total_bytes = UINT64_MAX;
    is_bar(&b, 79, "copy  [===================>]  99%  16 EiB of 16 EiB",
           "all is not done before all is done");
    b.what = "";
    is_bar(&b, 0, "", "no room at all");
}

static void times(void)
{
    static const struct { uint64_t left; const char *text; } c[] = {
        { 1, "1 s left" }, { 119, "119 s left" }, { 120, "2 min left" },
        { 7199, "119 min left" }, { 7200, "2 h left" },
        { 359999, "99 h left" },
    };
    struct xl_bar b = { .what = "m", .bytes_per_second = 1 };
    size_t i;

    for (i = 0; i < sizeof(c) / sizeof(c[0]); i++) {
        AUTO_FREE char *text = NULL;

        b.total_bytes = c[i].left;
        text = xl_bar_text(&b, 79);
        like(text, c[i].text, "%s", c[i].text);
    }
    b.total_bytes = UINT64_MAX;
    {
        AUTO_FREE char *text = xl_bar_text(&b, 79);

        unlike(text, "left", "who knows");
    }
}

/* Whatever the numbers, in every width. */
static void widths(void)
{
    static const uint64_t n[] = { 0, 1, 999 * MIB, UINT64_MAX / 3,
                                  UINT64_MAX };
    struct xl_bar b = { .what = "a measure of 64 bytes, the widest there can "
                                "be in a line of this" };
    size_t i, columns, tried = 0, wide = 0;

    for (columns = 0; columns < 200; columns++) {
        for (i = 0; i < 5 * 5 * 5; i++) {
            AUTO_FREE char *text = NULL;

            b.done_bytes = n[i % 5];
            b.total_bytes = n[i / 5 % 5];
            b.bytes_per_second = n[i / 25];
            text = xl_bar_text(&b, columns);
            wide += strlen(text) > columns || strlen(text) > 79;
            tried++;
        }
    }
    is_int(tried, 25000, "every width was tried");
    is_int(wide, 0, "no line is wider than it may be");
}

/* What a terminal of that many columns (0: it does not say) gets. */
static char *on_terminal(int columns, const struct snap_progress *now,
                         size_t n)
{
    struct xl_request rq = { .progress_fd = -1, .count[OPT_VERBOSE] = 1 };
    struct winsize size = { .ws_row = 24, .ws_col = (unsigned short)columns };
    AUTO_CLOSE int master = posix_openpt(O_RDWR | O_NOCTTY);
    AUTO_CLOSE int saved = dup(STDERR_FILENO);
    char *text = snap_zalloc(4096);
    libxl_snapshot_callbacks callbacks;
    struct xl_progress p;
    size_t i, len = 0;
    ssize_t got;
    int slave;

    if (master < 0 || grantpt(master) || unlockpt(master) ||
        (slave = open(ptsname(master), O_RDWR | O_NOCTTY)) < 0 ||
        ioctl(slave, TIOCSWINSZ, &size) || dup2(slave, STDERR_FILENO) < 0)
        bail("no terminal: %s", strerror(errno));
    xl_progress_init(&p, &rq);
    callbacks = xl_progress_callbacks(&p);
    for (i = 0; i < n; i++)
        callbacks.progress(callbacks.arg, &now[i]);
    xl_progress_end(&p);
    dup2(saved, STDERR_FILENO);
    close(slave);
    while ((got = read(master, text + len, 4095 - len)) > 0)
        len += (size_t)got;
    return text;
}

static void terminals(void)
{
    static const struct snap_progress now[] = {
        { .what = "memory", .done_bytes = 0, .total_bytes = 100 },
        { .what = "memory", .done_bytes = 100, .total_bytes = 100,
          .finished = true },
    };
    AUTO_FREE char *silent = on_terminal(0, now, 2);
    AUTO_FREE char *narrow = on_terminal(20, now, 2);
    AUTO_FREE char *cut = on_terminal(20, now, 1);

    is_str(silent, "\rmemory  [>                   ]   0%  0 B of 100 B"
           "\033[K\rmemory  [====================]  100%  100 B of 100 B  "
           "0.0 s\033[K\r\n", "one line on a terminal of unknown width");
    is_str(narrow, "\rmemory   0%\033[K\rmemory  100%  0.0 s\033[K\r\n",
           "and on a narrow one");
    is_str(cut, "\rmemory   0%\033[K\r\n",
           "what comes after an unfinished one has a line of its own");
}

int main(void)
{
    a_bar();
    edges();
    times();
    widths();
    terminals();
    return done_testing();
}
