/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * snapshot-verify --orphans: what is there and no manifest names (overlays,
 * tags, files in the store), and what manifests name and is not there.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "inventory.h"
#include "operations.h"
#include "print.h"
#include "say.h"
#include "session.h"

#define NONE SNAP_INVENTORY_NONE

struct orphan {
    const char *kind;           /* overlay, tag, file, directory, manifest: of
                                 * nobody; image, memory: gone */
    char *path, *text;
    uint64_t size_bytes;
};

#define ORPHAN(member) offsetof(struct orphan, member)
static const struct xl_field orphan_fields[] = {
    { "kind", NULL, FIELD_TEXT, ORPHAN(kind), NULL },
    { "path", NULL, FIELD_TEXT, ORPHAN(path), NULL },
    { "text", NULL, FIELD_TEXT, ORPHAN(text), NULL },
    { "size_bytes", NULL, FIELD_BYTES, ORPHAN(size_bytes), NULL },
};

struct orphans {
    const struct xl_images *images;
    struct orphan *data;
    size_t len;
};

/* Takes text. */
static void add(struct orphans *o, const char *kind, const char *path,
                uint64_t size_bytes, char *text)
{
    o->data = snap_grown(o->data, o->len, sizeof(*o->data));
    o->data[o->len++] = (struct orphan){
        .kind = kind, .path = snap_strdup(path), .text = text,
        .size_bytes = size_bytes,
    };
}

/* ---- images ------------------------------------------------------ */

static void find_in_image(struct orphans *o,
                          const struct snap_inventory_image *im)
{
    size_t i;

    if ((im->use == SNAP_USE_OVERLAY || im->use == SNAP_USE_ABANDONED)
        && im->made_by == NONE)
        add(o, "overlay", im->path, im->size_bytes, snap_strdup(
            "no manifest names it, and nothing stands on it"));
    for (i = 0; i < im->ntags; i++)
        if (im->tags[i].snapshot == NONE)
            add(o, "tag", im->path, 0, snap_printf(
                "no manifest names the internal snapshot '%s'",
                im->tags[i].name));
}

static void find_gone(struct orphans *o, const struct snap_inventory_link *l)
{
    const libxl_snapshot_inventory *inv = &o->images->inv;
    const struct snap_inventory_image *im;
    const char *what = NULL;

    if (l->image == NONE || !inv->snapshots[l->snapshot].own) return;
    im = &inv->images[l->image];
    if (im->gone)
        what = "is gone";
    else if (l->disk->tag && !l->tag_there && !im->unread)
        what = "has not its tag any more";
    if (what)
        add(o, "image", im->path, 0, snap_printf(
            "of snapshot '%s', disk '%s': it %s",
            inv->snapshots[l->snapshot].directory, l->disk->vdev, what));
}

/* ---- the store --------------------------------------------------- */

/* 0, or -1 and errno. */
static int find_file(struct orphans *o, DIR *d, const char *dir,
                     const char *name)
{
    AUTO_FREE char *path = snap_printf("%s/%s", dir, name);
    struct stat st;

    if (fstatat(dirfd(d), name, &st, AT_SYMLINK_NOFOLLOW))
        return errno == ENOENT ? 0 : -1;
    if (!S_ISDIR(st.st_mode))
        add(o, "file", path, (uint64_t)st.st_blocks * 512,
            snap_strdup("no manifest names it"));
    return 0;
}

/* What is in a directory and is neither of the two (or NULL). */
static int find_files(struct snap_ctx *sc, struct orphans *o, const char *dir,
                      const char *one, const char *two)
{
    DIR *d = opendir(dir);
    struct dirent *e;
    int bad = 0, err;

    while (d && !bad && (errno = 0, e = readdir(d)))
        if (!(one && !strcmp(e->d_name, one))
            && !(two && !strcmp(e->d_name, two)))
            bad = find_file(o, d, dir, e->d_name);
    err = errno;
    if (d) closedir(d);
    return d && !bad && !err ? 0 : snap_fail_errno(sc, err, "cannot read '%s'",
                                                   dir);
}

static int find_in_entry(struct snap_ctx *sc, struct orphans *o,
                         const struct xl_entry *e)
{
    const char *memory = e->set.manifest.memory_path;
    AUTO_FREE char *path = memory ? snap_printf("%s/%s", e->directory, memory)
                                  : NULL;
    struct stat st;

    if (e->broken) {
        add(o, "manifest", e->directory, 0, snap_printf(
            "it cannot be read, so that what it names looks like nobody's: %s",
            e->broken));
        return 0;
    }
    if (path && lstat(path, &st)) {
        if (errno != ENOENT && errno != ENOTDIR)
            return snap_fail_errno(sc, errno, "cannot look at '%s'", path);
        add(o, "memory", path, 0, snap_printf(
            "of snapshot '%s': it is gone", e->directory));
    }
    return find_files(sc, o, e->directory, SNAP_MANIFEST_FILE, memory);
}

/* Is some command at work there, or was interrupted?  Then what has no manifest
 * may be about to get one. */
static bool is_busy(const char *dir)
{
    AUTO_FREE char *domain = xl_store_decode_name(strrchr(dir, '/') + 1);
    libxl_snapshot_operation *list;
    size_t n;

    if (!domain) return false;
    libxl_snapshot_operations(domain, &list, &n);
    libxl_snapshot_operations_free(list, n);
    return n;
}

static int find_in_directory(struct snap_ctx *sc, struct orphans *o, size_t at)
{
    const struct xl_entries *l = &o->images->dirs[at];
    const char *dir = o->images->paths.data[at];
    bool busy = is_busy(dir);
    size_t i;
    int rc = 0;

    for (i = 0; i < l->unfinished.len && !busy; i++) {
        AUTO_FREE char *path = snap_printf("%s/%s", dir,
                                           l->unfinished.data[i]);

        add(o, "directory", path, 0, snap_strdup("it has no manifest"));
    }
    for (i = 0; !rc && i < l->len; i++)
        rc = find_in_entry(sc, o, &l->data[i]);
    return rc ? rc : find_files(sc, o, dir, XL_CURRENT_FILE, NULL);
}

static int find(struct snap_ctx *sc, struct orphans *o)
{
    const libxl_snapshot_inventory *inv = &o->images->inv;
    size_t i;
    int rc = 0;

    for (i = 0; i < inv->nimages; i++) find_in_image(o, &inv->images[i]);
    for (i = 0; i < inv->nlinks; i++) find_gone(o, &inv->links[i]);
    for (i = 0; !rc && i < o->images->paths.len; i++)
        if (o->images->own[i]) rc = find_in_directory(sc, o, i);
    return rc;
}

/* ---- the result -------------------------------------------------- */

static void print_text(const struct orphans *o)
{
    size_t i;

    for (i = 0; i < o->len; i++) {
        AUTO_FREE char *line = snap_printf("%s: '%s': %s", o->data[i].kind,
                                           o->data[i].path, o->data[i].text);
        AUTO_FREE char *clean = xl_clean(line);

        xl_put_line(stdout, clean);
    }
    if (!o->len) printf("There are no orphans.\n");
}

static void print_json(const struct xl_request *rq, const char *domain,
                       const struct orphans *o)
{
    struct snap_json *j = snap_json_new_object();
    struct snap_json *list = snap_json_new_array();
    AUTO_FREE char *name = xl_json_text(domain);
    size_t i;

    for (i = 0; i < o->len; i++) {
        struct snap_json *one = snap_json_new_object();

        xl_fields_json(orphan_fields, XL_FIELDS(orphan_fields), &o->data[i],
                       one);
        snap_json_append(list, one);
    }
    snap_json_set_int(j, "exit", o->len ? XL_REFUSED : XL_DONE);
    snap_json_set_str(j, "domain", name);
    snap_json_set_bool(j, "xen_asked", !o->images->inv.no_domains);
    snap_json_set(j, "orphans", list);
    xl_show_operations(rq, domain, j);
    xl_print_json(j);
}

static int print_orphans(const struct xl_request *rq, const char *domain,
                         const struct orphans *o)
{
    if (xl_given(rq, OPT_JSON)) {
        print_json(rq, domain, o);
    } else {
        print_text(o);
        xl_show_operations(rq, domain, NULL);
    }
    xl_images_notes(rq, o->images);
    return o->len ? XL_REFUSED : XL_DONE;
}

int xl_verify_orphans(struct xl_request *rq)
{
    struct snap_ctx sc = SNAP_CTX_INIT;
    AUTO_FREE char *domain = NULL;
    struct xl_images im = { .dirs = NULL };
    struct orphans o = { .images = &im };
    int rc, status = rq->nargs ? xl_domain_name(rq, rq->args[0], true, &domain)
                               : 0;
    size_t i;

    if (status) return status;
    rc = xl_images_read(&sc, rq->store, domain, &im);
    if (!rc) rc = find(&sc, &o);
    status = rc ? xl_fail(rq, XL_REFUSED, NULL, "%s", sc.message)
                : print_orphans(rq, domain, &o);
    for (i = 0; i < o.len; i++) {
        free(o.data[i].path);
        free(o.data[i].text);
    }
    free(o.data);
    xl_images_dispose(&im);
    snap_ctx_dispose(&sc);
    return status;
}
