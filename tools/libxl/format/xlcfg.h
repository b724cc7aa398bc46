/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * libxl's domain configuration as settings for `xl create`, which does not
 * read its JSON: words like memory="512", one setting each, as xl takes them
 * behind the name of a configuration file (/dev/null: from the words alone;
 * Xen 4.17's tools/xl/xl_vmcontrol.c).  Pure.
 *
 * The tables here cannot be complete, and need not be: `xl -N create` with the
 * same words prints what it would build, and that must be what was wanted.
 */
#ifndef SNAP_XLCFG_H
#define SNAP_XLCFG_H

#include "format/json.h"

/* Of all words together: they are a command line and lines of the journal. */
#define SNAP_XLCFG_MAX_BYTES (64u << 10)

/*
 * The settings of the whole configuration, which snap_domconfig_read() has
 * accepted, or only its name, uuid and disks, to go behind a user's xl.cfg.
 * Memory is rounded up to whole MiB.  Passwords are left out: a command line
 * is no place for them.  ERROR_INVAL when a value cannot be written as one.
 */
int snap_xlcfg_words(struct snap_ctx *sc, const struct snap_json *tree,
                     struct snap_strings *words);
int snap_xlcfg_own_words(struct snap_ctx *sc, const struct snap_json *tree,
                         struct snap_strings *words);

/*
 * The first field in which what xl would build differs from what is wanted,
 * like "b_info.cpuid" or "disks.0.format", malloc'd; NULL: none.  What libxl
 * or xl.conf fills in by itself does not count, nor what is at its default in
 * one and absent in the other.
 */
char *snap_xlcfg_difference(const struct snap_json *wanted,
                            const struct snap_json *got);

#endif
