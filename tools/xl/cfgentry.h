/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * One entry of a disk= list with another image.  Pure.  The grammar is
 * libxlutil's own, so what was written is read by it again, and counts only
 * if it says what was wanted and all that the entry said before.
 */
#ifndef XL_CFGENTRY_H
#define XL_CFGENTRY_H

#include "cfgdisk.h"
#include "format/spec.h"

/*
 * *out is the entry that `old` must become to name the image of `want`,
 * malloc'd; NULL when it does already.  As little of it is changed as can be.
 * `quote` stands around it.  ERROR_INVAL: it cannot be said in this grammar.
 */
int xl_cfg_entry_change(struct snap_ctx *sc, const struct xl_cfg *c,
                        const struct xl_cfg_disk *old,
                        const struct snap_spec *want, char quote,
                        char **out);

#endif
