/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * The domain's QEMU: as much of QMP as the library speaks, on images that
 * qemu-img looks after.  Like Xen's it has its images open without locks.
 * What it knows is in *host, so that the sweep can see what it writes to.
 */
#include "fault/sweep.h"

#include <sys/prctl.h>

#include "format/json.h"
#include "qmp/server.h"
#include "tap.h"

#define RUN(...) (!run_program((const char *const[]){ __VA_ARGS__, NULL }))

/* ---- images ------------------------------------------------------ */

#define MAX_LAYERS 8

/* The files of each disk, from the image down; 0: none. */
static int held[HOST_DISKS][MAX_LAYERS];

/* As query-block has an image: what is under it is a member. */
static struct snap_json *image_of(const char *file)
{
    struct snap_ctx quiet = SNAP_CTX_INIT;
    char *text = read_program((const char *const[]){
        "qemu-img", "info", "-U", "--output=json", "--backing-chain", file,
        NULL });
    struct snap_json *list, *image = NULL;
    size_t i;

    if (!text || snap_json_parse(&quiet, file, text, strlen(text), &list))
        bail("no information on %s", file);
    for (i = snap_json_len(list); i-- > 0;) {
        struct snap_json *one = snap_json_copy(snap_json_at(list, i));

        if (image) snap_json_set(one, "backing-image", image);
        image = one;
    }
    snap_json_free(list);
    free(text);
    return image;
}

/* What was read is good until something is done. */
static struct snap_json *known[HOST_DISKS];

static void look(unsigned i)
{
    static unsigned grown[HOST_DISKS];
    const struct snap_json *layer;
    unsigned k = 0;

    if (known[i] && grown[i] == host->grown) return;
    grown[i] = host->grown;
    snap_json_free(known[i]);
    known[i] = image_of(host->disk[i].file);
    while (k < MAX_LAYERS && held[i][k]) {
        close(held[i][k]);
        held[i][k++] = 0;
    }
    for (k = 0, layer = known[i]; layer && k < MAX_LAYERS; k++) {
        held[i][k] = open(snap_json_get_str(layer, "filename"),
                          O_RDONLY | O_CLOEXEC);
        layer = snap_json_get(layer, "backing-image");
    }
}

static void changed(unsigned i)
{
    snap_json_free(known[i]);
    known[i] = NULL;
    look(i);
}

static int find_node(const char *node)
{
    unsigned i;

    for (i = 0; node && i < HOST_DISKS; i++)
        if (!strcmp(host->disk[i].node, node)) return i;
    return -1;
}

static const char *below(unsigned i)
{
    static char name[80];

    if (host->disk[i].below[0]) return host->disk[i].below;
    snprintf(name, sizeof(name), "below-%s", host->disk[i].vdev);
    return name;
}

/* ---- answers ----------------------------------------------------- */

static struct snap_json *query_block(void)
{
    struct snap_json *list = snap_json_new_array();
    unsigned i;

    for (i = 0; i < HOST_DISKS; i++) {
        const struct host_disk *d = &host->disk[i];
        AUTO_FREE char *qdev = snap_printf("/machine/%s", d->vdev);
        struct snap_json *one = snap_json_new_object();
        struct snap_json *in = snap_json_new_object();

        look(i);
        snap_json_set_str(in, "node-name", d->node);
        snap_json_set_str(in, "drv", "qcow2");
        snap_json_set_str(in, "file", d->file);
        snap_json_set_bool(in, "ro", false);
        snap_json_set(in, "image", snap_json_copy(known[i]));
        snap_json_set_str(one, "device", "");
        snap_json_set_str(one, "qdev", qdev);
        snap_json_set(one, "inserted", in);
        snap_json_append(list, one);
    }
    return list;
}

const char *qemu_layer(unsigned disk, unsigned layer)
{
    const struct snap_json *image;

    look(disk);
    if (!layer) return host->disk[disk].file;
    for (image = known[disk]; image && layer; layer--)
        image = snap_json_get(image, "backing-image");
    return image ? snap_json_get_str(image, "filename") : NULL;
}

/* Its node, static. */
static const char *node_of(unsigned disk, unsigned layer)
{
    static char name[80];

    if (!layer) return host->disk[disk].node;
    if (layer == 1) return below(disk);
    snprintf(name, sizeof(name), "#%s-%u", host->disk[disk].vdev, layer);
    return name;
}

bool qemu_find_node(const char *node, unsigned *disk, unsigned *layer)
{
    for (*disk = 0; node && *disk < HOST_DISKS; ++*disk)
        for (*layer = 0; qemu_layer(*disk, *layer); ++*layer)
            if (!strcmp(node_of(*disk, *layer), node)) return true;
    return false;
}

/* Here all images are qcow2. */
static struct snap_json *query_nodes(void)
{
    struct snap_json *list = snap_json_new_array();
    const struct snap_json *image;
    unsigned i, k;

    for (i = 0; i < HOST_DISKS; i++) {
        look(i);
        for (k = 0, image = known[i]; image; k++) {
            struct snap_json *node = snap_json_new_object();

            snap_json_set_str(node, "node-name", node_of(i, k));
            snap_json_set_str(node, "drv", "qcow2");
            snap_json_set_str(node, "file", qemu_layer(i, k));
            snap_json_set(node, "image", snap_json_copy(image));
            snap_json_append(list, node);
            image = snap_json_get(image, "backing-image");
        }
    }
    return list;
}

static struct snap_json *qom_get(const struct snap_json *args)
{
    const char *path = snap_json_get_str(args, "path");
    const char *property = snap_json_get_str(args, "property");
    unsigned i;

    for (i = 0; i < HOST_DISKS; i++) {
        const struct host_disk *d = &host->disk[i];

        if (strcmp(strrchr(path, '/') + 1, d->vdev)) continue;
        return snap_json_new_str(!strcmp(property, "type") ? "xen-disk"
                                 : !strcmp(property, "vdev") ? d->vdev
                                 : d->node);
    }
    return NULL;
}

/* ---- what changes something: false, it could not be done ---------- */

static bool snapshot_to(unsigned i, const struct snap_json *data)
{
    struct host_disk *d = &host->disk[i];
    const char *file = snap_json_get_str(data, "snapshot-file");

    if (!RUN("qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-u",
             "-b", d->file, file, "1M"))
        return false;
    snprintf(d->below, sizeof(d->below), "%s", d->node);
    snprintf(d->node, sizeof(d->node), "%s",
             snap_json_get_str(data, "snapshot-node-name"));
    snprintf(d->file, sizeof(d->file), "%s", file);
    return true;
}

/* All or nothing is not tried: here nothing of it fails. */
static bool transaction(const struct snap_json *args)
{
    const struct snap_json *actions = snap_json_get(args, "actions");
    size_t k;

    for (k = 0; k < snap_json_len(actions); k++) {
        const struct snap_json *action = snap_json_at(actions, k);
        const struct snap_json *data = snap_json_get(action, "data");
        bool external = snap_json_get(data, "snapshot-file");
        int i = find_node(snap_json_get_str(data, external ? "node-name"
                                                           : "device"));

        if (i < 0) return false;
        if (external ? !snapshot_to(i, data)
            : !RUN("qemu-img", "snapshot", "-c",
                   snap_json_get_str(data, "name"), host->disk[i].file))
            return false;
        changed(i);
    }
    return true;
}

static bool delete_tag(const struct snap_json *args)
{
    int i = find_node(snap_json_get_str(args, "device"));

    if (i < 0 || !RUN("qemu-img", "snapshot", "-d",
                      snap_json_get_str(args, "name"), host->disk[i].file))
        return false;
    changed(i);
    return true;
}

void qemu_keeps_top(unsigned disk)
{
    if (held[disk][0] && fcntl(held[disk][0], F_DUPFD_CLOEXEC, 0) < 0)
        bail("fcntl: %s", strerror(errno));
}

void qemu_goes_to(unsigned disk, const char *file)
{
    struct host_disk *d = &host->disk[disk];

    if (strcmp(d->file, file)) {
        snprintf(d->node, sizeof(d->node), "%s", below(disk));
        d->below[0] = 0;
        snprintf(d->file, sizeof(d->file), "%s", file);
    }
    changed(disk);
}

/* ---- the conversation -------------------------------------------- */

static struct snap_json *obey(const char *command,
                              const struct snap_json *args)
{
    int of_jobs = jobs_obey(command, args);
    bool done = true;

    if (of_jobs < 1) return of_jobs ? snap_json_new_object() : NULL;
    if (!strcmp(command, "query-block")) return query_block();
    if (!strcmp(command, "query-named-block-nodes")) return query_nodes();
    if (!strcmp(command, "query-jobs")) return jobs_query();
    if (!strcmp(command, "qom-get")) return qom_get(args);
    if (!strcmp(command, "transaction"))
        done = transaction(args);
    else if (!strcmp(command, "blockdev-snapshot-delete-internal-sync"))
        done = delete_tag(args);
    else if (!strcmp(command, "human-monitor-command"))
        return snap_json_new_str("");
    else
        return NULL;
    return done ? snap_json_new_object() : NULL;
}

static void answer(int fd, const char *line)
{
    struct snap_ctx quiet = SNAP_CTX_INIT;
    AUTO_JSON struct snap_json *said = NULL;
    struct snap_json *reply, *returned;
    AUTO_FREE char *text = NULL;

    if (snap_json_parse(&quiet, "QMP", line, strlen(line), &said))
        bail("the client said '%s'", line);
    returned = obey(snap_json_get_str(said, "execute"),
                    snap_json_get(said, "arguments"));
    reply = snap_json_new_object();
    if (!returned) {
        struct snap_json *error = snap_json_new_object();

        snap_json_set_str(error, "class", "GenericError");
        snap_json_set_str(error, "desc", "that cannot be done");
        snap_json_set(reply, "error", error);
    } else {
        snap_json_set(reply, "return", returned);
    }
    snap_json_set_str(reply, "id", snap_json_get_str(said, "id"));
    text = snap_json_print(reply);
    snap_json_free(reply);
    server_say(fd, text);
    server_say(fd, "\r\n");
}

/* One client at a time; it ends with the sweep. */
void qemu_serve(int listener)
{
    unsigned i;

    prctl(PR_SET_NAME, "qemu");
    for (i = 0; i < HOST_DISKS; i++) look(i);
    for (;;) {
        struct pollfd p = { .fd = listener, .events = POLLIN };
        char *line;
        int fd;

        if (poll(&p, 1, 500) <= 0) {
            if (kill(host->keeper, 0)) _exit(0);
            continue;
        }
        fd = server_greet(listener);
        while ((line = server_hear(fd))) {
            answer(fd, line);
            free(line);
        }
        close(fd);
    }
}
