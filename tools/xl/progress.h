/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * The library's log and progress callbacks: text for people on standard
 * error, JSON lines on a descriptor for programs.  They are called while a
 * guest stands still, so they never wait for a reader.
 */
#ifndef XL_PROGRESS_H
#define XL_PROGRESS_H

#include "libxl_snapshot.h"
#include "options.h"

struct xl_progress {
    int level;                  /* least enum snap_log_level shown */
    bool show;                  /* progress for people */
    bool tty;
    int fd;                     /* JSON lines; -1: none or the reader left */
    bool on_line;               /* a progress line stands unfinished */
    char what[64];              /* of the measure that is going on */
    int64_t begun_ms, shown_ms;
    uint64_t begun_bytes;
    struct snap_text held;      /* what standard error could not take yet */
};

void xl_progress_init(struct xl_progress *p, const struct xl_request *rq);
libxl_snapshot_callbacks xl_progress_callbacks(struct xl_progress *p);
/* Writes what was held back; this one waits for the reader. */
void xl_progress_end(struct xl_progress *p);

/* "12.3 MiB", "512 B"; malloc'd. */
char *xl_bytes_text(uint64_t bytes);
/* The same as short as can be, for a table: "12M", "512". */
char *xl_bytes_brief(uint64_t bytes);

#endif
