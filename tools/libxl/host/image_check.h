/* SPDX-License-Identifier: LGPL-2.1-only */
/* Is an image sound inside? */
#ifndef SNAP_IMAGE_CHECK_H
#define SNAP_IMAGE_CHECK_H

#include "snap_internal.h"

struct snap_image_health {
    int corruptions;            /* with what could not be read */
    int leaks;                  /* clusters lost, which do no harm */
};

/* Only qcow2 is looked into. Of an image in use the answer means nothing: who
 * calls has seen that it is not. The path is absolute. */
int snap_image_check(struct snap_ctx *sc, const char *path,
                     const char *format, struct snap_image_health *out);

#endif
