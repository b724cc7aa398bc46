/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * The images of a domain by what the store has, and the views of them: three
 * commands have one as an option.
 */
#ifndef XL_INVENTORY_H
#define XL_INVENTORY_H

#include "options.h"
#include "store.h"

struct xl_images {
    struct xl_entries *dirs;        /* of each domain's directory */
    struct snap_strings paths;      /* of those directories */
    bool *own;                      /* is it the domain's in question? */
    libxl_snapshot_set *sets;       /* borrowed from the entries, own first */
    size_t nown, nsets;
    char *broken;                   /* a snapshot that cannot be read, and
                                     * why; NULL: all can */
    libxl_snapshot_inventory inv;
};

/* Read the whole store, and with it the images of the domain; NULL: of all. 0,
 * or an error with a message in sc. */
int xl_images_read(struct snap_ctx *sc, const char *store, const char *domain,
                   struct xl_images *out);
void xl_images_dispose(struct xl_images *im);
/* The first step of it alone: the manifests. */
int xl_images_load(struct snap_ctx *sc, const char *store, const char *domain,
                   struct xl_images *out);
libxl_snapshot_images_params xl_images_params(const struct xl_images *im,
                                              const char *domain);
/* What cannot be told, as notes. */
void xl_images_notes(const struct xl_request *rq, const struct xl_images *im);
/* The snapshot's name, behind it its domain if that is another. malloc'd. */
char *xl_images_snapshot(const libxl_snapshot_inventory *inv, size_t snapshot);

/* The views; an exit status each. */
int xl_list_disks(struct xl_request *rq);
int xl_verify_orphans(struct xl_request *rq);
int xl_delete_abandoned(struct xl_request *rq);

#endif
