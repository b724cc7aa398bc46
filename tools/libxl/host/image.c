/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * qemu-img's door: headers in, structs out, and the few changes that are made
 * to images which nobody has open.  It does not look whether somebody has:
 * that is the caller's proof (inuse.c and the domain room).  Images of a
 * running domain are changed by its QEMU alone.
 *
 * Two things could make qemu-img read a name as something else: a protocol in
 * front ("nbd:", "json:"), so every path must be absolute; and commas in
 * --image-opts, which are doubled.  A format is always given, so that a guest
 * cannot choose one by what it writes into a raw disk.
 */
#include <string.h>
#include <sys/stat.h>

#include "format/json.h"
#include "host/fs.h"
#include "host/image.h"
#include "host/run.h"

#define INFO_TIMEOUT_MS 60000
/* A tag of a large image rewrites all reference counts: minutes are normal,
 * and to be killed in the middle is worse than to wait. */
#define WRITE_TIMEOUT_MS 3600000
#define MAX_LAYERS 200
/* The header's field for the backing name has no room for more. */
#define MAX_BACKING_NAME 1023

/* ---- formats ---- */

/* The formats that xl knows, and QEMU's names for them. */
static const struct { const char *xl, *qemu; } formats[] = {
    { "raw", "raw" }, { "qcow2", "qcow2" }, { "qcow", "qcow" },
    { "qed", "qed" }, { "vhd", "vpc" },
};

static const char *qemu_format(const char *name)
{
    size_t i;

    for (i = 0; name && i < sizeof(formats) / sizeof(formats[0]); i++)
        if (!strcmp(name, formats[i].xl) || !strcmp(name, formats[i].qemu))
            return formats[i].qemu;
    return NULL;
}

/* xl's name where it has one, else QEMU's. */
static const char *xl_format(const char *name)
{
    size_t i;

    for (i = 0; i < sizeof(formats) / sizeof(formats[0]); i++)
        if (!strcmp(name, formats[i].qemu)) return formats[i].xl;
    return name;
}

static int check_image(struct snap_ctx *sc, const char *path,
                       const char *format)
{
    if (!path || path[0] != '/')
        return snap_fail(sc, ERROR_INVAL, "image '%s': its path must be "
                         "absolute", path ? path : "");
    if (!qemu_format(format))
        return snap_fail(sc, ERROR_INVAL, "image '%s': the format '%s' is "
                         "none of raw, qcow2, qcow, qed, vhd", path,
                         format ? format : "");
    return 0;
}

/* ---- headers ---- */

void snap_image_dispose(struct snap_image *im)
{
    size_t i;

    for (i = 0; i < im->ntags; i++) {
        free(im->tags[i].id);
        free(im->tags[i].name);
    }
    free(im->tags);
    snap_strings_dispose(&im->bitmaps);
    free(im->path);
    free(im->format);
    free(im->backing);
    free(im->backing_format);
    free(im->compression);
    free(im->data_file);
    memset(im, 0, sizeof(*im));
}

static int fail_shape(struct snap_ctx *sc, const char *path, const char *key)
{
    return snap_fail(sc, ERROR_FAIL, "image '%s': QEMU's description of it "
                     "has no proper '%s'", path, key);
}

static int get_size(struct snap_ctx *sc, const struct snap_json *j,
                    const char *key, const char *path, uint64_t *out)
{
    int64_t value;

    if (!snap_json_int(snap_json_get(j, key), &value) || value < 0)
        return fail_shape(sc, path, key);
    *out = value;
    return 0;
}

static int parse_tag(struct snap_ctx *sc, const struct snap_json *j,
                     struct snap_image *im)
{
    const char *id = snap_json_get_str(j, "id");
    const char *name = snap_json_get_str(j, "name");
    struct snap_image_tag *tag = &im->tags[im->ntags];

    if (!id || !name ||
        !snap_json_int(snap_json_get(j, "date-sec"), &tag->date_sec))
        return fail_shape(sc, im->path, "snapshots");
    tag->id = snap_strdup(id);
    tag->name = snap_strdup(name);
    im->ntags++;
    return get_size(sc, j, "vm-state-size", im->path, &tag->vm_state_bytes);
}

static int parse_tags(struct snap_ctx *sc, const struct snap_json *list,
                      struct snap_image *im)
{
    size_t i, n = snap_json_len(list);
    int rc;

    if (!list) return 0;
    if (snap_json_type(list) != SNAP_JSON_ARRAY)
        return fail_shape(sc, im->path, "snapshots");
    im->tags = snap_zalloc((n + 1) * sizeof(*im->tags));
    for (i = 0; i < n; i++) {
        rc = parse_tag(sc, snap_json_at(list, i), im);
        if (rc) return rc;
    }
    return 0;
}

static int parse_bitmaps(struct snap_ctx *sc, const struct snap_json *list,
                         struct snap_image *im)
{
    const char *name;
    size_t i;

    if (list && snap_json_type(list) != SNAP_JSON_ARRAY)
        return fail_shape(sc, im->path, "bitmaps");
    for (i = 0; list && i < snap_json_len(list); i++) {
        name = snap_json_get_str(snap_json_at(list, i), "name");
        if (!name) return fail_shape(sc, im->path, "bitmaps");
        snap_strings_add(&im->bitmaps, name);
    }
    return 0;
}

/* What is stored in qcow2 alone. */
static int parse_specific(struct snap_ctx *sc, const struct snap_json *j,
                          struct snap_image *im)
{
    const struct snap_json *data =
        snap_json_get(snap_json_get(j, "format-specific"), "data");
    const char *compat = snap_json_get_str(data, "compat");

    if (strcmp(im->format, "qcow2")) return 0;
    if (!compat) return fail_shape(sc, im->path, "compat");
    if (strcmp(compat, "0.10"))
        im->compression =
            snap_strdup(snap_json_get_str(data, "compression-type"));
    im->data_file = snap_strdup(snap_json_get_str(data, "data-file"));
    /* Absent in old images: false. */
    snap_json_bool(snap_json_get(data, "corrupt"), &im->corrupt);
    return parse_bitmaps(sc, snap_json_get(data, "bitmaps"), im);
}

/* Only a plain absolute path is followed: not json:, nbd: and their like. */
static int parse_backing(struct snap_ctx *sc, const struct snap_json *j,
                         struct snap_image *im)
{
    const char *named = snap_json_get_str(j, "backing-filename");
    const char *full = snap_json_get_str(j, "full-backing-filename");
    const char *format = snap_json_get_str(j, "backing-filename-format");

    if (!named && !full) return 0;
    if (!full || full[0] != '/')
        return snap_fail(sc, ERROR_INVAL, "image '%s': its backing file "
                         "'%.200s' is not a plain path, and only plain paths "
                         "are followed; rebase it with qemu-img while no "
                         "domain uses it", im->path, full ? full : named);
    im->backing = snap_strdup(full);
    if (format) im->backing_format = snap_strdup(xl_format(format));
    return 0;
}

static int parse_info(struct snap_ctx *sc, const struct snap_json *j,
                      const char *path, const char *format,
                      struct snap_image *im)
{
    const char *found = snap_json_get_str(j, "format");
    int rc;

    im->path = snap_strdup(path);
    if (!found || strcmp(found, qemu_format(format)))
        return fail_shape(sc, path, "format");
    im->format = snap_strdup(xl_format(found));
    rc = get_size(sc, j, "virtual-size", path, &im->virtual_size_bytes);
    if (rc) return rc;
    /* Unknown for some kinds of storage: 0. */
    if (snap_json_get(j, "actual-size"))
        rc = get_size(sc, j, "actual-size", path, &im->actual_size_bytes);
    if (rc) return rc;
    snap_json_bool(snap_json_get(j, "encrypted"), &im->encrypted);
    rc = parse_specific(sc, j, im);
    if (!rc) rc = parse_tags(sc, snap_json_get(j, "snapshots"), im);
    if (!rc) rc = parse_backing(sc, j, im);
    return rc;
}

int snap_image_info(struct snap_ctx *sc, const char *path, const char *format,
                    struct snap_image *out)
{
    const char *const argv[] = {
        "qemu-img", "info", "-U", "--output=json", "-f", qemu_format(format),
        "--", path, NULL,
    };
    AUTO_FREE char *text = NULL;
    AUTO_FREE char *what = NULL;
    AUTO_JSON struct snap_json *j = NULL;
    int rc;

    memset(out, 0, sizeof(*out));
    rc = check_image(sc, path, format);
    if (rc) return rc;
    rc = snap_run_ok(sc, argv, INFO_TIMEOUT_MS, &text);
    if (rc) return snap_within(sc, rc, "image '%s'", path);
    what = snap_printf("QEMU's description of the image '%s'", path);
    rc = snap_json_parse(sc, what, text, strlen(text), &j);
    if (!rc) rc = parse_info(sc, j, path, format, out);
    if (rc) snap_image_dispose(out);
    return rc;
}

const struct snap_image_tag *snap_image_find_tag(const struct snap_image *im,
                                                 const char *name)
{
    size_t i;

    for (i = 0; i < im->ntags; i++)
        if (!strcmp(im->tags[i].name, name)) return &im->tags[i];
    return NULL;
}

/* ---- chains ---- */

void snap_chain_dispose(struct snap_chain *c)
{
    size_t i;

    for (i = 0; i < c->len; i++) snap_image_dispose(&c->data[i]);
    free(c->data);
    memset(c, 0, sizeof(*c));
}

static void chain_add(struct snap_chain *c, const struct snap_image *im)
{
    c->data = snap_realloc(c->data, (c->len + 1) * sizeof(*c->data));
    c->data[c->len++] = *im;
}

/* For a shell, in a message. malloc'd. */
static char *shell_quoted(const char *s)
{
    struct snap_text t = { 0 };

    snap_text_add(&t, "'");
    for (; *s; s++) {
        if (*s == '\'')
            snap_text_add(&t, "'\\''");
        else
            snap_text_add_bytes(&t, s, 1);
    }
    snap_text_add(&t, "'");
    return t.data;
}

/* A backing file must say its format: QEMU would guess from its contents,
 * which the guest wrote. */
static int check_backing_format(struct snap_ctx *sc,
                                const struct snap_image *im)
{
    AUTO_FREE char *path = NULL;
    AUTO_FREE char *backing = NULL;

    if (!im->backing) return 0;
    if (im->backing_format && qemu_format(im->backing_format)) return 0;
    if (im->backing_format)
        return snap_fail(sc, ERROR_INVAL, "image '%s': its backing file '%s' "
                         "has the format '%s', which Xen's tools do not know",
                         im->path, im->backing, im->backing_format);
    path = shell_quoted(im->path);
    backing = shell_quoted(im->backing);
    return snap_fail(sc, ERROR_INVAL, "image '%s' does not say which format "
                     "its backing file '%s' has, so QEMU would guess; while "
                     "no domain uses it, and with the format that it really "
                     "has (raw or qcow2), run: qemu-img rebase -u -F FORMAT "
                     "-b %s %s", im->path, im->backing, backing, path);
}

/* The files of a chain by identity, to see one that comes again. */
struct seen {
    struct snap_fs_id ids[MAX_LAYERS];
    size_t n;
};

static int check_layer(struct snap_ctx *sc, const char *path,
                       struct seen *seen)
{
    struct snap_fs_id *id = &seen->ids[seen->n];
    size_t i;
    int rc;

    if (seen->n == MAX_LAYERS)
        return snap_fail(sc, ERROR_INVAL, "the chain below has more than %d "
                         "layers; merge some with qemu-img commit",
                         MAX_LAYERS);
    rc = snap_fs_identify(sc, path, id);
    if (rc) return rc;
    free(id->real);
    id->real = NULL;
    for (i = 0; i < seen->n; i++)
        if (snap_fs_same(id, &seen->ids[i]))
            return snap_fail(sc, ERROR_INVAL, "'%s' stands twice in its own "
                             "chain of backing files", path);
    seen->n++;
    return 0;
}

static int walk_chain(struct snap_ctx *sc, const char *path,
                      const char *format, struct snap_chain *c)
{
    AUTO_FREE struct seen *seen = snap_zalloc(sizeof(*seen));
    struct snap_image im;
    int rc;

    while (path) {
        rc = check_layer(sc, path, seen);
        if (rc) return rc;
        rc = snap_image_info(sc, path, format, &im);
        if (rc) return rc;
        chain_add(c, &im);
        rc = check_backing_format(sc, &im);
        if (rc) return rc;
        path = im.backing;      /* both live on in the chain */
        format = im.backing_format;
    }
    return 0;
}

int snap_image_chain(struct snap_ctx *sc, const char *path,
                     const char *format, struct snap_chain *out)
{
    int rc;

    memset(out, 0, sizeof(*out));
    rc = check_image(sc, path, format);
    if (rc) return rc;
    rc = walk_chain(sc, path, format, out);
    if (!rc) return 0;
    if (out->len)
        snap_within(sc, rc, "the backing files of '%s'", path);
    snap_chain_dispose(out);
    return rc;
}

/* One file by two names? */
static bool same_image(const char *x, const char *y)
{
    return !strcmp(x, y) || snap_fs_same_file(x, y);
}

/* QEMU has `open` where the header names im->backing: one file? */
static int check_opened(struct snap_ctx *sc, const struct snap_image *im,
                        const char *open)
{
    if (same_image(im->backing, open)) return 0;
    return snap_fail(sc, ERROR_INVAL, "image '%s' names the backing file "
                     "'%s', but QEMU has '%s' open", im->path, im->backing,
                     open);
}

/* One layer of QEMU's description into the chain; *next is the one below. */
static int layer_from_json(struct snap_ctx *sc, const struct snap_json *j,
                           struct snap_chain *c, const struct snap_json **next)
{
    const char *path = snap_json_get_str(j, "filename");
    const char *format = snap_json_get_str(j, "format");
    const struct snap_json *below = snap_json_get(j, "backing-image");
    const char *open = snap_json_get_str(below, "filename");
    struct snap_image im = { .path = NULL };
    int rc;

    rc = check_image(sc, path, format);
    if (rc) return rc;
    rc = parse_info(sc, j, path, format, &im);
    if (!rc) rc = check_backing_format(sc, &im);
    if (!rc && !im.backing != !below)
        rc = snap_fail(sc, ERROR_INVAL, "image '%s': its header and QEMU do "
                       "not agree whether it has a backing file", path);
    if (!rc && below) rc = open ? check_opened(sc, &im, open)
                                : fail_shape(sc, path, "backing-image");
    if (rc) {
        snap_image_dispose(&im);
        return rc;
    }
    chain_add(c, &im);
    *next = below;
    return 0;
}

int snap_image_chain_from_json(struct snap_ctx *sc,
                               const struct snap_json *image,
                               struct snap_chain *out)
{
    int rc;

    memset(out, 0, sizeof(*out));
    if (!image || snap_json_type(image) != SNAP_JSON_OBJECT)
        return snap_fail(sc, ERROR_FAIL, "QEMU does not describe its image");
    /* The parser bounds the depth, and so the number of layers. */
    while (image) {
        rc = layer_from_json(sc, image, out, &image);
        if (rc) {
            snap_chain_dispose(out);
            return rc;
        }
    }
    return 0;
}

int snap_image_chain_is_there(struct snap_ctx *sc,
                              const struct snap_chain *chain)
{
    size_t i;

    for (i = 0; i < chain->len; i++)
        if (access(chain->data[i].path, F_OK))
            return snap_fail_errno(sc, errno, "'%s'%s is not where it was, "
                                   "though QEMU still has it open; put it "
                                   "back", chain->data[i].path,
                                   i ? ", a backing file," : "");
    return 0;
}

int snap_image_check_made(struct snap_ctx *sc, const struct snap_json *image,
                          const char *base, const char *base_format)
{
    const struct snap_image *top;
    struct snap_chain c;
    int rc;

    rc = snap_image_chain_from_json(sc, image, &c);
    if (rc) return rc;
    top = &c.data[0];
    if (!top->backing || !same_image(top->backing, base))
        rc = snap_fail(sc, ERROR_FAIL, "the new overlay '%s' stands on '%s' "
                       "and not on '%s', as it should", top->path,
                       top->backing ? top->backing : "nothing", base);
    else if (strcmp(top->backing_format, base_format))
        rc = snap_fail(sc, ERROR_FAIL, "the new overlay '%s' takes its base "
                       "'%s' for %s, but it is %s", top->path, base,
                       top->backing_format, base_format);
    snap_chain_dispose(&c);
    return rc;
}

/* ---- changes ---- */

/* One that exists already is never written. The placeholder holds the name,
 * and keeps strangers out until the owner is set. */
static int hold_name(struct snap_ctx *sc, const char *path)
{
    int fd, rc;

    rc = snap_fs_allocate(sc, path, 0, &fd);
    if (!rc) close(fd);
    return rc;
}

static int run_create(struct snap_ctx *sc, const char *path,
                      const char *base, const char *base_format)
{
    const char *const argv[] = {
        "qemu-img", "create", "-q", "-f", "qcow2",
        "-F", qemu_format(base_format), "-b", base, "--", path, NULL,
    };

    return snap_run_ok(sc, argv, INFO_TIMEOUT_MS, NULL);
}

/* What came of it must be what was asked for. */
static int check_overlay(struct snap_ctx *sc, const char *path,
                         const char *base, const char *base_format)
{
    struct snap_image im;
    bool good;
    int rc;

    rc = snap_image_info(sc, path, "qcow2", &im);
    if (rc) return rc;
    good = im.backing && !strcmp(im.backing, base) && im.backing_format
           && !strcmp(im.backing_format, xl_format(base_format));
    if (!good)
        rc = snap_fail(sc, ERROR_FAIL, "the new overlay '%s' does not stand "
                       "on '%s' as it should; a path that is not UTF-8 cannot "
                       "be checked", path, base);
    snap_image_dispose(&im);
    return rc;
}

static int sync_with_dir(struct snap_ctx *sc, const char *path)
{
    AUTO_FREE char *dir = snap_strdup(path);
    char *slash = strrchr(dir, '/');
    int rc;

    slash[slash == dir] = '\0';
    rc = snap_fs_sync_file(sc, path);
    return rc ? rc : snap_fs_sync_dir(sc, dir);
}

static int fill_overlay(struct snap_ctx *sc, const char *path,
                        const char *base, const char *base_format)
{
    int rc;

    rc = run_create(sc, path, base, base_format);
    if (!rc) rc = check_overlay(sc, path, base, base_format);
    if (!rc) rc = snap_fs_own_like(sc, path, base);
    if (!rc) rc = sync_with_dir(sc, path);
    return rc;
}

int snap_image_create_overlay(struct snap_ctx *sc, const char *path,
                              const char *base, const char *base_format)
{
    int rc;

    rc = check_image(sc, path, "qcow2");
    if (!rc) rc = check_image(sc, base, base_format);
    if (rc) return rc;
    if (strlen(base) > MAX_BACKING_NAME)
        return snap_fail(sc, ERROR_INVAL, "image '%s': a path of more than %d "
                         "bytes cannot be a backing file", base,
                         MAX_BACKING_NAME);
    rc = hold_name(sc, path);
    if (rc) return rc;
    rc = fill_overlay(sc, path, base, base_format);
    if (rc) {
        rc = snap_within(sc, rc, "overlay '%s'", path);
        snap_fs_remove(sc, path);
    }
    return rc;
}

void snap_image_opts_path(struct snap_text *t, const char *path)
{
    for (; *path; path++) {
        if (*path == ',') snap_text_add_bytes(t, ",", 1);
        snap_text_add_bytes(t, path, 1);
    }
}

/* The image as --image-opts, for subcommands that would otherwise probe. */
static int image_opts(struct snap_ctx *sc, const char *path, char **out)
{
    struct snap_fs_id id;
    struct snap_text t = { 0 };
    int rc;

    rc = snap_fs_identify(sc, path, &id);
    if (rc) return rc;
    snap_text_add(&t, "driver=qcow2,file.driver=%s,file.filename=",
                  id.block ? "host_device" : "file");
    snap_image_opts_path(&t, path);
    free(id.real);
    *out = t.data;
    return 0;
}

/* qemu-img takes a tag or an id: the name must mean one snapshot only. */
static int check_tag(struct snap_ctx *sc, const struct snap_image *im,
                     const char *tag)
{
    size_t i, names = 0, ids = 0;

    for (i = 0; i < im->ntags; i++) {
        if (!strcmp(im->tags[i].name, tag))
            names++;
        else if (!strcmp(im->tags[i].id, tag))
            ids++;
    }
    if (!names)
        return snap_fail(sc, ERROR_NOTFOUND, "image '%s' has no snapshot '%s'",
                         im->path, tag);
    if (names == 1 && !ids) return 0;
    return snap_fail(sc, ERROR_INVAL, "image '%s' has more than one snapshot "
                     "that '%s' could mean; rename or delete the others",
                     im->path, tag);
}

/* Before a write: the whole chain, because qemu-img will open it and must
 * not guess a format below either. */
static int open_for_tag(struct snap_ctx *sc, const char *path,
                        const char *format, const char *tag,
                        struct snap_chain *chain)
{
    int rc;

    if (!format || strcmp(format, "qcow2"))
        return snap_fail(sc, ERROR_INVAL, "image '%s': only qcow2 holds "
                         "internal snapshots, this is %s", path,
                         format ? format : "unknown");
    rc = snap_image_chain(sc, path, format, chain);
    if (rc) return rc;
    if (chain->data[0].corrupt)
        rc = snap_fail(sc, ERROR_INVAL, "image '%s' is marked corrupt; run: "
                       "qemu-img check -f qcow2", path);
    else
        rc = check_tag(sc, &chain->data[0], tag);
    if (rc) snap_chain_dispose(chain);
    return rc;
}

/* An image with bitmaps refuses to go back; they would be wrong anyway. */
static int remove_bitmaps(struct snap_ctx *sc, const char *opts,
                          const struct snap_image *im)
{
    size_t i;
    int rc;

    for (i = 0; i < im->bitmaps.len; i++) {
        const char *const argv[] = {
            "qemu-img", "bitmap", "--remove", "--image-opts", "--", opts,
            im->bitmaps.data[i], NULL,
        };

        rc = snap_run_ok(sc, argv, WRITE_TIMEOUT_MS, NULL);
        if (rc)
            return snap_within(sc, rc, "image '%s': removing the dirty "
                               "bitmap '%s'", im->path, im->bitmaps.data[i]);
        snap_log(sc, SNAP_LOG_NOTE, "image '%s': the dirty bitmap '%s' was "
                 "removed; the next backup must be a full one", im->path,
                 im->bitmaps.data[i]);
    }
    return 0;
}

static int run_snapshot(struct snap_ctx *sc, const char *opts,
                        const char *verb, const char *tag, const char *path)
{
    const char *const argv[] = {
        "qemu-img", "snapshot", "-q", "--image-opts", verb, tag, "--", opts,
        NULL,
    };
    int rc;

    rc = snap_run_ok(sc, argv, WRITE_TIMEOUT_MS, NULL);
    if (rc) return snap_within(sc, rc, "image '%s': snapshot '%s'", path, tag);
    return snap_fs_sync_file(sc, path);
}

static int apply_with_care(struct snap_ctx *sc, const char *path,
                           const char *format, const char *tag,
                           const char *opts)
{
    struct snap_chain chain;
    int rc;

    rc = open_for_tag(sc, path, format, tag, &chain);
    if (rc) return rc;
    rc = remove_bitmaps(sc, opts, &chain.data[0]);
    if (!rc) rc = run_snapshot(sc, opts, "-a", tag, path);
    snap_chain_dispose(&chain);
    return rc;
}

int snap_image_apply_tag(struct snap_ctx *sc, const char *path,
                         const char *format, const char *tag, bool checked)
{
    AUTO_FREE char *opts = NULL;
    int rc;

    rc = image_opts(sc, path, &opts);
    if (rc) return rc;
    if (checked && !sc->message) {
        if (!run_snapshot(sc, opts, "-a", tag, path)) return 0;
        snap_log(sc, SNAP_LOG_DEBUG, "%s; looking closer", sc->message);
        snap_clear(sc);
    }
    return apply_with_care(sc, path, format, tag, opts);
}

int snap_image_delete_tag(struct snap_ctx *sc, const char *path,
                          const char *format, const char *tag)
{
    AUTO_FREE char *opts = NULL;
    struct snap_chain chain;
    int rc;

    rc = open_for_tag(sc, path, format, tag, &chain);
    if (rc) return rc;
    rc = image_opts(sc, path, &opts);
    if (!rc) rc = run_snapshot(sc, opts, "-d", tag, path);
    snap_chain_dispose(&chain);
    return rc;
}
