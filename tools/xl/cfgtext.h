/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * Text in xl.cfg syntax: libxlutil's parser, with its report as our message,
 * and what libxlutil cannot say: which settings there are, and where in the
 * text.  Pure: bytes in.
 */
#ifndef XL_CFGTEXT_H
#define XL_CFGTEXT_H

#include <stdio.h>

#include <libxlutil.h>

#include "snap_internal.h"

#define XL_CFG_MAX_BYTES (1u << 20)

struct xl_cfg {
    const char *path;           /* for messages; borrowed */
    XLU_Config *xlu;
    FILE *reports;              /* what libxlutil has to say, */
    char *report;               /* in memory */
    size_t report_len;
};

/* Parse `len` bytes with a NUL behind them. 0 or ERROR_INVAL with a message
 * that names the path; close it in both cases. */
int xl_cfg_open(struct snap_ctx *sc, const char *path, const char *text,
                size_t len, struct xl_cfg *out);
void xl_cfg_close(struct xl_cfg *c);
/* ERROR_INVAL with what libxlutil reported, as one line, or `otherwise`. */
int xl_cfg_fail(struct snap_ctx *sc, const struct xl_cfg *c,
                const char *otherwise);

/* One "key = value" as it stands in a text. */
struct xl_cfg_setting {
    const char *key;
    size_t key_len;
    bool adds;                  /* "+=" */
    const char *value;          /* its first byte */
};

/* The setting at *at, which moves behind it, of a text that libxlutil has
 * accepted. 1; 0 at the end; ERROR_INVAL. */
int xl_cfg_next(struct snap_ctx *sc, const char *path, const char **at,
                struct xl_cfg_setting *out);
/* Past blanks, comments and ends of statements; past a string, whose quote
 * `s` is at. */
const char *xl_cfg_skip_blank(const char *s);
const char *xl_cfg_skip_string(const char *s);

#endif
