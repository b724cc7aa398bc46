/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * Where a new snapshot goes: its name, its directory, what is in the domain's
 * directory around it.
 */
#ifndef XL_PLACE_H
#define XL_PLACE_H

#include "options.h"

struct xl_place {
    char *name;                 /* of the snapshot; NULL: from the time */
    char *directory;            /* its own; NULL: in the store */
    /* found */
    char *domain_dir;           /* in the store */
    char *parent;               /* what the present descends from, or NULL */
    char *current;              /* path of the hint */
    char *made;                 /* the highest directory that was */
};
void xl_place_dispose(struct xl_place *p);

/* The directory that --path names, absolute, malloc'd; NULL: not given. */
char *xl_place_option(const struct xl_request *rq);
/* Fill in what is not decided. 0, or the exit status with the error printed, as
 * when the name is taken or there is nothing above the directory. */
int xl_place_find(const struct xl_request *rq, const char *domain,
                  struct xl_place *p);
/* Make the domain's directory, unless it is a dry run; and if nothing came of
 * the command, remove it again. */
int xl_place_make(const struct xl_request *rq, struct xl_place *p);
void xl_place_unmake(const struct xl_place *p);

#endif
