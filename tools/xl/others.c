/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * The snapshots that a command line names, and the others around them.
 */
#include "others.h"

#include <string.h>
#include <sys/stat.h>

#include "say.h"

int xl_check_name(const struct xl_request *rq, const char *name)
{
    const char *why = xl_store_name_error(name);

    return why ? xl_fail(rq, XL_USAGE, NULL, "'%s' cannot be a name: %s", name,
                         why) : 0;
}

int xl_check_free(const struct xl_request *rq, const char *domain_dir,
                  const char *name)
{
    AUTO_FREE char *dir = snap_printf("%s/%s", domain_dir, name);
    AUTO_FREE char *memory = snap_printf("%s/" SNAP_MEMORY_FILE, dir);

    if (!xl_store_has(domain_dir, name)) return 0;
    if (!xl_store_has(dir, SNAP_MANIFEST_FILE)
        && xl_store_has(dir, SNAP_MEMORY_FILE))
        return xl_fail(rq, XL_REFUSED, NULL, "'%s' is there already and holds "
                       "'%s'; move that elsewhere, or choose another name",
                       dir, memory);
    return xl_fail(rq, XL_REFUSED, NULL, "'%s' is there already; choose "
                   "another name", dir);
}

int xl_find_set(const struct xl_request *rq, const char *domain,
                libxl_snapshot_set *set, char **where)
{
    struct snap_ctx sc = SNAP_CTX_INIT;
    int status;

    status = xl_store_find(&sc, rq->store, domain, rq->args[1], set, where);
    if (status)
        xl_fail(rq, status, NULL, "%s", sc.message ? sc.message : "?");
    snap_ctx_dispose(&sc);
    return status;
}

static bool same_directory(const char *a, const char *b)
{
    struct stat x, y;

    return a && b && !stat(a, &x) && !stat(b, &y) && x.st_dev == y.st_dev &&
        x.st_ino == y.st_ino;
}

int xl_check_owner(const struct xl_request *rq, const char *domain,
                   const libxl_snapshot_set *set)
{
    AUTO_FREE char *dir = xl_store_domain_dir(rq->store, domain);
    AUTO_FREE char *above = snap_printf("%s/..", set->directory);
    const char *owner = set->manifest.domain_name;

    if (!owner || !strcmp(owner, domain) || same_directory(above, dir))
        return 0;
    return xl_fail(rq, XL_REFUSED, NULL, "'%s' is a snapshot of domain '%s', "
                   "not of '%s'; give that name", set->directory, owner,
                   domain);
}

void xl_others_dispose(struct xl_others *o)
{
    free(o->sets);
    xl_entries_dispose(&o->store);
    xl_entries_dispose(&o->beside);
}

/* `strict`, a directory: what is broken in there may depend on `skip`. */
static int others_from(const struct xl_request *rq, struct xl_others *o,
                       const struct xl_entries *l, const char *skip,
                       const char *strict)
{
    size_t i, n = strict ? strlen(strict) : 0;

    o->sets = snap_realloc(o->sets, (o->nsets + l->len + 1) *
                           sizeof(*o->sets));
    for (i = 0; i < l->len; i++) {
        const struct xl_entry *e = &l->data[i];

        if (same_directory(e->directory, skip)) continue;
        if (!e->broken)
            o->sets[o->nsets++] = e->set;
        else if (strict && !strncmp(e->directory, strict, n) &&
                 e->directory[n] == '/')
            return xl_fail(rq, XL_REFUSED, NULL, "whether another snapshot "
                           "depends on this one cannot be told: '%s' is "
                           "broken: %s; mend it, or move it out of %s",
                           e->name, e->broken, strict);
        else
            xl_note(rq, "Note: '%s' is broken and was not asked whether it "
                    "depends on an image: %s", e->directory, e->broken);
    }
    return 0;
}

int xl_others_find(const struct xl_request *rq, const char *directory,
                   const char *strict, struct xl_others *o)
{
    AUTO_FREE char *beside = snap_strdup(directory);
    struct snap_ctx sc = SNAP_CTX_INIT;
    int rc, status = 0;

    memset(o, 0, sizeof(*o));
    rc = xl_store_list_all(&sc, rq->store, &o->store);
    if (!rc && beside) {
        AUTO_FREE char *above = NULL;

        *strrchr(beside, '/') = 0;
        above = snap_printf("%s/..", beside);
        /* Below the store it has been seen already. */
        if (!same_directory(above, rq->store))
            rc = xl_store_list(&sc, *beside ? beside : "/", &o->beside);
    }
    if (rc)
        status = xl_fail(rq, XL_REFUSED, NULL, "%s", sc.message);
    if (!status)
        status = others_from(rq, o, &o->store, directory, strict);
    if (!status)
        status = others_from(rq, o, &o->beside, directory, NULL);
    snap_ctx_dispose(&sc);
    return status;
}
