/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * Other images in the disk= list of an xl.cfg, and every other byte as it was.
 * Pure: the text in, the new text out.  What cannot be changed safely is
 * refused.
 */
#ifndef XL_CFGEDIT_H
#define XL_CFGEDIT_H

#include "snap_internal.h"

struct xl_cfg_edit {
    char *text;                 /* NULL: nothing has to change */
    size_t len;
    struct snap_strings old, new;   /* the lines that change, pairwise */
};
void xl_cfg_edit_dispose(struct xl_cfg_edit *e);

/*
 * `text` has a NUL behind its `len` bytes; `path` is for messages.  `specs`:
 * disk specs (format/spec.h), each of a disk that must be in the list once and
 * be writable.  Target and format of that entry become the spec's, the rest
 * of it stays.  `instead`, of as many paths (NULL or empty: none): only an
 * entry that has this target is changed.  With no specs: could it be done?  ERROR_INVAL with the reason:
 * not an xl.cfg of that domain, a list that is made of more than one setting
 * or has escapes in it, a disk that is not there.
 */
int xl_cfg_edit(struct snap_ctx *sc, const char *path, const char *domain,
                const char *text, size_t len,
                const struct snap_strings *specs,
                const struct snap_strings *instead, struct xl_cfg_edit *out);

#endif
