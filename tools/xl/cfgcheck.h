/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * Would a disk of an xl.cfg do harm when the domain is started with it?  Pure;
 * who asks has looked at the image, the store and the running domain.
 */
#ifndef XL_CFGCHECK_H
#define XL_CFGCHECK_H

#include "snap_internal.h"

/* What there is to know of a disk; every string is the caller's. */
struct xl_cfg_look {
    const char *vdev, *format, *image;      /* as the file says */
    const char *left_out;       /* why it does not matter; NULL: it does */
    const char *failed;         /* why it could not be looked at; NULL */
    bool there;
    const char *frozen;         /* whose frozen base it is; NULL: nobody's */
    const char *above;          /* an image that stands on it; NULL: none */
    const char *now, *now_format;   /* what the running domain has; NULL */
    bool same;                  /* `now` is the same file */
};

struct xl_cfg_finding {
    char *part;                 /* a virtual device, or a file */
    bool good;                  /* also what is left out */
    bool left_out;
    char *text;
    char *entry;                /* what the disk list must have; NULL: not
                                 * known, or it has that */
};
void xl_cfg_finding_dispose(struct xl_cfg_finding *f);

struct xl_cfg_finding xl_cfg_judge(const struct xl_cfg_look *l);

#endif
