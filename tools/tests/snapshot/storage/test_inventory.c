/* SPDX-License-Identifier: LGPL-2.1-only */
/* The inventory of real images, by manifests alone: there need be no Xen. */
#include <errno.h>
#include <sys/stat.h>

#include "format/manifest.h"
#include "host/run.h"
#include "plan/inventory.h"
#include "tap.h"

#define NONE SNAP_INVENTORY_NONE

static char dir[] = "/tmp/snap-inventory-XXXXXX";
static struct snap_ctx sc = SNAP_CTX_INIT;
static libxl_snapshot_inventory inv;
static libxl_snapshot_set sets[2];

static char *in_dir(const char *name)
{
    return snap_printf("%s/%s", dir, name);
}

static void must(const char *const *argv)
{
    if (snap_run_ok(&sc, argv, 30000, NULL)) bail("%s", sc.message);
}
#define MUST(...) must((const char *const[]){ __VA_ARGS__, NULL })

static void make(const char *name, const char *format)
{
    AUTO_FREE char *path = in_dir(name);

    MUST("qemu-img", "create", "-q", "-f", format, path, "1M");
}

/* `base` as the header is to have it. */
static void overlay(const char *name, const char *base, const char *format)
{
    AUTO_FREE char *path = in_dir(name);

    MUST("qemu-img", "create", "-q", "-u", "-f", "qcow2", "-F", format, "-b",
         base, path, "1M");
}

static void tag(const char *name, const char *text)
{
    AUTO_FREE char *path = in_dir(name);

    MUST("qemu-img", "snapshot", "-c", text, path);
}

static void disk(size_t set, const char *vdev, const char *name,
                 const char *format, const char *of)
{
    struct snap_manifest_disk *d =
        snap_manifest_add_disk(&sets[set].manifest);
    bool external = strcmp(format, "qcow2") || !of;

    d->vdev = snap_strdup(vdev);
    d->type = external ? SNAP_DISK_EXTERNAL : SNAP_DISK_INTERNAL;
    d->image = in_dir(name);
    d->format = snap_strdup(format);
    if (external && of) d->overlay = in_dir(of);
    if (!external) d->tag = snap_strdup(of);
}

static void take(void)
{
    libxl_snapshot_images_params p = {
        .domain_name = "no such domain", .own = sets, .nown = 1,
        .others = sets + 1, .nothers = 1,
    };

    libxl_snapshot_inventory_dispose(&inv);
    if (libxl_snapshot_images(&sc, &p, &inv)) bail("%s", sc.message);
}

static const struct snap_inventory_image *find(const char *name)
{
    AUTO_FREE char *path = in_dir(name);
    size_t i;

    for (i = 0; i < inv.nimages; i++)
        if (!strcmp(inv.images[i].path, path)) return &inv.images[i];
    return NULL;
}

/* "USE on WHAT"; static. */
static const char *told(const char *name)
{
    static char text[256];
    const struct snap_inventory_image *im = find(name);

    if (!im) return "not there";
    snprintf(text, sizeof(text), "%s%s%s", snap_inventory_use_word(im->use),
             im->below == NONE ? "" : " on ", im->below == NONE ? ""
             : inv.images[im->below].path + strlen(dir) + 1);
    return text;
}

static void make_images(void)
{
    AUTO_FREE char *base = in_dir("b.img");
    AUTO_FREE char *again = in_dir("again.img");
    AUTO_FREE char *two = in_dir("two.qcow2");

    make("b.img", "raw");
    if (link(base, again)) bail("link: %s", strerror(errno));
    overlay("b.s1.qcow2", base, "raw");
    overlay("b.s1-r1.qcow2", "b.img", "raw");
    overlay("two.qcow2", "b.s1-r1.qcow2", "qcow2");
    overlay("three.qcow2", two, "qcow2");
    make("a.qcow2", "qcow2");
    tag("a.qcow2", "s1");
    tag("a.qcow2", "mine");
    make("other.qcow2", "qcow2");
    make("theirs.qcow2", "qcow2");
    make("plain", "raw");
    disk(0, "xvda", "a.qcow2", "qcow2", "s1");
    disk(0, "xvdb", "b.img", "raw", "b.s1.qcow2");
    disk(0, "xvdc", "lost.img", "raw", "never.qcow2");
    disk(1, "xvda", "theirs.qcow2", "qcow2", NULL);
    disk(1, "xvdb", "again.img", "raw", NULL);
}

static void test_images(void)
{
    const struct snap_inventory_image *im;

    take();
    is_str(told("a.qcow2"), "disk", "the image with the tag");
    is_str(told("b.img"), "base", "the frozen base");
    is_str(told("b.s1.qcow2"), "overlay on b.img", "the overlay on it");
    is_str(told("two.qcow2"), "below on b.s1-r1.qcow2", "what nobody names is "
           "found beside it");
    is_str(told("three.qcow2"), "overlay on two.qcow2", "whatever is between");
    is_str(told("lost.img"), "gone", "what a manifest names and is not there");
    is_str(told("never.qcow2"), "not there", "but not its overlay");
    is_uint(inv.nimages, 7, "a file of two names is one image");
    im = find("b.img");
    ok(im->nlinks == 2 && im->links == 2, "which two snapshots have");
    is_str(find("three.qcow2")->vdev, "xvdb", "the disk is that of the base");
    is_uint(inv.nforeign, 1, "one has nothing to do with them");
    like(inv.foreign[0].path, "/other.qcow2", "which is not the one that "
         "another snapshot has");
}

static void test_contents(void)
{
    const struct snap_inventory_image *im = find("a.qcow2");
    struct stat st;

    is_uint(im->ntags, 2, "the tags are read");
    ok(im->tags[0].snapshot == 0 && im->tags[1].snapshot == NONE, "and whose "
       "they are");
    is_uint(im->virtual_size_bytes, 1 << 20, "the size inside");
    if (stat(im->path, &st)) bail("stat: %s", strerror(errno));
    is_uint(im->size_bytes, (uint64_t)st.st_blocks * 512, "and on the disk");
    ok(im->dev == st.st_dev && im->ino == st.st_ino, "which file it is");
    ok(inv.no_domains || !inv.running, "no such domain runs");
}

static void test_damaged(void)
{
    AUTO_FREE char *a = in_dir("a.qcow2");
    AUTO_FREE char *two = in_dir("two.qcow2");

    MUST("truncate", "-s", "100", a);
    if (unlink(two)) bail("unlink: %s", strerror(errno));
    take();
    ok(find("a.qcow2")->unread, "an image that cannot be read is a fact");
    is_str(told("b.s1-r1.qcow2"), "overlay on b.img", "the others are told all "
           "the same");
    is_str(told("three.qcow2"), "not there", "an overlay on nothing is "
           "nobody's");
    is_uint(inv.nforeign, 2, "it is foreign");
}

static void test_unreadable(void)
{
    libxl_snapshot_images_params p = { .own = sets, .nown = 1 };
    AUTO_FREE char *a = in_dir("a.qcow2");

    if (unlink(a) || symlink(a, a)) bail("%s: %s", a, strerror(errno));
    libxl_snapshot_inventory_dispose(&inv);
    is_int(libxl_snapshot_images(&sc, &p, &inv), 0, "a link to itself leads "
           "nowhere");
    is_str(told("a.qcow2"), "gone", "which is told");
    if (geteuid()) return;
    if (chmod(dir, 0711) || seteuid(65534)) bail("%s", strerror(errno));
    libxl_snapshot_inventory_dispose(&inv);
    ok(libxl_snapshot_images(&sc, &p, &inv), "a directory that cannot be read "
       "is an error");
    like(sc.message, "cannot see which images are in", "which is said");
    if (seteuid(0)) bail("%s", strerror(errno));
}

int main(void)
{
    if (access("/usr/bin/qemu-img", X_OK)) skip_all("there is no qemu-img");
    if (!mkdtemp(dir)) bail("mkdtemp: %s", strerror(errno));
    make_images();
    test_images();
    test_contents();
    test_damaged();
    test_unreadable();
    libxl_snapshot_inventory_dispose(&inv);
    libxl_snapshot_set_dispose(&sets[0]);
    libxl_snapshot_set_dispose(&sets[1]);
    MUST("rm", "-r", dir);
    return done_testing();
}
