/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * Pieces of a progress line, as many as fit.  See bar.h.
 */
#include <string.h>

#include "bar.h"
#include "progress.h"

#define WIDEST 79
#define CELLS_MAX 20
#define CELLS_MIN 8
#define HOURS_MAX 100           /* nobody waits for a figure beyond that */

enum piece { WHAT, PERCENT, AMOUNT, RATE, TIME, PIECES };

/* 1 is all, and nothing else is. */
static double part(const struct xl_bar *b)
{
    double p;

    if (b->done_bytes >= b->total_bytes) return 1;
    p = (double)b->done_bytes / (double)b->total_bytes;
    return p < 0.9999 ? p : 0.9999;
}

static char *percent_text(const struct xl_bar *b)
{
    if (!b->total_bytes) return NULL;
    return snap_printf("%2u%%", (unsigned)(part(b) * 100));
}

static char *amount_text(const struct xl_bar *b)
{
    AUTO_FREE char *done = xl_bytes_text(b->done_bytes);
    AUTO_FREE char *total = xl_bytes_text(b->total_bytes);

    return b->total_bytes ? snap_printf("%s of %s", done, total)
                          : snap_strdup(done);
}

static char *rate_text(const struct xl_bar *b)
{
    AUTO_FREE char *rate = xl_bytes_text(b->bytes_per_second);

    return b->bytes_per_second ? snap_printf("%s/s", rate) : NULL;
}

static char *time_text(const struct xl_bar *b)
{
    uint64_t s;

    if (b->finished)
        return snap_printf("%.1f s", (double)b->elapsed_ms / 1000);
    if (!b->bytes_per_second || b->done_bytes >= b->total_bytes) return NULL;
    s = (b->total_bytes - b->done_bytes - 1) / b->bytes_per_second + 1;
    if (s < 120) return snap_printf("%u s left", (unsigned)s);
    if (s < 120 * 60) return snap_printf("%u min left", (unsigned)(s / 60));
    if (s < HOURS_MAX * 3600)
        return snap_printf("%u h left", (unsigned)(s / 3600));
    return NULL;
}

static size_t width(char *const piece[PIECES])
{
    size_t sum = 0, i;

    for (i = 0; i < PIECES; i++)
        if (piece[i]) sum += strlen(piece[i]) + (i ? 2 : 0);
    return sum;
}

/* Cells of the bar; 0: none. */
static size_t cells(const struct xl_bar *b, size_t room)
{
    size_t n = room > 4 ? room - 4 : 0;     /* the frame, and two blanks */

    if (!b->total_bytes || n < CELLS_MIN) return 0;
    return n < CELLS_MAX ? n : CELLS_MAX;
}

static void add_bar(struct snap_text *t, const struct xl_bar *b, size_t n)
{
    size_t full = (size_t)(part(b) * (double)n), i;

    snap_text_add(t, "  [");
    for (i = 0; i < n; i++)
        snap_text_add(t, "%c", i < full ? '=' : i == full ? '>' : ' ');
    snap_text_add(t, "]");
}

static char *join(const struct xl_bar *b, char *const piece[PIECES],
                  size_t ncells)
{
    struct snap_text t = { 0 };
    size_t i;

    for (i = 0; i < PIECES; i++) {
        if (piece[i]) snap_text_add(&t, "%s%s", i ? "  " : "", piece[i]);
        if (i == WHAT && ncells) add_bar(&t, b, ncells);
    }
    return t.data;
}

char *xl_bar_text(const struct xl_bar *b, size_t columns)
{
    static const enum piece given_up[] = { RATE, AMOUNT, TIME, PERCENT };
    size_t max = columns < WIDEST ? columns : WIDEST, i, ncells;
    char *piece[PIECES] = {
        [WHAT] = snap_strndup(b->what, max),
        [PERCENT] = percent_text(b),
        [AMOUNT] = amount_text(b),
        [RATE] = rate_text(b),
        [TIME] = time_text(b),
    };
    char *text;

    ncells = width(piece) < max ? cells(b, max - width(piece)) : 0;
    for (i = 0; width(piece) > max; i++) {
        free(piece[given_up[i]]);
        piece[given_up[i]] = NULL;
    }
    text = join(b, piece, ncells);
    for (i = 0; i < PIECES; i++)
        free(piece[i]);
    return text;
}
