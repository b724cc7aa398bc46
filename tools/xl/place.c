/* SPDX-License-Identifier: LGPL-2.1-only */
/* Where a new snapshot goes.  See place.h. */
#include "place.h"

#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "others.h"
#include "say.h"
#include "store.h"

void xl_place_dispose(struct xl_place *p)
{
    free(p->name);
    free(p->directory);
    free(p->domain_dir);
    free(p->parent);
    free(p->current);
    free(p->made);
}

char *xl_place_option(const struct xl_request *rq)
{
    const char *option = rq->value[OPT_PATH];
    char *path = option ? xl_absolute(option) : NULL;
    size_t n = path ? strlen(path) : 0;

    while (n > 1 && path[n - 1] == '/')
        path[--n] = 0;
    return path;
}

/* The directory of a --path is made by the library, the one above it by
 * nobody: a typing error must not grow a tree. */
static int check_above(const struct xl_request *rq, const struct xl_place *p)
{
    AUTO_FREE char *above = snap_strdup(p->directory);
    char *slash = strrchr(above, '/');
    struct stat st;

    slash[slash == above] = 0;
    if (!stat(above, &st) && S_ISDIR(st.st_mode)) return 0;
    return xl_fail(rq, XL_REFUSED, NULL, "the directory '%s', in which '%s' "
                   "is to be made, does not exist", above, p->directory);
}

int xl_place_find(const struct xl_request *rq, const char *domain,
                  struct xl_place *p)
{
    int status = 0;

    p->domain_dir = xl_store_domain_dir(rq->store, domain);
    if (!p->name)
        p->name = xl_store_default_name(p->domain_dir, time(NULL));
    else
        status = xl_check_free(rq, p->domain_dir, p->name);
    if (status) return status;
    p->parent = xl_store_current(p->domain_dir);
    p->current = snap_printf("%s/" XL_CURRENT_FILE, p->domain_dir);
    if (p->directory) return check_above(rq, p);
    p->directory = snap_printf("%s/%s", p->domain_dir, p->name);
    return 0;
}

int xl_place_make(const struct xl_request *rq, struct xl_place *p)
{
    struct snap_ctx sc = SNAP_CTX_INIT;
    int status = 0;

    if (xl_given(rq, OPT_DRY_RUN)) return 0;
    if (xl_store_make_domain_dir(&sc, p->domain_dir, &p->made))
        status = xl_fail(rq, XL_REFUSED, NULL, "%s", sc.message);
    snap_ctx_dispose(&sc);
    return status;
}

void xl_place_unmake(const struct xl_place *p)
{
    xl_store_unmake_domain_dir(p->domain_dir, p->made);
}
