/* SPDX-License-Identifier: LGPL-2.1-only */
/* What a snapshot takes on the disk, for snapshot-info. */
#ifndef XL_SPACE_H
#define XL_SPACE_H

#include "options.h"

struct xl_space {
    char *unknown;              /* why the rest is not known; NULL: it is */
    uint64_t exclusive_bytes;   /* its directory, and layers that only it
                                 * needs */
    uint64_t shared_bytes;      /* layers that others need, too */
    uint64_t reclaimable_bytes; /* that snapshot-delete would give back */
    uint64_t unsized_tags;      /* in images; what they take is not known */
    uint64_t gone_images;
};

/* `directory`: the snapshot's, a real path; NULL: it has none. */
struct xl_space xl_space_of(const struct xl_request *rq, const char *domain,
                            const char *directory);

#endif
