/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * The snapshot that a command line names, and the others around it, which may
 * stand on its images.
 */
#ifndef XL_OTHERS_H
#define XL_OTHERS_H

#include "options.h"
#include "store.h"

/* May a new snapshot be called so; is that free in the domain's directory? If
 * not, why is printed; an exit status. */
int xl_check_name(const struct xl_request *rq, const char *name);
int xl_check_free(const struct xl_request *rq, const char *domain_dir,
                  const char *name);

/* Find the request's SNAPSHOT, its second word, of a domain; *where as from
 * xl_store_find(). On failure why is printed; an exit status. */
int xl_find_set(const struct xl_request *rq, const char *domain,
                libxl_snapshot_set *set, char **where);

/* May a command on that domain change this snapshot: is it in the domain's
 * directory (which may have been renamed with the domain), or the domain's by
 * its manifest? If not, why is printed; an exit status. */
int xl_check_owner(const struct xl_request *rq, const char *domain,
                   const libxl_snapshot_set *set);

/* The snapshots besides the one in hand that may stand on its images: those
 * in the store, of any domain, and those beside it. */
struct xl_others {
    libxl_snapshot_set *sets;       /* borrowed from the entries */
    size_t nsets;
    struct xl_entries store, beside;
};

/* All but the one in `directory` (NULL: it has none). `strict`, a directory
 * or NULL: a broken snapshot in there is a failure, elsewhere a note. On
 * failure why is printed; an exit status. */
int xl_others_find(const struct xl_request *rq, const char *directory,
                   const char *strict, struct xl_others *o);
void xl_others_dispose(struct xl_others *o);

#endif
