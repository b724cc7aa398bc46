/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * What disk snapshots ask of QEMU, as functions: which disks it has, the
 * transaction that snapshots them, the deletion of an internal one (the commit
 * of an overlay is in libxl_qmp_commit.c).  It holds no connection and decides
 * nothing: facts and the disk steps call it with names they know.
 *
 * Node names are what commands take: the BlockBackend of a Xen disk has no
 * name of its own.
 */
#include "libxl_qmp.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define MAX_DISKS 4096
#define MAX_NODE_NAME 31        /* QEMU's own limit, without the NUL */

/* The properties asked of each device, in this order. */
enum { PROP_TYPE, PROP_VDEV, PROP_DRIVE, NPROPS };
static const char *const prop_names[NPROPS] = { "type", "vdev", "drive" };

/*
 * Reading answers that may be anything
 */

/* Where in an answer we read, for messages. */
struct place {
    struct snap_qmp *q;
    const char *command;
    size_t entry;
};

static int bad_answer(const struct place *p, const char *key, const char *why)
{
    return snap_fail(snap_qmp_ctx(p->q), ERROR_INVAL, "QEMU at '%s': its "
                     "answer to %s: '%s' of entry %zu %s",
                     snap_qmp_path(p->q), p->command, key, p->entry, why);
}

/* A member of this type, or NULL in *out when it is not there. */
static int may_have(const struct place *p, const struct snap_json *object,
                    const char *key, enum snap_json_type type,
                    struct snap_json **out)
{
    *out = snap_json_get(object, key);
    if (!*out || snap_json_type(*out) == type) return 0;
    return bad_answer(p, key, "has the wrong type");
}

static int must_have(const struct place *p, const struct snap_json *object,
                     const char *key, enum snap_json_type type,
                     struct snap_json **out)
{
    int rc = may_have(p, object, key, type, out);

    if (rc || *out) return rc;
    return bad_answer(p, key, "is missing");
}

static int may_have_str(const struct place *p, const struct snap_json *object,
                        const char *key, char **out)
{
    struct snap_json *member;
    int rc = may_have(p, object, key, SNAP_JSON_STRING, &member);

    if (!rc) *out = snap_strdup(snap_json_str(member));
    return rc;
}

static int must_have_str(const struct place *p, const struct snap_json *object,
                         const char *key, char **out)
{
    int rc = may_have_str(p, object, key, out);

    if (rc || *out) return rc;
    return bad_answer(p, key, "is missing");
}

/* One that is not there is false. */
static int may_have_bool(const struct place *p, const struct snap_json *object,
                         const char *key, bool *out)
{
    struct snap_json *member;
    int rc = may_have(p, object, key, SNAP_JSON_BOOL, &member);

    *out = false;
    if (!rc && member) snap_json_bool(member, out);
    return rc;
}

/* Names end up in messages and are compared: no control characters. */
static int check_name(const struct place *p, const char *key, const char *name)
{
    const unsigned char *c;

    for (c = (const unsigned char *)(name ? name : ""); *c; c++) {
        if (*c < ' ' || *c == 0x7f) {
            return bad_answer(p, key, "has control characters");
        }
    }
    return 0;
}

/*
 * query-block
 */

static int read_tags(const struct place *p, const struct snap_json *image,
                     struct snap_qmp_disk *disk)
{
    struct snap_json *tags;
    size_t i;
    int rc;

    rc = may_have(p, image, "snapshots", SNAP_JSON_ARRAY, &tags);
    for (i = 0; !rc && i < snap_json_len(tags); i++) {
        const struct snap_json *tag = snap_json_at(tags, i);
        const char *name = snap_json_get_str(tag, "name");
        const char *id = snap_json_get_str(tag, "id");

        if (!name || !id) return bad_answer(p, "snapshots", "lacks a name");
        snap_strings_add(&disk->tags, name);
        snap_strings_add(&disk->tag_ids, id);
    }
    return rc;
}

/* What only qcow2 tells; other formats say less or nothing. */
static int read_specific(const struct place *p, const struct snap_json *image,
                         struct snap_qmp_disk *disk)
{
    struct snap_json *specific, *data, *bitmaps;
    int rc;

    rc = may_have(p, image, "format-specific", SNAP_JSON_OBJECT, &specific);
    if (rc || !specific) return rc;
    rc = may_have(p, specific, "data", SNAP_JSON_OBJECT, &data);
    if (rc || !data) return rc;
    rc = may_have_str(p, data, "compression-type", &disk->compression);
    if (rc) return rc;
    disk->data_file = snap_json_get(data, "data-file");
    rc = may_have(p, data, "bitmaps", SNAP_JSON_ARRAY, &bitmaps);
    if (rc) return rc;
    if (snap_json_len(bitmaps)) disk->dirty_bitmaps = true;
    return 0;
}

static int read_image(const struct place *p, const struct snap_json *image,
                      struct snap_qmp_disk *disk)
{
    struct snap_json *size;
    int64_t size_bytes;
    bool encrypted;
    int rc;

    rc = must_have(p, image, "virtual-size", SNAP_JSON_NUMBER, &size);
    if (rc) return rc;
    if (!snap_json_int(size, &size_bytes) || size_bytes < 0) {
        return bad_answer(p, "virtual-size", "is no size");
    }
    disk->virtual_size_bytes = (uint64_t)size_bytes;
    rc = may_have_str(p, image, "full-backing-filename", &disk->backing_file);
    if (rc) return rc;
    rc = may_have_bool(p, image, "encrypted", &encrypted);
    if (rc) return rc;
    disk->encrypted |= encrypted;
    rc = read_specific(p, image, disk);
    return rc ? rc : read_tags(p, image, disk);
}

/* What stands in the drive, as far as it concerns the node itself. */
static int read_node(const struct place *p, const struct snap_json *inserted,
                     struct snap_qmp_disk *disk)
{
    struct snap_json *read_only, *bitmaps;
    int rc;

    rc = must_have_str(p, inserted, "node-name", &disk->node);
    if (rc) return rc;
    rc = check_name(p, "node-name", disk->node);
    if (rc) return rc;
    rc = must_have_str(p, inserted, "drv", &disk->driver);
    if (rc) return rc;
    rc = must_have_str(p, inserted, "file", &disk->file);
    if (rc) return rc;
    rc = must_have(p, inserted, "ro", SNAP_JSON_BOOL, &read_only);
    if (rc) return rc;
    snap_json_bool(read_only, &disk->read_only);
    rc = may_have_bool(p, inserted, "encrypted", &disk->encrypted);
    if (rc) return rc;
    rc = may_have(p, inserted, "dirty-bitmaps", SNAP_JSON_ARRAY, &bitmaps);
    if (rc) return rc;
    if (snap_json_len(bitmaps)) disk->dirty_bitmaps = true;
    return 0;
}

static int read_inserted(const struct place *p,
                         const struct snap_json *inserted,
                         struct snap_qmp_disk *disk)
{
    struct snap_json *image;
    int rc;

    rc = read_node(p, inserted, disk);
    if (rc) return rc;
    rc = must_have(p, inserted, "image", SNAP_JSON_OBJECT, &image);
    if (rc) return rc;
    disk->image = snap_json_copy(image);
    rc = read_image(p, image, disk);
    if (rc) return rc;
    /* The image's own word for it is missing when its name was overridden. */
    if (!disk->backing_file) {
        rc = may_have_str(p, inserted, "backing_file", &disk->backing_file);
        if (rc) return rc;
    }
    disk->inserted = true;
    return 0;
}

static int read_device(const struct place *p, const struct snap_json *entry,
                       struct snap_qmp_disk *disk)
{
    struct snap_json *inserted;
    int rc;

    rc = must_have_str(p, entry, "device", &disk->device);
    if (rc) return rc;
    rc = check_name(p, "device", disk->device);
    if (rc) return rc;
    rc = may_have_str(p, entry, "qdev", &disk->qdev);
    if (rc) return rc;
    rc = check_name(p, "qdev", disk->qdev);
    if (rc) return rc;
    rc = may_have(p, entry, "inserted", SNAP_JSON_OBJECT, &inserted);
    if (rc || !inserted) return rc;
    return read_inserted(p, inserted, disk);
}

static int read_devices(struct snap_qmp *q, const struct snap_json *answer,
                        struct snap_qmp_disks *out)
{
    struct place p = { .q = q, .command = "query-block" };
    size_t n = snap_json_len(answer);
    int rc;

    if (snap_json_type(answer) != SNAP_JSON_ARRAY || n > MAX_DISKS) {
        return snap_fail(snap_qmp_ctx(q), ERROR_INVAL, "QEMU at '%s': its "
                         "answer to query-block is no list of at most %d "
                         "devices", snap_qmp_path(q), MAX_DISKS);
    }
    out->data = snap_zalloc((n ? n : 1) * sizeof(*out->data));
    out->len = n;
    for (p.entry = 0; p.entry < n; p.entry++) {
        rc = read_device(&p, snap_json_at(answer, p.entry),
                         &out->data[p.entry]);
        if (rc) return rc;
    }
    return 0;
}

/*
 * qom-get
 */

/*
 * QEMU names the whole disk "xvda0", the toolstack "xvda"; both call a
 * partition "xvda1".  So one 0 behind something that is no digit goes.
 */
static void strip_partition(char *vdev)
{
    size_t len = strlen(vdev);

    if (len < 2 || vdev[len - 1] != '0') return;
    if (!strchr("0123456789", vdev[len - 2])) vdev[len - 1] = '\0';
}

static void ask_properties(const struct snap_qmp_disk *disk,
                           struct snap_qmp_call *calls)
{
    size_t i;

    for (i = 0; i < NPROPS; i++) {
        calls[i].command = "qom-get";
        calls[i].arguments = snap_json_new_object();
        snap_json_set_str(calls[i].arguments, "path", disk->qdev);
        snap_json_set_str(calls[i].arguments, "property", prop_names[i]);
    }
}

/* NULL in *out: the device has no such property. */
static int read_property(const struct place *p, const char *name,
                         const struct snap_qmp_call *call, char **out)
{
    const char *value = snap_json_str(call->result);

    if (call->error) return 0;
    if (!value) return bad_answer(p, name, "is no string");
    *out = snap_strdup(value);
    return check_name(p, name, value);
}

/*
 * Does a running job stand above the image?  Some filters that jobs insert
 * are told as the node itself, others are looked through by query-block but
 * not by the property: that is the BlockBackend's name or, if it has none,
 * the topmost node.
 */
static bool is_filtered(const struct snap_qmp_disk *disk, const char *drive)
{
    if (!disk->inserted) return false;
    if (!strcmp(disk->driver, "copy-before-write")
        || !strcmp(disk->driver, "copy-on-read")) {
        return true;
    }
    return drive && !disk->device[0] && strcmp(drive, disk->node);
}

static int read_properties(const struct place *p,
                           const struct snap_qmp_call *calls,
                           struct snap_qmp_disk *disk)
{
    AUTO_FREE char *drive = NULL;
    int rc;

    rc = read_property(p, "type", &calls[PROP_TYPE], &disk->type);
    if (rc) return rc;
    rc = read_property(p, "vdev", &calls[PROP_VDEV], &disk->vdev);
    if (rc) return rc;
    if (disk->vdev) strip_partition(disk->vdev);
    rc = read_property(p, "drive", &calls[PROP_DRIVE], &drive);
    if (rc) return rc;
    disk->filtered = is_filtered(disk, drive);
    return 0;
}

static int query_properties(struct snap_qmp *q, struct snap_qmp_disks *disks,
                            int timeout_ms)
{
    struct place p = { .q = q, .command = "qom-get" };
    struct snap_qmp_call *calls, *of_disk;
    size_t i, n = 0;
    int rc;

    calls = of_disk = snap_zalloc((disks->len * NPROPS + 1) * sizeof(*calls));
    for (i = 0; i < disks->len; i++) {
        if (!disks->data[i].qdev) continue;
        ask_properties(&disks->data[i], calls + n);
        n += NPROPS;
    }
    rc = snap_qmp_calls(q, calls, n, timeout_ms);
    for (p.entry = 0; !rc && p.entry < disks->len; p.entry++) {
        if (!disks->data[p.entry].qdev) continue;
        rc = read_properties(&p, of_disk, &disks->data[p.entry]);
        of_disk += NPROPS;
    }
    snap_qmp_calls_dispose(calls, n);
    free(calls);
    return rc;
}

int snap_qmp_query_blocks(struct snap_qmp *q, int timeout_ms,
                          struct snap_qmp_disks *out)
{
    AUTO_JSON struct snap_json *answer = NULL;
    int rc;

    *out = (struct snap_qmp_disks){ 0 };
    rc = snap_qmp_command(q, "query-block", NULL, timeout_ms, &answer);
    if (!rc) rc = read_devices(q, answer, out);
    if (rc) snap_qmp_disks_dispose(out);
    return rc;
}

int snap_qmp_query_disks(struct snap_qmp *q, int timeout_ms,
                         struct snap_qmp_disks *out)
{
    int64_t deadline_ms = snap_now_ms() + timeout_ms;
    int rc;

    rc = snap_qmp_query_blocks(q, timeout_ms, out);
    if (rc) return rc;
    rc = query_properties(q, out, snap_left_ms(deadline_ms));
    if (rc) snap_qmp_disks_dispose(out);
    return rc;
}

void snap_qmp_disks_dispose(struct snap_qmp_disks *d)
{
    size_t i;

    for (i = 0; i < d->len; i++) {
        struct snap_qmp_disk *disk = &d->data[i];

        free(disk->vdev);
        free(disk->node);
        free(disk->device);
        free(disk->qdev);
        free(disk->type);
        free(disk->driver);
        free(disk->file);
        free(disk->backing_file);
        free(disk->compression);
        snap_strings_dispose(&disk->tags);
        snap_strings_dispose(&disk->tag_ids);
        snap_json_free(disk->image);
    }
    free(d->data);
    *d = (struct snap_qmp_disks){ 0 };
}

/*
 * The transaction
 */

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* QEMU makes the overlay before it looks at the name, so we look first. */
static bool is_node_name(const char *s)
{
    return s && is_letter(s[0]) && strlen(s) <= MAX_NODE_NAME
           && !s[strspn(s, "abcdefghijklmnopqrstuvwxyz"
                           "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._")];
}

/* QEMU would write over whatever is there. */
static int check_overlay(struct snap_qmp *q, const char *path)
{
    struct snap_ctx *sc = snap_qmp_ctx(q);
    struct stat st;

    if (!path || path[0] != '/') {
        return snap_fail(sc, ERROR_INVAL, "overlay '%s': the path is not "
                         "absolute, QEMU would look in its own directory",
                         path ? path : "");
    }
    if (lstat(path, &st)) {
        if (errno == ENOENT) return 0;
        return snap_fail_errno(sc, errno, "overlay '%s'", path);
    }
    if (S_ISLNK(st.st_mode) && stat(path, &st)) {
        return snap_fail_errno(sc, errno, "overlay '%s'", path);
    }
    if (S_ISBLK(st.st_mode)) return 0;
    return snap_fail(sc, ERROR_INVAL, "overlay '%s' exists already and would "
                     "be overwritten: choose another path", path);
}

static int check_action(struct snap_qmp *q, const struct snap_qmp_action *a)
{
    struct snap_ctx *sc = snap_qmp_ctx(q);

    if (!a->node || !a->node[0]) {
        return snap_fail(sc, ERROR_INVAL, "a disk snapshot without the name "
                         "of a node was asked for");
    }
    if (!a->external) {
        if (a->tag && snap_name_valid(a->tag)) return 0;
        return snap_fail(sc, ERROR_INVAL, "node '%s': '%s' is no name for a "
                         "snapshot", a->node, a->tag ? a->tag : "");
    }
    if (!is_node_name(a->overlay_node)) {
        return snap_fail(sc, ERROR_INVAL, "node '%s': '%s' is no name for the "
                         "overlay's node (a letter, then letters, digits, "
                         "'-', '.', '_'; at most %d)", a->node,
                         a->overlay_node ? a->overlay_node : "",
                         MAX_NODE_NAME);
    }
    if (!a->overlay_format || !a->overlay_format[0]) {
        return snap_fail(sc, ERROR_INVAL, "node '%s': the overlay has no "
                         "format", a->node);
    }
    return check_overlay(q, a->overlay);
}

static struct snap_json *make_action(const struct snap_qmp_action *a)
{
    struct snap_json *action = snap_json_new_object();
    struct snap_json *data = snap_json_new_object();

    if (a->external) {
        snap_json_set_str(action, "type", "blockdev-snapshot-sync");
        snap_json_set_str(data, "node-name", a->node);
        snap_json_set_str(data, "snapshot-file", a->overlay);
        snap_json_set_str(data, "snapshot-node-name", a->overlay_node);
        snap_json_set_str(data, "format", a->overlay_format);
        snap_json_set_str(data, "mode", "absolute-paths");
    } else {
        snap_json_set_str(action, "type", "blockdev-snapshot-internal-sync");
        snap_json_set_str(data, "device", a->node);
        snap_json_set_str(data, "name", a->tag);
    }
    snap_json_set(action, "data", data);
    return action;
}

static int check_actions(struct snap_qmp *q, const struct snap_qmp_action *a,
                         size_t n)
{
    size_t i;
    int rc = 0;

    for (i = 0; !rc && i < n; i++) rc = check_action(q, &a[i]);
    return rc;
}

/* The transaction's arguments, once all actions are found good. */
static int make_arguments(struct snap_qmp *q, const struct snap_qmp_action *a,
                          size_t n, struct snap_json **out)
{
    struct snap_json *actions;
    size_t i;
    int rc = check_actions(q, a, n);

    if (rc) return rc;
    actions = snap_json_new_array();
    for (i = 0; i < n; i++) snap_json_append(actions, make_action(&a[i]));
    *out = snap_json_new_object();
    snap_json_set(*out, "actions", actions);
    return 0;
}

int snap_qmp_transaction(struct snap_qmp *q, const struct snap_qmp_action *a,
                         size_t n, int timeout_ms)
{
    AUTO_JSON struct snap_json *arguments = NULL;
    int rc = n ? make_arguments(q, a, n, &arguments) : 0;

    if (rc || !n) return rc;
    return snap_qmp_command(q, "transaction", arguments, timeout_ms, NULL);
}

int snap_qmp_transaction_hold(struct snap_qmp *q,
                              const struct snap_qmp_action *a, size_t n,
                              int timeout_ms)
{
    AUTO_JSON struct snap_json *arguments = NULL;
    int rc = n ? make_arguments(q, a, n, &arguments) : 0;

    if (rc || !n) return rc;
    return snap_qmp_hold(q, "transaction", arguments, timeout_ms);
}

int snap_qmp_transaction_release(struct snap_qmp *q,
                                 const struct snap_qmp_action *a, size_t n,
                                 int timeout_ms)
{
    int rc;

    if (!snap_qmp_holds(q)) return snap_qmp_transaction(q, a, n, timeout_ms);
    rc = check_actions(q, a, n);
    return rc ? rc : snap_qmp_release(q, timeout_ms, NULL);
}

int snap_qmp_delete_internal(struct snap_qmp *q, const char *node,
                             const char *tag, int timeout_ms)
{
    AUTO_JSON struct snap_json *arguments = snap_json_new_object();

    snap_json_set_str(arguments, "device", node);
    snap_json_set_str(arguments, "name", tag);
    return snap_qmp_command(q, "blockdev-snapshot-delete-internal-sync",
                            arguments, timeout_ms, NULL);
}
