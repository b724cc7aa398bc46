/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * snapshot-list --disks: each disk of a domain with all its layers, top first,
 * what is in them and what they are for.
 */
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "inventory.h"
#include "operations.h"
#include "plan/inventory.h"
#include "print.h"
#include "say.h"
#include "session.h"

#define NONE SNAP_INVENTORY_NONE
#define INDENT 8

/* ---- one image --------------------------------------------------- */

/* Strings are borrowed, lists and the last are not. */
struct row {
    const char *path, *disk, *format, *use, *below, *doubt, *unread;
    uint64_t size_bytes, virtual_size_bytes;
    struct snap_strings domains, bases;
    char *made_by;
};

#define ROW(member) offsetof(struct row, member)
static const struct xl_field row_fields[] = {
    { "path", NULL, FIELD_TEXT, ROW(path), NULL },
    { "disk", NULL, FIELD_TEXT, ROW(disk), NULL },
    { "format", NULL, FIELD_TEXT, ROW(format), NULL },
    { "use", NULL, FIELD_TEXT, ROW(use), NULL },
    { "domains", NULL, FIELD_LIST, ROW(domains), NULL },
    { "base_of", NULL, FIELD_LIST, ROW(bases), NULL },
    { "overlay_of", NULL, FIELD_TEXT, ROW(made_by), NULL },
    { "stands_on", NULL, FIELD_TEXT, ROW(below), NULL },
    { "size_bytes", NULL, FIELD_BYTES, ROW(size_bytes), NULL },
    { "virtual_size_bytes", NULL, FIELD_BYTES, ROW(virtual_size_bytes), NULL },
    { "doubt", NULL, FIELD_TEXT, ROW(doubt), NULL },
    { "unread", NULL, FIELD_TEXT, ROW(unread), NULL },
};

static struct row make_row(const libxl_snapshot_inventory *inv,
                           const struct snap_inventory_image *im)
{
    struct row r = {
        .path = im->path, .disk = im->vdev, .format = im->format,
        .use = snap_inventory_use_word(im->use),
        .below = im->below == NONE ? NULL : inv->images[im->below].path,
        .doubt = im->doubt, .unread = im->unread,
        .size_bytes = im->size_bytes,
        .virtual_size_bytes = im->virtual_size_bytes,
    };
    size_t i;

    for (i = 0; i < im->domains.len; i++)
        snap_strings_add(&r.domains, im->domains.data[i]);
    for (i = im->first_link; i < im->first_link + im->nbases; i++)
        snap_strings_take(&r.bases, xl_images_snapshot(
            inv, inv->links[i].snapshot));
    if (im->made_by != NONE) r.made_by = xl_images_snapshot(inv, im->made_by);
    return r;
}

static void row_free(struct row *r)
{
    snap_strings_dispose(&r->domains);
    snap_strings_dispose(&r->bases);
    free(r->made_by);
}

static struct snap_json *tag_json(const libxl_snapshot_inventory *inv,
                                  const struct snap_inventory_tag *t)
{
    struct snap_json *o = snap_json_new_object();
    AUTO_FREE char *name = xl_json_text(t->name);
    AUTO_FREE char *id = xl_json_text(t->id);
    AUTO_FREE char *whose = t->snapshot == NONE ? NULL
        : xl_images_snapshot(inv, t->snapshot);

    snap_json_set_str(o, "name", name);
    snap_json_set_str(o, "id", id);
    snap_json_set_int(o, "vm_state_bytes", (int64_t)t->vm_state_bytes);
    snap_json_set_str(o, "snapshot", whose);
    return o;
}

static struct snap_json *image_json(const libxl_snapshot_inventory *inv,
                                    const struct snap_inventory_image *im)
{
    struct snap_json *o = snap_json_new_object();
    struct snap_json *tags = snap_json_new_array();
    struct row r = make_row(inv, im);
    size_t i;

    xl_fields_json(row_fields, XL_FIELDS(row_fields), &r, o);
    for (i = 0; i < im->ntags; i++)
        snap_json_append(tags, tag_json(inv, &im->tags[i]));
    snap_json_set(o, "tags", tags);
    row_free(&r);
    return o;
}

/* ---- text -------------------------------------------------------- */

static void say(const char *text)
{
    AUTO_FREE char *clean = xl_clean(text);

    printf("%*s", INDENT, "");
    xl_wrap(stdout, clean, INDENT, INDENT + 2);
}

static void part(struct snap_text *t, const char *what,
                 const struct snap_strings *names)
{
    size_t i;

    snap_text_add(t, "%s%s", t->len ? "; " : "", what);
    for (i = 0; names && i < names->len; i++)
        snap_text_add(t, "%s%s", i ? ", " : " ", names->data[i]);
}

/* What it is for, in words. */
static void say_use(const struct snap_inventory_image *im, const struct row *r)
{
    struct snap_text t = { 0 };

    if (im->gone) part(&t, "not there", NULL);
    if (r->domains.len) part(&t, "active: disk of domain", &r->domains);
    if (r->bases.len) part(&t, "frozen base of", &r->bases);
    if (im->use == SNAP_USE_DISK) part(&t, "disk with tags", NULL);
    if (im->use == SNAP_USE_BELOW) part(&t, "below others", NULL);
    if (im->use == SNAP_USE_ABANDONED)
        part(&t, "abandoned overlay: nothing needs it", NULL);
    if (r->made_by)
        snap_text_add(&t, "%smade as the overlay of %s", t.len ? "; " : "",
                      r->made_by);
    else if (im->use == SNAP_USE_OVERLAY)
        part(&t, "overlay that no manifest names", NULL);
    if (!t.len) part(&t, "named by nobody", NULL);
    if (r->doubt)
        snap_text_add(&t, "; it looks abandoned, but %s", r->doubt);
    else if (r->unread)
        snap_text_add(&t, "; what is in it is not known: %s", r->unread);
    say(t.data);
    free(t.data);
}

static void print_image(const libxl_snapshot_inventory *inv,
                        const struct snap_inventory_image *im)
{
    struct row r = make_row(inv, im);
    AUTO_FREE char *size = im->gone ? snap_strdup("-")
                                    : xl_bytes_brief(im->size_bytes);
    AUTO_FREE char *path = xl_clean(im->path);
    size_t i;

    printf("%*s %s\n", INDENT - 1, size, path);
    say_use(im, &r);
    for (i = 0; i < im->ntags; i++) {
        const struct snap_inventory_tag *t = &im->tags[i];
        AUTO_FREE char *whose = t->snapshot == NONE ? NULL
            : xl_images_snapshot(inv, t->snapshot);
        AUTO_FREE char *line = snap_printf(
            "tag '%s': %s%s", t->name, whose ? "of snapshot " : "no manifest "
            "names it", whose ? whose : "");

        say(line);
    }
    row_free(&r);
}

/* From a top down, to one that was printed before. */
static void print_chain(const libxl_snapshot_inventory *inv, bool *printed,
                        size_t i)
{
    for (; i != NONE && !printed[i]; i = inv->images[i].below) {
        printed[i] = true;
        print_image(inv, &inv->images[i]);
    }
    if (i != NONE) {
        AUTO_FREE char *line = snap_printf("on %s, see above",
                                           inv->images[i].path);

        say(line);
    }
}

static bool is_of(const struct snap_inventory_image *im, const char *vdev)
{
    return !strcmp(im->vdev ? im->vdev : "?", vdev);
}

/* What the domain has first, then what nothing stands on, then what is left of
 * the disk (of a circle, say). */
static void print_disk(const libxl_snapshot_inventory *inv, bool *printed,
                       const char *vdev, bool first)
{
    AUTO_FREE char *clean = xl_clean(vdev);
    size_t i, pass;

    printf("%s%s:\n", first ? "" : "\n", clean);
    for (pass = 0; pass < 3; pass++)
        for (i = 0; i < inv->nimages; i++) {
            const struct snap_inventory_image *im = &inv->images[i];

            if (!printed[i] && is_of(im, vdev)
                && (pass == 2 || (pass ? !im->above : im->own)))
                print_chain(inv, printed, i);
        }
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void print_text(const struct xl_request *rq, const struct xl_images *im)
{
    const libxl_snapshot_inventory *inv = &im->inv;
    bool *printed = snap_zalloc(inv->nimages + 1);
    struct snap_strings vdevs = { 0 };
    size_t i;

    for (i = 0; i < inv->nimages; i++) {
        const char *vdev = inv->images[i].vdev;

        if (!vdev) vdev = "?";
        if (!snap_strings_have(&vdevs, vdev)) snap_strings_add(&vdevs, vdev);
    }
    if (vdevs.len)
        qsort(vdevs.data, vdevs.len, sizeof(*vdevs.data), by_text);
    for (i = 0; i < vdevs.len; i++)
        print_disk(inv, printed, vdevs.data[i], !i);
    if (inv->nforeign)
        printf("\nBeside them, named by nobody that is known:\n");
    for (i = 0; i < inv->nforeign; i++) {
        AUTO_FREE char *size = xl_bytes_brief(inv->foreign[i].size_bytes);
        AUTO_FREE char *path = xl_clean(inv->foreign[i].path);

        printf("%*s %s\n", INDENT - 1, size, path);
    }
    if (!inv->nimages)
        xl_note(rq, "No image of domain '%s' is known.", inv->domain);
    snap_strings_dispose(&vdevs);
    free(printed);
}

/* ---- JSON -------------------------------------------------------- */

static struct snap_json *foreign_json(const struct snap_inventory_file *f)
{
    struct snap_json *o = snap_json_new_object();
    AUTO_FREE char *path = xl_json_text(f->path);

    snap_json_set_str(o, "path", path);
    snap_json_set_int(o, "size_bytes", (int64_t)f->size_bytes);
    return o;
}

static void print_json(const struct xl_request *rq, const struct xl_images *im)
{
    const libxl_snapshot_inventory *inv = &im->inv;
    struct snap_json *o = snap_json_new_object();
    struct snap_json *images = snap_json_new_array();
    struct snap_json *foreign = snap_json_new_array();
    AUTO_FREE char *domain = xl_json_text(inv->domain);
    size_t i;

    for (i = 0; i < inv->nimages; i++)
        snap_json_append(images, image_json(inv, &inv->images[i]));
    for (i = 0; i < inv->nforeign; i++)
        snap_json_append(foreign, foreign_json(&inv->foreign[i]));
    snap_json_set_int(o, "exit", XL_DONE);
    snap_json_set_str(o, "domain", domain);
    snap_json_set_bool(o, "running", inv->running);
    snap_json_set_bool(o, "xen_asked", !inv->no_domains);
    snap_json_set(o, "images", images);
    snap_json_set(o, "foreign", foreign);
    xl_show_operations(rq, inv->domain, o);
    xl_print_json(o);
}

int xl_list_disks(struct xl_request *rq)
{
    struct snap_ctx sc = SNAP_CTX_INIT;
    AUTO_FREE char *domain = NULL;
    struct xl_images im = { .dirs = NULL };
    int status = xl_domain_name(rq, rq->args[0], true, &domain);

    if (status) return status;
    if (xl_images_read(&sc, rq->store, domain, &im)) {
        status = xl_fail(rq, XL_REFUSED, NULL, "%s", sc.message);
    } else {
        if (xl_given(rq, OPT_JSON)) {
            print_json(rq, &im);
        } else {
            print_text(rq, &im);
            xl_show_operations(rq, domain, NULL);
        }
        xl_images_notes(rq, &im);
    }
    xl_images_dispose(&im);
    snap_ctx_dispose(&sc);
    return status;
}
