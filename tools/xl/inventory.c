/* SPDX-License-Identifier: LGPL-2.1-only */
/* The images of a domain by what the store has.  See inventory.h. */
#include "inventory.h"

#include <string.h>

#include "say.h"

void xl_images_dispose(struct xl_images *im)
{
    size_t i;

    libxl_snapshot_inventory_dispose(&im->inv);
    for (i = 0; im->dirs && i < im->paths.len; i++)
        xl_entries_dispose(&im->dirs[i]);
    free(im->dirs);
    free(im->own);
    free(im->sets);
    free(im->broken);
    snap_strings_dispose(&im->paths);
}

/* Those that are the domain's in question, or those that are not. */
static void add_sets(struct xl_images *im, bool own)
{
    size_t i, k;

    for (i = 0; i < im->paths.len; i++) {
        const struct xl_entries *l = &im->dirs[i];

        if (im->own[i] != own) continue;
        im->sets = snap_realloc(im->sets, (im->nsets + l->len + 1)
                                          * sizeof(*im->sets));
        for (k = 0; k < l->len; k++) {
            const struct xl_entry *e = &l->data[k];

            if (!e->broken)
                im->sets[im->nsets++] = e->set;
            else if (!im->broken)
                im->broken = snap_printf("'%s' is broken: %s", e->directory,
                                         e->broken);
        }
    }
}

int xl_images_load(struct snap_ctx *sc, const char *store, const char *domain,
                   struct xl_images *out)
{
    AUTO_FREE char *mine = domain ? xl_store_domain_dir(store, domain) : NULL;
    struct snap_strings names = { 0 };
    size_t i;
    int rc;

    memset(out, 0, sizeof(*out));
    rc = xl_store_domains(sc, store, &names);
    out->dirs = snap_zalloc((names.len + 1) * sizeof(*out->dirs));
    out->own = snap_zalloc((names.len + 1) * sizeof(*out->own));
    for (i = 0; !rc && i < names.len; i++) {
        char *dir = snap_printf("%s/%s", store, names.data[i]);

        out->own[i] = !mine || !strcmp(dir, mine);
        snap_strings_take(&out->paths, dir);
        rc = xl_store_list(sc, dir, &out->dirs[i]);
    }
    snap_strings_dispose(&names);
    add_sets(out, true);
    out->nown = out->nsets;
    add_sets(out, false);
    return rc;
}

libxl_snapshot_images_params xl_images_params(const struct xl_images *im,
                                              const char *domain)
{
    return (libxl_snapshot_images_params){
        .domain_name = domain,
        .own = im->sets, .nown = im->nown,
        .others = im->sets + im->nown, .nothers = im->nsets - im->nown,
    };
}

int xl_images_read(struct snap_ctx *sc, const char *store, const char *domain,
                   struct xl_images *out)
{
    libxl_snapshot_images_params p;
    libxl_snapshot_ctx *ctx;
    int rc = xl_images_load(sc, store, domain, out);

    if (rc) return rc;
    p = xl_images_params(out, domain);
    ctx = libxl_snapshot_ctx_alloc(NULL);
    rc = libxl_snapshot_images(ctx, &p, &out->inv);
    if (rc) snap_fail(sc, rc, "%s", libxl_snapshot_error(ctx));
    libxl_snapshot_ctx_free(ctx);
    return rc;
}

void xl_images_notes(const struct xl_request *rq, const struct xl_images *im)
{
    if (im->broken)
        xl_note(rq, "Note: %s; what it names may look as if nobody needed it",
                im->broken);
    if (im->inv.no_domains)
        xl_note(rq, "Note: which images domains have is not known: %s",
                im->inv.no_domains);
    else if (im->inv.domain && !im->inv.running)
        xl_note(rq, "Note: domain '%s' does not run; which images it would be "
                "started on, its xl.cfg alone tells", im->inv.domain);
}

char *xl_images_snapshot(const libxl_snapshot_inventory *inv, size_t snapshot)
{
    const struct snap_inventory_snapshot *s = &inv->snapshots[snapshot];
    const char *name = s->m->name ? s->m->name : "?";

    if (s->own && inv->domain) return snap_strdup(name);
    return snap_printf("%s (of %s)", name,
                       s->m->domain_name ? s->m->domain_name : "?");
}
