/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * The text of a progress line on a terminal: from numbers, and nothing else.
 */
#ifndef XL_BAR_H
#define XL_BAR_H

#include "snap_internal.h"

struct xl_bar {
    const char *what;           /* clean text; its bytes are counted */
    uint64_t done_bytes;
    uint64_t total_bytes;       /* 0: unknown */
    uint64_t bytes_per_second;  /* 0: unknown */
    int64_t elapsed_ms;
    bool finished;
};

/* At most `columns` wide, and never wider than 79. Where not all has room, the
 * bar goes first, then rate, amount, time and percentage. malloc'd. */
char *xl_bar_text(const struct xl_bar *b, size_t columns);

#endif
