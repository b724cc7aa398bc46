/* SPDX-License-Identifier: LGPL-2.1-only */
/* What snapshot-adopt takes of each disk, and what it refuses. */
#include "plan/adopt.h"
#include "tap.h"
#include "world.h"

struct adoption {
    struct world w;
    struct snap_adopt_choice *c;
    libxl_snapshot_adopt_disk wishes[WORLD_DISKS];
    struct snap_fs_id bases[WORLD_DISKS];
    struct snap_adopt_request req;
    struct snap_plan plan;
};

/* Each path is a file of its own. */
static struct snap_fs_id id_of(const char *path)
{
    struct snap_fs_id id = { .dev = 64768, .ino = 7 };
    const char *s;

    for (s = path; *s; s++) id.ino = id.ino * 31 + (unsigned char)*s;
    id.block = !strncmp(path, "/dev/", 5);
    id.real = snap_strdup(path);
    return id;
}

/* xvda holds the tags s1 and old, and stands on two layers; xvdb is an overlay
 * on a raw base; xvdc is a CD-ROM. */
static void sound(struct adoption *a)
{
    struct snap_facts_disk *d;

    *a = (struct adoption){ .plan.len = 0 };
    world_make(&a->w);
    d = world_disk(&a->w, "xvda", "qcow2", "/img/a.qcow2");
    world_tag(&d->chain.data[0], "1", "old");
    world_tag(&d->chain.data[0], "3", "s1");
    world_layer(d, "/img/a-below.qcow2", "qcow2");
    world_layer(d, "/img/golden.img", "raw");
    d = world_disk(&a->w, "xvdb", "qcow2", "/img/b.1.qcow2");
    world_layer(d, "/img/b.img", "raw");
    d = world_disk(&a->w, "xvdc", "raw", "/img/cd.iso");
    d->cdrom = true;
    d->readwrite = false;
    a->req = (struct snap_adopt_request) {
        .name = "s1", .directory = "/store/web/s1", .wishes = a->wishes,
        .bases = a->bases, .protect = true,
    };
}

static void wish(struct adoption *a, const char *vdev,
                 libxl_snapshot_adopt_kind kind, const char *what)
{
    size_t i = a->req.nwishes++;

    a->wishes[i] = (libxl_snapshot_adopt_disk) { vdev, kind, what };
    if (kind == LIBXL_SNAPSHOT_ADOPT_BASE) a->bases[i] = id_of(what);
}

static void identify(struct adoption *a)
{
    size_t i, k;

    a->c = snap_zalloc(WORLD_DISKS * sizeof(*a->c));
    for (i = 0; i < a->w.f.ndisks; i++) {
        struct snap_facts_disk *d = &a->w.f.disks[i];

        a->c[i].disk = d;
        a->c[i].layers = snap_zalloc(8 * sizeof(*a->c[i].layers));
        for (k = 0; k < d->chain.len; k++)
            a->c[i].layers[a->c[i].nlayers++] = id_of(d->chain.data[k].path);
        if (!d->have_id) continue;
        free(d->id.real);
        d->id = id_of(d->path);
    }
}

static void dispose(struct adoption *a)
{
    size_t i;

    snap_adopt_choices_dispose(a->c, a->w.f.ndisks);
    for (i = 0; i < a->req.nwishes; i++) free(a->bases[i].real);
    snap_plan_dispose(&a->plan);
    world_dispose(&a->w);
}

/* ---- what is chosen ---- */

static void plan_is(struct adoption *a, const char *want, const char *claim)
{
    struct snap_ctx sc = SNAP_CTX_INIT;
    AUTO_FREE char *text = NULL;

    identify(a);
    if (snap_adopt_choose(&sc, &a->w.f, &a->req, a->c, &a->plan))
        diag("%s", sc.message);
    else
        snap_adopt_plan(&a->req, a->c, a->w.f.ndisks, &a->plan);
    text = snap_plan_text(&a->plan);
    is_str(text, want, "%s", claim);
    snap_ctx_dispose(&sc);
}

#define DIRECTORY "  1 directory       make the directory /store/web/s1\n"
#define NOTE "note-images     see that the images are as they were, note how " \
    "frozen bases look\n"
#define WRITE "manifest        write /store/web/s1/snapshot.json [commit]\n"
#define CD "  - xvdc is left out: a CD-ROM\n"

static void test_plans(void)
{
    struct adoption a;

    sound(&a);
    wish(&a, "xvdb", LIBXL_SNAPSHOT_ADOPT_BASE, "/img/b.img");
    a.req.memory = "/tmp/web.save";
    a.req.memory_bytes = 4096;
    plan_is(&a, DIRECTORY "  2 memory-copy     copy the memory image "
            "/tmp/web.save to /store/web/s1/memory.xl (4096 bytes)\n"
            "  3 protect         make the frozen base /img/b.img immutable\n"
            "  4 " NOTE "  5 " WRITE CD,
            "a tag of the snapshot's name, a base, memory");
    ok(a.c[0].how == SNAP_ADOPT_TAG && !a.c[0].layer
       && !strcmp(a.c[0].tag->id, "3"), "the tag is the one of that name");
    ok(a.c[1].how == SNAP_ADOPT_BASE && a.c[1].layer == 1,
       "the base is the layer of that path");
    ok(a.c[2].how == SNAP_ADOPT_IGNORED, "a CD-ROM is not part of it");
    dispose(&a);

    sound(&a);
    wish(&a, "xvda", LIBXL_SNAPSHOT_ADOPT_TAG, "old");
    wish(&a, "xvdb", LIBXL_SNAPSHOT_ADOPT_EXCLUDE, NULL);
    plan_is(&a, DIRECTORY "  2 " NOTE "  3 " WRITE
            "  - xvdb is left out as asked\n" CD, "another tag, one disk less");
    is_str(a.c[0].tag->id, "1", "that tag");
    dispose(&a);

    sound(&a);
    wish(&a, "xvda", LIBXL_SNAPSHOT_ADOPT_BASE, "/img/golden.img");
    wish(&a, "xvdb", LIBXL_SNAPSHOT_ADOPT_BASE, "/img/b.img");
    a.req.protect = false;
    plan_is(&a, DIRECTORY "  2 " NOTE "  3 " WRITE CD,
            "without protection no step protects");
    is_uint(a.c[0].layer, 2, "a base may be deep in the chain");
    dispose(&a);
}

static void test_protects(void)
{
    struct adoption a;

    sound(&a);
    world_layer(&a.w.f.disks[1], "/img/golden.img", "raw");
    wish(&a, "xvda", LIBXL_SNAPSHOT_ADOPT_BASE, "/img/golden.img");
    wish(&a, "xvdb", LIBXL_SNAPSHOT_ADOPT_BASE, "/img/golden.img");
    plan_is(&a, DIRECTORY "  2 protect         make the frozen base "
            "/img/golden.img immutable\n  3 " NOTE "  4 " WRITE CD,
            "a base of two disks is protected once");
    snap_plan_dispose(&a.plan);
    a.c[0].immutable = a.c[1].immutable = true;
    snap_adopt_plan(&a.req, a.c, a.w.f.ndisks, &a.plan);
    is_uint(a.plan.len, 3, "one that has the flag keeps it, whatever happens");
    dispose(&a);

    sound(&a);
    world_layer(&a.w.f.disks[1], "/dev/vg/golden", "raw");
    wish(&a, "xvdb", LIBXL_SNAPSHOT_ADOPT_BASE, "/dev/vg/golden");
    plan_is(&a, DIRECTORY "  2 " NOTE "  3 " WRITE CD,
            "a device has no flag");
    dispose(&a);
}

/* ---- what is refused ---- */

struct refusal {
    const char *claim;
    void (*change)(struct adoption *a);
    const char *message;
};

static void says_nothing(struct adoption *a) { (void)a; }

static void has_no_tag(struct adoption *a)
{
    wish(a, "xvda", LIBXL_SNAPSHOT_ADOPT_TAG, "s2");
}

static void has_it_twice(struct adoption *a)
{
    world_tag(&a->w.f.disks[0].chain.data[0], "4", "s1");
}

static void has_a_number(struct adoption *a)
{
    world_tag(&a->w.f.disks[0].chain.data[0], "4", "1700000000");
    wish(a, "xvda", LIBXL_SNAPSHOT_ADOPT_TAG, "1700000000");
}

static void not_a_layer(struct adoption *a)
{
    wish(a, "xvda", LIBXL_SNAPSHOT_ADOPT_BASE, "/img/b.img");
}

static void is_the_top(struct adoption *a)
{
    wish(a, "xvdb", LIBXL_SNAPSHOT_ADOPT_BASE, "/img/b.1.qcow2");
}

static void is_a_disk(struct adoption *a)
{
    world_disk(&a->w, "xvdd", "raw", "/img/b.img");
    wish(a, "xvdb", LIBXL_SNAPSHOT_ADOPT_BASE, "/img/b.img");
    wish(a, "xvdd", LIBXL_SNAPSHOT_ADOPT_EXCLUDE, NULL);
}

static void is_twice(struct adoption *a)
{
    wish(a, "xvdb", LIBXL_SNAPSHOT_ADOPT_BASE, "/img/b.img");
    wish(a, "xvdb", LIBXL_SNAPSHOT_ADOPT_EXCLUDE, NULL);
}

static void is_none(struct adoption *a)
{
    wish(a, "xvdz", LIBXL_SNAPSHOT_ADOPT_EXCLUDE, NULL);
}

static void is_a_cdrom(struct adoption *a)
{
    wish(a, "xvdb", LIBXL_SNAPSHOT_ADOPT_BASE, "/img/b.img");
    wish(a, "xvdc", LIBXL_SNAPSHOT_ADOPT_TAG, "s1");
}

static void leaves_all(struct adoption *a)
{
    wish(a, "xvda", LIBXL_SNAPSHOT_ADOPT_EXCLUDE, NULL);
    wish(a, "xvdb", LIBXL_SNAPSHOT_ADOPT_EXCLUDE, NULL);
}

static void has_a_loop(struct adoption *a)
{
    struct snap_facts_disk *d = &a->w.f.disks[0];

    snap_chain_dispose(&d->chain);
    world_set(&d->chain_error, "'/img/a.qcow2' is its own backing file");
}

static void is_the_kernels(struct adoption *a)
{
    world_set(&a->w.f.disks[0].backend, "phy");
}

static void has_many_tags(struct adoption *a)
{
    char name[16];
    int i;

    for (i = 0; i < 9; i++) {
        snprintf(name, sizeof(name), "t%d", i);
        world_tag(&a->w.f.disks[1].chain.data[0], name, name);
    }
}

#define A "'/img/a.qcow2' holds the tags 'old', 's1' and stands on " \
    "'/img/a-below.qcow2', '/img/golden.img'"
#define B "'/img/b.1.qcow2' holds no tag and stands on '/img/b.img'"

static const struct refusal refusals[] = {
    { "a disk of which nobody knows what it is", says_nothing,
      "disk 'xvdb': which state of it belongs to the snapshot? There is no "
      "tag 's1': " B "; give xvdb=tag:TAG, xvdb=base:PATH or --exclude xvdb" },
    { "a tag that is not there", has_no_tag, "disk 'xvda': there is no tag "
      "'s2': " A },
    { "a tag that is there twice", has_it_twice, "disk 'xvda': "
      "'/img/a.qcow2' holds 2 tags 's1': nobody can tell which is meant; "
      "delete the others" },
    { "a tag that is a number", has_a_number, "disk 'xvda': the tag "
      "'1700000000' cannot be a snapshot's: qemu-img takes a number for "
      "another tag's id, so a tag begins with a letter or '_' and has at most "
      "64 of A-Z a-z 0-9 _ . -" },
    { "a base that is no layer of the disk", not_a_layer, "disk 'xvda': "
      "'/img/b.img' is no layer below its image: " A },
    { "a base that the domain writes", is_the_top, "disk 'xvdb': "
      "'/img/b.1.qcow2' is the image that the domain writes, so it is not "
      "frozen: " B },
    { "a base that another disk writes", is_a_disk, "disk 'xvdb': disk 'xvdd' "
      "writes to '/img/b.img'" },
    { "a disk that is named twice", is_twice, "disk 'xvdb' is named twice" },
    { "a disk that is not there", is_none, "domain 'web' has no disk 'xvdz'" },
    { "a CD-ROM that is named", is_a_cdrom, "disk 'xvdc': it cannot be part "
      "of a snapshot: it is a CD-ROM" },
    { "a snapshot of nothing", leaves_all, "no disk of domain 'web' is part "
      "of it, nor any memory: that is no snapshot" },
    { "a chain that cannot be read", has_a_loop, "disk 'xvda': "
      "'/img/a.qcow2' is its own backing file" },
    { "a disk of the kernel", is_the_kernels, "disk 'xvda': served by the "
      "kernel (phy), out of QEMU's reach; use a qcow2 image, or a raw one "
      "with backendtype=qdisk, or leave it out with --exclude" },
    { "many tags, of which some are told", has_many_tags, "disk 'xvdb': which "
      "state of it belongs to the snapshot? There is no tag 's1': "
      "'/img/b.1.qcow2' holds the tags 't0', 't1', 't2', 't3', 't4', 't5', "
      "'t6', 't7' and 1 more and stands on '/img/b.img'; give xvdb=tag:TAG, "
      "xvdb=base:PATH or --exclude xvdb" },
};

static void test_refusals(void)
{
    size_t i;

    for (i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
        struct snap_ctx sc = SNAP_CTX_INIT;
        struct adoption a;
        int rc;

        sound(&a);
        refusals[i].change(&a);
        identify(&a);
        rc = snap_adopt_choose(&sc, &a.w.f, &a.req, a.c, &a.plan);
        is_str(sc.message, refusals[i].message, "refused: %s",
               refusals[i].claim);
        if (rc != ERROR_INVAL || a.plan.len)
            ok(false, "refused: %s: by its code, without steps",
               refusals[i].claim);
        snap_ctx_dispose(&sc);
        dispose(&a);
    }
}

/* ---- a domain that is off ---- */

static void test_off(void)
{
    struct adoption a;
    size_t i;

    sound(&a);
    a.w.f.exists = false;
    for (i = 0; i < 2; i++) {
        world_set(&a.w.f.disks[i].backend, "unknown");
        world_set(&a.w.f.disks[i].node, NULL);
    }
    wish(&a, "xvdb", LIBXL_SNAPSHOT_ADOPT_BASE, "/img/b.img");
    plan_is(&a, DIRECTORY "  2 protect         make the frozen base "
            "/img/b.img immutable\n  3 " NOTE "  4 " WRITE CD,
            "of one that is off, who serves its disks does not matter yet");
    dispose(&a);
}

int main(void)
{
    test_plans();
    test_protects();
    test_refusals();
    test_off();
    return done_testing();
}
