/* SPDX-License-Identifier: LGPL-2.1-only */
/* Facts written by hand, and plans compared with the files in expected/. */
#include "world.h"

#include <errno.h>
#include <libgen.h>
#include <limits.h>

#include "tap.h"

#define UUID "11111111-2222-4333-8444-555555555555"

/* ---- create ---- */

void world_set(char **s, const char *value)
{
    free(*s);
    *s = snap_strdup(value);
}

char *world_overlay_path(void *arg, const char *vdev, const char *image)
{
    const char *name = arg;
    const char *dot = strrchr(image, '.');
    int stem = dot ? (int)(dot - image) : (int)strlen(image);

    (void)vdev;
    if (!strncmp(image, "/dev/", 5)) return NULL;
    return snap_printf("%.*s.%s.qcow2", stem, image, name);
}

static void make_dom(struct snap_facts *f)
{
    f->exists = true;
    f->dom.domid = 7;
    f->dom.name = snap_strdup("web");
    f->dom.uuid = snap_strdup(UUID);
    f->dom.current_kb = f->dom.max_kb = 256 * 1024;
    f->dom.type = "pv";
    f->host.xen_version = snap_strdup("4.17.7");
    f->host.xen_major = 4;
    f->host.xen_minor = 17;
    f->host.pv_log_dirty = f->host.hap = true;
    f->host.free_kb = 4 << 20;
    f->qemu = true;
    f->qemu_pid = 901;
    f->qemu_start = 4711;
    f->qmp_path = snap_strdup("/run/qmp-7");
    f->qemu_version = snap_strdup("7.2.22");
}

void world_make(struct world *w)
{
    memset(w, 0, sizeof(*w));
    make_dom(&w->f);
    w->f.disks = snap_zalloc(WORLD_DISKS * sizeof(*w->f.disks));
    w->req = (struct snap_create_request) {
        .name = "s1", .directory = "/store/web/s1",
        .current_path = "/store/web/current", .wishes = w->wishes,
        .overlay_path = world_overlay_path, .overlay_arg = (void *)"s1",
        .protect = true,
    };
}

void world_dispose(struct world *w)
{
    snap_facts_dispose(&w->f);
}

void world_monitor(struct world *w)
{
    w->f.monitor.pid = 812;
    w->f.monitor.start_time = 4242;
    world_set(&w->f.monitor.log, "/var/log/xen/xl-web.log");
}

struct snap_facts_disk *world_disk(struct world *w, const char *vdev,
                                   const char *format, const char *path)
{
    struct snap_facts_disk *d;

    if (w->f.ndisks == WORLD_DISKS) bail("too many disks");
    d = &w->f.disks[w->f.ndisks];
    d->vdev = snap_strdup(vdev);
    d->path = snap_strdup(path);
    d->format = snap_strdup(format);
    d->backend = snap_strdup("qdisk");
    d->readwrite = true;
    d->devid = 51712 + 16 * (int)w->f.ndisks;
    d->params = snap_printf("%s:%s", format, path);
    d->backend_path = snap_printf("/local/domain/0/backend/qdisk/7/%d",
                                  d->devid);
    d->frontend_state = 4;
    d->node = snap_printf("%s-%s", vdev, format);
    d->qdev = snap_printf("/machine/peripheral/%s", vdev);
    d->qemu_driver = snap_strdup(format);
    d->qemu_file = snap_strdup(path);
    d->opened_times = 1;
    d->have_id = true;
    d->id.block = !strncmp(path, "/dev/", 5);
    d->id.dev = 64768;
    d->id.ino = 1000 + w->f.ndisks;
    d->id.size_bytes = 1 << 30;
    d->id.real = snap_strdup(path);
    world_layer(d, path, format);
    w->f.ndisks++;
    return d;
}

static struct snap_image *chain_add(struct snap_chain *c, const char *path,
                                    const char *format)
{
    struct snap_image *im;

    c->data = snap_realloc(c->data, (c->len + 1) * sizeof(*c->data));
    im = &c->data[c->len++];
    memset(im, 0, sizeof(*im));
    im->path = snap_strdup(path);
    im->format = snap_strdup(format);
    im->virtual_size_bytes = 1 << 30;
    im->actual_size_bytes = 123456789;
    return im;
}

struct snap_image *world_layer(struct snap_facts_disk *d, const char *path,
                               const char *format)
{
    return chain_add(&d->chain, path, format);
}

void world_tag(struct snap_image *im, const char *id, const char *name)
{
    struct snap_image_tag *t;

    im->tags = snap_realloc(im->tags, (im->ntags + 1) * sizeof(*im->tags));
    t = &im->tags[im->ntags++];
    memset(t, 0, sizeof(*t));
    t->id = snap_strdup(id);
    t->name = snap_strdup(name);
}

void world_wish(struct world *w, const char *vdev, int kind,
                const char *format, const char *target)
{
    if (w->req.nwishes == WORLD_DISKS) bail("too many wishes");
    w->wishes[w->req.nwishes++] = (struct snap_disk_wish) {
        vdev, kind, format, target,
    };
}

int world_plan(struct snap_ctx *sc, struct world *w, struct snap_plan *p)
{
    struct snap_disk_choice *c =
        snap_zalloc((w->f.ndisks + 1) * sizeof(*c));
    int rc;

    memset(p, 0, sizeof(*p));
    rc = snap_plan_create(sc, &w->f, &w->req, c, p);
    snap_disk_choices_dispose(c, w->f.ndisks);
    return rc;
}

/* ---- revert ---- */

void past_make(struct past *p)
{
    memset(p, 0, sizeof(*p));
    world_make(&p->now);
    p->set.name = snap_strdup("before");
    p->set.domain_name = snap_strdup("web");
    p->set.qemu_version = snap_strdup("7.2.22");
    p->config.type = snap_strdup("pv");
    p->config.target_memkb = 256 * 1024;
    p->f = (struct snap_revert_facts) {
        .domain_name = "web", .now = &p->now.f, .set = &p->set,
        .config = &p->config, .memory_pages = 65536, .xen_major = 4,
        .xen_minor = 17, .qemu_version = "7.2.22",
        .memory_path = snap_strdup("/store/web/before/memory.xl"),
        .need_kb = 300 * 1024, .have_kb = 1024 * 1024,
    };
    p->f.disks = snap_zalloc(WORLD_DISKS * sizeof(*p->f.disks));
    p->req = (struct snap_revert_request) {
        .current_path = "/store/web/current", .exclude = p->exclude,
        .protect = true, .stock_xl = "/usr/lib/xen/xl",
    };
}

void past_dispose(struct past *p)
{
    size_t i;

    for (i = 0; i < p->f.ndisks; i++) {
        struct snap_revert_disk *d = &p->f.disks[i];

        free(d->id.real);
        snap_chain_dispose(&d->chain);
        free(d->frozen_by);
        free(d->users);
        free(d->writers);
        free(d->new_path);
    }
    free(p->f.disks);
    snap_strings_dispose(&p->f.excluded);
    snap_strings_dispose(&p->words);
    free(p->f.stranger);
    free(p->f.memory_path);
    snap_manifest_dispose(&p->set);
    snap_domconfig_dispose(&p->config);
    world_dispose(&p->now);
}

void past_off(struct past *p)
{
    struct snap_host host = p->now.f.host;

    memset(&p->now.f.host, 0, sizeof(p->now.f.host));
    snap_facts_dispose(&p->now.f);
    p->now.f.host = host;
}

void past_disk_only(struct past *p, const char *file)
{
    snap_strings_add(&p->words, "name=\"web\"");
    snap_strings_add(&p->words, "memory=\"256\"");
    p->f.disk_only = true;
    p->f.boot_file = file;
    p->f.boot_words = &p->words;
    p->f.memory_pages = 0;
}

static struct snap_revert_disk *add_past_disk(struct past *p,
                                              struct snap_manifest_disk *m,
                                              const char *vdev,
                                              const char *format,
                                              const char *path)
{
    struct snap_revert_disk *d;

    if (p->f.ndisks == WORLD_DISKS) bail("too many disks");
    d = &p->f.disks[p->f.ndisks];
    m->vdev = snap_strdup(vdev);
    m->image = snap_strdup(path);
    m->format = snap_strdup(format);
    d->id.block = !strncmp(path, "/dev/", 5);
    d->id.dev = 64768;
    d->id.ino = 2000 + p->f.ndisks++;
    d->id.size_bytes = m->size_bytes = 5 << 20;
    d->id.mtime_ns = m->mtime_ns = 1234567890;
    d->id.real = snap_strdup(path);
    chain_add(&d->chain, path, format);
    return d;
}

size_t past_internal(struct past *p, const char *vdev, const char *path)
{
    struct snap_manifest_disk *m = snap_manifest_add_disk(&p->set);
    struct snap_revert_disk *d = add_past_disk(p, m, vdev, "qcow2", path);

    m->type = SNAP_DISK_INTERNAL;
    m->tag = snap_strdup("before");
    m->tag_id = snap_strdup("3");
    world_tag(&d->chain.data[0], "3", "before");
    return p->f.ndisks - 1;
}

size_t past_external(struct past *p, const char *vdev, const char *format,
                     const char *path)
{
    struct snap_manifest_disk *m = snap_manifest_add_disk(&p->set);
    struct snap_revert_disk *d = add_past_disk(p, m, vdev, format, path);

    m->type = SNAP_DISK_EXTERNAL;
    d->new_path = world_overlay_path((void *)"r1", vdev, path);
    return p->f.ndisks - 1;
}

void past_frozen(struct past *p, size_t i, const char *by)
{
    struct snap_revert_disk *d = &p->f.disks[i];

    d->frozen_by = snap_strdup(by);
    d->new_path = world_overlay_path((void *)"copy", NULL, d->id.real);
}

void past_exclude(struct past *p, const char *vdev)
{
    p->exclude[p->req.nexclude++] = vdev;
}

int past_plan(struct snap_ctx *sc, struct past *past, struct snap_plan *p)
{
    size_t i;

    memset(p, 0, sizeof(*p));
    for (i = 0; i < past->f.ndisks; i++)
        past->f.disks[i].m = &past->set.disks[i];
    return snap_plan_revert(sc, &past->f, &past->req, p);
}

/* ---- expected texts ---- */

static bool updating(void)
{
    const char *v = getenv("SNAP_UPDATE");

    return v && !strcmp(v, "1");
}

static char *expected_path(const char *name)
{
    const char *src = getenv("SRC");
    AUTO_FREE char *here = snap_strdup(__FILE__);

    if (src)
        return snap_printf("%s/tools/tests/snapshot/plan/expected/%s.txt",
                           src, name);
    return snap_printf("%s/expected/%s.txt", dirname(here), name);
}

static void write_expected(const char *path, const char *text)
{
    FILE *f = fopen(path, "we");

    if (!f || fputs(text, f) < 0 || fclose(f))
        bail("cannot write %s: %s", path, strerror(errno));
}

static char *read_expected(const char *path)
{
    FILE *f = fopen(path, "re");
    struct snap_text t = { 0 };
    char buf[4096];
    size_t n;

    if (!f) {
        diag("cannot read %s: %s; SNAP_UPDATE=1 writes it", path,
             strerror(errno));
        return NULL;
    }
    while ((n = fread(buf, 1, sizeof(buf), f)))
        snap_text_add_bytes(&t, buf, n);
    fclose(f);
    return t.data;
}

static void compare(const char *name, const char *text)
{
    AUTO_FREE char *path = expected_path(name);
    AUTO_FREE char *want = NULL;

    if (updating()) write_expected(path, text);
    want = read_expected(path);
    is_str(text, want, "%s: the plan is the expected one", name);
}

static void expect(struct snap_ctx *sc, int rc, struct snap_plan *p,
                   const char *name)
{
    AUTO_FREE char *text = NULL;

    if (rc) {
        ok(false, "%s: there is a plan", name);
        diag("refused: %s", sc->message ? sc->message : "(no message)");
    } else {
        text = snap_plan_text(p);
        compare(name, text);
    }
    snap_plan_dispose(p);
    snap_ctx_dispose(sc);
}

void world_expect(struct world *w, const char *name)
{
    struct snap_ctx sc = SNAP_CTX_INIT;
    struct snap_plan p;
    int rc = world_plan(&sc, w, &p);

    expect(&sc, rc, &p, name);
}

void past_expect(struct past *past, const char *name)
{
    struct snap_ctx sc = SNAP_CTX_INIT;
    struct snap_plan p;
    int rc = past_plan(&sc, past, &p);

    expect(&sc, rc, &p, name);
}
