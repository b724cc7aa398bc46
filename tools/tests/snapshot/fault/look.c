/* SPDX-License-Identifier: LGPL-2.1-only */
/* What can be seen of a scene's host, as text: two hosts that look the same are
 * the same. */
#include "fault/sweep.h"

#include <ftw.h>

#include "format/json.h"
#include "qmp/server.h"
#include "tap.h"

bool look_sees_contents;

static struct snap_text *seen;

/* Of a domain that is off nobody else sees whether its disks are right. */
static void look_at_contents(const char *path)
{
    static const char begin[] = "00000000:  ";
    AUTO_FREE char *dump = read_program((const char *const[]){
        "qemu-io", "-r", "-U", "-f", "qcow2", "-c", "read -v 0 16", path,
        NULL });
    const char *at = dump ? strstr(dump, begin) : NULL;

    snap_text_add(seen, " holds %.2s", at ? at + strlen(begin) : "??");
}

/* Tags and what is below. */
static void look_at_image(const char *path)
{
    struct snap_ctx quiet = SNAP_CTX_INIT;
    AUTO_JSON struct snap_json *image = NULL;
    char *text = read_program((const char *const[]){
        "qemu-img", "info", "-U", "--output=json", path, NULL });
    const struct snap_json *tags;
    const char *below;
    size_t i;

    if (!text || snap_json_parse(&quiet, path, text, strlen(text), &image)) {
        snap_text_add(seen, " unreadable");
        free(text);
        return;
    }
    free(text);
    below = snap_json_get_str(image, "backing-filename");
    if (below) snap_text_add(seen, " on %s", strrchr(below, '/') + 1);
    if (look_sees_contents) look_at_contents(path);
    tags = snap_json_get(image, "snapshots");
    for (i = 0; i < snap_json_len(tags); i++)
        snap_text_add(seen, " tag %s", snap_json_get_str(
            snap_json_at(tags, i), "name"));
}

static void look_at_snapshot(const char *manifest)
{
    struct snap_ctx quiet = SNAP_CTX_INIT;
    libxl_snapshot_set set = { 0 };
    size_t i;

    if (libxl_snapshot_load(&quiet, manifest, &set)) {
        snap_text_add(seen, " unreadable: %s", quiet.message);
    } else {
        snap_text_add(seen, " %s of %s", set.manifest.consistency,
                      set.manifest.parent ? set.manifest.parent : "nobody");
        for (i = 0; i < set.manifest.ndisks; i++)
            snap_text_add(seen, " %s", set.manifest.disks[i].child
                          ? set.manifest.disks[i].child : "no child");
    }
    libxl_snapshot_set_dispose(&set);
    snap_ctx_dispose(&quiet);
}

static int look_at_file(const char *path, const struct stat *st, int type,
                        struct FTW *ftw)
{
    const char *name = path + ftw->base;

    if (!strncmp(name, "xl-", 3)) return 0;
    /* A lock that nobody holds; the next who takes it removes it. */
    if (type == FTW_F && !st->st_size
        && !strncmp(path, fault_lock_dir, strlen(fault_lock_dir)))
        return 0;
    snap_text_add(seen, "%s", path);
    if (type == FTW_F && strstr(name, ".qcow2")) look_at_image(path);
    if (type == FTW_F && !strcmp(name, "snapshot.json"))
        look_at_snapshot(path);
    if (type == FTW_F && strstr(name, "memory"))
        snap_text_add(seen, " %lld bytes", (long long)st->st_size);
    snap_text_add(seen, "\n");
    return 0;
}

static int by_line(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* nftw has no order. */
static char *sorted(char *text)
{
    struct snap_strings lines = { 0 };
    struct snap_text out = { 0 };
    char *line, *rest = text;
    size_t i;

    while ((line = strsep(&rest, "\n")))
        if (*line) snap_strings_add(&lines, line);
    qsort(lines.data, lines.len, sizeof(*lines.data), by_line);
    for (i = 0; i < lines.len; i++)
        snap_text_add(&out, "%s\n", lines.data[i]);
    snap_strings_dispose(&lines);
    free(text);
    return out.data;
}

/* A loop device has another number each time, while another scene has some. */
static void forget_loops(char *text)
{
    while ((text = strstr(text, "loop"))) {
        char *behind;

        text += strlen("loop");
        behind = text + strspn(text, "0123456789");
        memmove(text, behind, strlen(behind) + 1);
    }
}

char *scene_look(void)
{
    struct snap_text t = { 0 };
    unsigned i;

    seen = &t;
    fake_settle();
    nftw(scene_dir, look_at_file, 16, FTW_PHYS);
    nftw(fault_lock_dir, look_at_file, 16, FTW_PHYS);
    snap_text_add(&t, "domain: %s\n", !fake->exists ? "off"
                  : fake->suspended ? "suspended"
                  : fake->paused ? "paused" : "runs");
    for (i = 0; fake->exists && i < HOST_DISKS; i++)
        snap_text_add(&t, "QEMU: %s %s\n", host->disk[i].vdev,
                      host->disk[i].file);
    if (fake->exists) snap_text_add(&t, "RAM: %02x\n", host->ram);
    forget_loops(t.data);
    return sorted(t.data);
}
