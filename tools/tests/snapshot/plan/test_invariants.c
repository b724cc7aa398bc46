/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * What holds for every plan, over all combinations of a few facts and
 * options.  A claim is one law; the case that breaks it is told.
 */
#include "step/step.h"
#include "tap.h"
#include "world.h"

/* ---- laws: counted over all plans, claimed once at the end ---- */

struct law {
    const char *claim;
    unsigned broken, tried;
};
static char now_trying[256];    /* the case, for who reads a failure */

static void hold(struct law *l, bool held)
{
    l->tried++;
    if (held) return;
    if (l->broken++ < 3) diag("%s: broken by %s", l->claim, now_trying);
}

static void claim(const struct law *l)
{
    ok(l->tried && !l->broken, "%s", l->claim);
    note("%u times", l->tried);
}

static struct law
    one_commit = { .claim = "a plan has exactly one commit" },
    undo_known = { .claim = "what changes the world before the commit can be "
                            "undone" },
    apply_known = { .claim = "every step can be applied" },
    pairs = { .claim = "arguments are pairs of key and value" },
    text_whole = { .claim = "the text has a line for every step" },
    refused_empty = { .claim = "a refusal has a message and no steps" },
    words_back = { .claim = "a journal's word leads back to the step" };

/* Looking or waiting alone; all others leave something behind. */
static bool only_looks(enum snap_step_kind kind)
{
    return kind == STEP_RECHECK || kind == STEP_RECHECK_IDLE
           || kind == STEP_MEMORY;
}

static unsigned count(const struct snap_plan *p, enum snap_step_kind kind)
{
    unsigned n = 0;
    size_t i;

    for (i = 0; i < p->len; i++) n += p->steps[i].kind == kind;
    return n;
}

/* The index of the only step of a kind; SIZE_MAX: not exactly one. */
static size_t at(const struct snap_plan *p, enum snap_step_kind kind)
{
    size_t i, found = SIZE_MAX;

    if (count(p, kind) != 1) return SIZE_MAX;
    for (i = 0; i < p->len; i++)
        if (p->steps[i].kind == kind) found = i;
    return found;
}

static bool has_arg(const struct snap_step *s, const char *key,
                    const char *value)
{
    const char *v;
    size_t i;

    for (i = 0; (v = snap_step_get_nth(s, key, i)); i++)
        if (!strcmp(v, value)) return true;
    return false;
}

static size_t args_named(const struct snap_step *s, const char *key)
{
    size_t i = 0;

    while (snap_step_get_nth(s, key, i)) i++;
    return i;
}

/* Is there a step of this kind with this argument? Its index. */
static size_t find(const struct snap_plan *p, enum snap_step_kind kind,
                   const char *key, const char *value)
{
    size_t i;

    for (i = 0; i < p->len; i++)
        if (p->steps[i].kind == kind && has_arg(&p->steps[i], key, value))
            return i;
    return SIZE_MAX;
}

static void text_holds(const struct snap_plan *p)
{
    AUTO_FREE char *text = snap_plan_text(p);
    const char *c = text;
    size_t i, commits = 0, lines = 0;

    while ((c = strstr(c, " [commit]\n"))) {
        commits++;
        c++;
    }
    hold(&one_commit, commits == 1);
    for (i = 0; i < p->len; i++) {
        AUTO_FREE char *start = snap_printf("%3zu %-15s ", i + 1,
            snap_step_word(p->steps[i].kind));

        lines += strstr(text, start) != NULL;
    }
    hold(&text_whole, lines == p->len && !strchr(text, '{'));
}

static void every_plan(const struct snap_plan *p)
{
    size_t i;

    hold(&one_commit, p->len && p->commit < p->len);
    for (i = 0; i < p->len; i++) {
        const struct snap_step *s = &p->steps[i];
        const struct snap_step_ops *ops = snap_step_ops(s->kind);

        hold(&apply_known, ops && ops->apply);
        hold(&pairs, s->args.len % 2 == 0);
        hold(&words_back, snap_step_kind_of(snap_step_word(s->kind))
                          == (int)s->kind);
        if (i < p->commit && !only_looks(s->kind))
            hold(&undo_known, ops && ops->undo);
    }
    text_holds(p);
}

/* ---- create ---- */

static struct law
    resume_commits = { .claim = "create: resume, and nothing else, is the "
                                "commit" },
    create_order = { .claim = "create: suspend, memory, recheck, "
                              "configuration, disks, resume, in this order" },
    told_before = { .claim = "create: QEMU is told of the transaction while "
                             "memory is saved, of just these disks" },
    monitor_around = { .claim = "create: the monitor is held before the "
                                "suspend and goes on after the resume" },
    sealed = { .claim = "create: the manifest comes after all is synced, "
                        "current after the manifest" },
    one_transaction = { .claim = "create: all disks are in one step, each "
                                 "once" },
    config_told = { .claim = "create: the toolstack learns of every overlay, "
                             "and of nothing else" },
    overlays_sealed = { .claim = "create: every overlay is sealed" },
    bases_protected = { .claim = "create: frozen bases that are files are "
                                 "protected, tagged images never" };

/* A disk of a layout: format, path, excluded with a wish. */
struct layout {
    const char *name;
    struct {
        const char *format, *path;
        int kind;               /* of the wish; -1: none */
    } disks[4];
};

#define AUTO LIBXL_SNAPSHOT_DISK_AUTO
#define INT LIBXL_SNAPSHOT_DISK_INTERNAL
#define EXT LIBXL_SNAPSHOT_DISK_EXTERNAL
#define NOT LIBXL_SNAPSHOT_DISK_EXCLUDE
static const struct layout layouts[] = {
    { "no disk", { { NULL, NULL, -1 } } },
    { "qcow2", { { "qcow2", "/img/a.qcow2", -1 } } },
    { "raw", { { "raw", "/img/a.raw", -1 } } },
    { "qcow2 external", { { "qcow2", "/img/a.qcow2", EXT } } },
    { "all excluded", { { "qcow2", "/img/a.qcow2", NOT },
                        { "raw", "/img/b.raw", NOT } } },
    { "two of each", { { "qcow2", "/img/a.qcow2", -1 },
                       { "raw", "/img/b.raw", AUTO },
                       { "qcow2", "/img/c.qcow2", INT },
                       { "raw", "/img/d.raw", EXT } } },
    { "external first", { { "qcow2", "/img/a.qcow2", EXT },
                          { "qcow2", "/img/b.qcow2", INT },
                          { "raw", "/img/c.raw", NOT } } },
    { "a device", { { "raw", "/dev/vg/a", EXT },
                    { "raw", "/img/b.raw", EXT } } },
    { "a device with a tag", { { "qcow2", "/dev/vg/a", INT } } },
    { "a device without a place", { { "raw", "/dev/vg/a", -1 } } },
    { "raw internal", { { "raw", "/img/a.raw", INT } } },
};
#define LAYOUTS (sizeof(layouts) / sizeof(layouts[0]))

static bool is_external(const struct layout *l, size_t i)
{
    if (l->disks[i].kind == AUTO || l->disks[i].kind == -1)
        return strcmp(l->disks[i].format, "qcow2") != 0;
    return l->disks[i].kind == EXT;
}

static bool is_device(const struct layout *l, size_t i)
{
    return !strncmp(l->disks[i].path, "/dev/", 5);
}

static void disks_of_create(const struct snap_plan *p, const struct layout *l)
{
    static const char *const vdevs[] = { "xvda", "xvdb", "xvdc", "xvdd" };
    size_t i, in = 0, out = 0, protect = 0;
    size_t disks = at(p, STEP_DISKS), config = at(p, STEP_CONFIG);

    for (i = 0; i < 4 && l->disks[i].format; i++) {
        bool ext = is_external(l, i);
        bool guarded = find(p, STEP_PROTECT, "path", l->disks[i].path)
                       != SIZE_MAX;

        if (l->disks[i].kind != NOT) {
            in++;
            out += ext;
            hold(&one_transaction, disks != SIZE_MAX
                 && has_arg(&p->steps[disks], "vdev", vdevs[i]));
            if (ext)
                hold(&config_told, config != SIZE_MAX
                     && has_arg(&p->steps[config], "vdev", vdevs[i]));
        }
        protect += guarded;
        hold(&bases_protected, !guarded
             || (ext && l->disks[i].kind != NOT && !is_device(l, i)));
    }
    hold(&one_transaction, in ? disks != SIZE_MAX
         && args_named(&p->steps[disks], "vdev") == in
         : count(p, STEP_DISKS) == 0);
    hold(&config_told, out ? config != SIZE_MAX
         && args_named(&p->steps[config], "vdev") == out
         : count(p, STEP_CONFIG) == 0);
    hold(&overlays_sealed, at(p, STEP_SEAL) != SIZE_MAX
         && args_named(&p->steps[at(p, STEP_SEAL)], "overlay") == out);
    hold(&bases_protected, protect == count(p, STEP_PROTECT));
}

static bool same_args(const struct snap_step *a, const struct snap_step *b)
{
    size_t i;

    for (i = 0; i < a->args.len && i < b->args.len; i++)
        if (strcmp(a->args.data[i], b->args.data[i])) return false;
    return a->args.len == b->args.len;
}

static void order_of_create(const struct snap_plan *p, const struct world *w)
{
    size_t suspend = at(p, STEP_SUSPEND), recheck = at(p, STEP_RECHECK);
    size_t ready = at(p, STEP_READY), memory = at(p, STEP_MEMORY);
    size_t resume = at(p, STEP_RESUME), seal = at(p, STEP_SEAL);
    size_t manifest = at(p, STEP_MANIFEST), i;

    hold(&resume_commits, p->steps[p->commit].kind == STEP_RESUME
         && resume == p->commit && count(p, STEP_DESTROY) == 0);
    hold(&create_order, suspend < memory && memory < recheck
         && recheck < resume
         && resume < p->len && at(p, STEP_DIRECTORY) < suspend
         && at(p, STEP_MEMORY_FILE) < suspend);
    hold(&told_before, count(p, STEP_READY) == count(p, STEP_DISKS)
         && (!count(p, STEP_DISKS)
             || (ready > suspend && ready < memory
                 && same_args(&p->steps[ready],
                              &p->steps[at(p, STEP_DISKS)]))));
    for (i = 0; i < p->len; i++) {
        enum snap_step_kind k = p->steps[i].kind;

        if (k == STEP_DISKS || k == STEP_CONFIG)
            hold(&create_order, i > recheck && i < resume);
        if (k == STEP_CONFIG)
            hold(&create_order, i < at(p, STEP_DISKS));
    }
    hold(&sealed, resume < seal && seal < manifest && manifest < p->len
         && (w->req.current_path ? at(p, STEP_CURRENT) > manifest
                                   && at(p, STEP_CURRENT) < p->len
                                 : count(p, STEP_CURRENT) == 0));
    if (w->f.monitor.pid)
        hold(&monitor_around, at(p, STEP_MONITOR_HOLD) < suspend
             && at(p, STEP_MONITOR_RELEASE) > resume
             && at(p, STEP_MONITOR_RELEASE) < seal);
    else
        hold(&monitor_around, !count(p, STEP_MONITOR_HOLD)
             && !count(p, STEP_MONITOR_RELEASE));
}

static const char *const types[] = { "pv", "pvh", "hvm" };

static void make_create(struct world *w, const struct layout *l, unsigned bits,
                        const char *type)
{
    static const char *const vdevs[] = { "xvda", "xvdb", "xvdc", "xvdd" };
    size_t i;

    world_make(w);
    w->f.dom.type = type;
    if (bits & 1) world_monitor(w);
    w->req.live = bits & 2;
    w->req.leave_paused = bits & 4;
    w->req.protect = bits & 8;
    if (bits & 16) w->req.current_path = NULL;
    for (i = 0; i < 4 && l->disks[i].format; i++) {
        world_disk(w, vdevs[i], l->disks[i].format, l->disks[i].path);
        if (l->disks[i].kind == -1) continue;
        world_wish(w, vdevs[i], l->disks[i].kind, NULL,
                   l->disks[i].kind == EXT && is_device(l, i)
                   ? "/img/dev.s1.qcow2" : NULL);
    }
}

static void try_create(const struct layout *l, unsigned bits,
                       const char *type, unsigned *planned)
{
    struct snap_ctx sc = SNAP_CTX_INIT;
    struct snap_plan p;
    struct world w;
    int rc;

    snprintf(now_trying, sizeof(now_trying), "create %s, %s, bits %#x",
             l->name, type, bits);
    make_create(&w, l, bits, type);
    rc = world_plan(&sc, &w, &p);
    if (rc) {
        hold(&refused_empty, !p.len && sc.message);
    } else {
        ++*planned;
        every_plan(&p);
        order_of_create(&p, &w);
        disks_of_create(&p, l);
        if (!w.req.protect)
            hold(&bases_protected, !count(&p, STEP_PROTECT));
    }
    snap_plan_dispose(&p);
    snap_ctx_dispose(&sc);
    world_dispose(&w);
}

static void test_create(void)
{
    unsigned bits, planned = 0, tried = 0;
    size_t l, t;

    for (l = 0; l < LAYOUTS; l++)
        for (t = 0; t < 3; t++)
            for (bits = 0; bits < 32; bits++) {
                try_create(&layouts[l], bits, types[t], &planned);
                tried++;
            }
    /* Two layouts cannot be; --live cannot be for hvm. */
    is_uint(planned, (LAYOUTS - 2) * (32 * 2 + 16),
            "create: what should be planned is, of %u", tried);
    claim(&resume_commits);
    claim(&create_order);
    claim(&told_before);
    claim(&monitor_around);
    claim(&sealed);
    claim(&one_transaction);
    claim(&config_told);
    claim(&overlays_sealed);
    claim(&bases_protected);
}

/* ---- revert ---- */

static struct law
    destroy_commits = { .claim = "revert of a running domain: destroy is the "
                                 "commit" },
    off_commits = { .claim = "revert of a domain that is off: the first step "
                             "that cannot be taken back is the commit" },
    nothing_written = { .claim = "revert: no step that writes an existing "
                                 "image stands before the commit" },
    new_is_new = { .claim = "revert: what is made is not made over an image "
                            "of the set" },
    frozen_kept = { .claim = "revert: what others depend on is never "
                             "written" },
    every_disk = { .claim = "revert: every disk of the set is put back, "
                            "once" },
    looked_again = { .claim = "revert: the last look comes right before the "
                              "commit and knows every image that is "
                              "written" },
    monitor_ends = { .claim = "revert: the monitor is held before the pause "
                              "and ended after the destroy, never let go" },
    built_last = { .claim = "revert: the domain is built after the old one "
                            "is gone and all tags are applied" },
    paused_once = { .claim = "revert: only a domain that runs is paused" };

/* Kinds of disks in a set, by letter: i internal, f frozen internal, e
 * external, d external on a device. */
static const char *const sets[] = {
    "", "i", "f", "e", "d", "ii", "if", "ie", "fe", "id", "ef", "ifed",
};
#define SETS (sizeof(sets) / sizeof(sets[0]))
enum state { RUNNING, PAUSED, SHUT, OFF, STATES };

static void make_revert(struct past *p, const char *set, enum state state,
                        unsigned bits)
{
    static const char *const vdevs[] = { "xvda", "xvdb", "xvdc", "xvdd" };
    size_t i, k;

    past_make(p);
    p->now.f.dom.paused = state == PAUSED;
    p->now.f.dom.shutdown = state == SHUT;
    if (state == OFF) past_off(p);
    else if (bits & 1) world_monitor(&p->now);
    p->req.paused = bits & 2;
    p->req.protect = bits & 4;
    p->req.force = bits & 8;
    if (bits & 16) p->req.current_path = NULL;
    if (bits & 32) past_disk_only(p, "/dev/null");
    for (i = 0; set[i]; i++) {
        AUTO_FREE char *path = snap_printf(set[i] == 'd' ? "/dev/vg/%s"
                                           : "/img/%s.img", vdevs[i]);

        if (set[i] == 'i' || set[i] == 'f') {
            k = past_internal(p, vdevs[i], path);
            if (set[i] == 'f') past_frozen(p, k, "somebody depends on it");
        } else {
            k = past_external(p, vdevs[i], "raw", path);
            if (set[i] == 'd')
                p->f.disks[k].new_path = snap_printf("/img/%s.r1.qcow2",
                                                     vdevs[i]);
        }
    }
}

/* The image that a step writes and that was there before, or NULL. */
static const char *writes_existing(const struct past *past,
                                   const struct snap_step *s)
{
    const char *path = snap_step_get(s, "path");
    size_t i;

    if (!path || s->kind == STEP_RECHECK_IDLE || s->kind == STEP_CURRENT)
        return NULL;
    for (i = 0; i < past->f.ndisks; i++)
        if (!strcmp(past->f.disks[i].id.real, path))
            return past->f.disks[i].id.real;
    return NULL;
}

static void writes_of_revert(const struct snap_plan *p,
                             const struct past *past)
{
    size_t i, k;

    for (i = 0; i < p->len; i++) {
        const struct snap_step *s = &p->steps[i];
        const char *image = writes_existing(past, s);

        hold(&nothing_written, !image || i >= p->commit);
        hold(&nothing_written, i >= p->commit
             || (s->kind != STEP_APPLY_TAG && s->kind != STEP_PROTECT
                 && s->kind != STEP_BUILD && s->kind != STEP_BOOT
                 && s->kind != STEP_DESTROY
                 && s->kind != STEP_MONITOR_END));
        if (s->kind == STEP_OVERLAY || s->kind == STEP_COPY)
            hold(&new_is_new, !image && i < p->commit);
        for (k = 0; k < past->f.ndisks && image; k++) {
            const struct snap_revert_disk *d = &past->f.disks[k];

            if (!strcmp(d->id.real, image)
                && (d->frozen_by || d->m->type == SNAP_DISK_EXTERNAL))
                hold(&frozen_kept, s->kind == STEP_PROTECT);
        }
    }
}

static void disks_of_revert(const struct snap_plan *p,
                            const struct past *past)
{
    size_t i, tags = 0, overlays = 0, copies = 0;

    for (i = 0; i < past->f.ndisks; i++) {
        const struct snap_revert_disk *d = &past->f.disks[i];
        bool in_place = d->m->type == SNAP_DISK_INTERNAL && !d->new_path;
        size_t look = at(p, STEP_RECHECK_IDLE);

        if (d->m->type == SNAP_DISK_EXTERNAL) {
            overlays++;
            hold(&every_disk, find(p, STEP_OVERLAY, "base", d->id.real)
                              < p->commit);
        } else {
            tags++;
            copies += !in_place;
            hold(&every_disk, find(p, STEP_APPLY_TAG, "path",
                                   in_place ? d->id.real : d->new_path)
                              < p->len);
        }
        hold(&looked_again, look != SIZE_MAX
             && has_arg(&p->steps[look], "image", d->id.real) == in_place);
    }
    hold(&every_disk, count(p, STEP_APPLY_TAG) == tags
         && count(p, STEP_OVERLAY) == overlays
         && count(p, STEP_COPY) == copies);
}

static void order_of_revert(const struct snap_plan *p, enum state state,
                            bool monitor, enum snap_step_kind how)
{
    size_t look = at(p, STEP_RECHECK_IDLE), build = at(p, how), i;
    enum snap_step_kind first = p->steps[p->commit].kind;

    hold(&looked_again, look != SIZE_MAX && look + 1 == p->commit);
    hold(&paused_once, count(p, STEP_PAUSE) == (state == RUNNING));
    if (state == OFF) {
        hold(&off_commits, !count(p, STEP_DESTROY)
             && (first == STEP_APPLY_TAG
                 || (first == how && !count(p, STEP_APPLY_TAG))));
    } else {
        hold(&destroy_commits, first == STEP_DESTROY
             && at(p, STEP_DESTROY) == p->commit);
        hold(&built_last, at(p, STEP_DESTROYED) > p->commit
             && at(p, STEP_DESTROYED) < build);
    }
    hold(&built_last, build >= p->commit && build < p->len
         && count(p, STEP_BUILD) + count(p, STEP_BOOT) == 1);
    for (i = build; i < p->len; i++)
        hold(&built_last, i == build || p->steps[i].kind == STEP_PROTECT
                          || p->steps[i].kind == STEP_CURRENT);
    hold(&monitor_ends, !count(p, STEP_MONITOR_RELEASE));
    if (monitor) {
        hold(&monitor_ends, at(p, STEP_MONITOR_HOLD) < look
             && at(p, STEP_MONITOR_END) > p->commit
             && at(p, STEP_MONITOR_END) < build);
        if (state == RUNNING)
            hold(&monitor_ends, at(p, STEP_MONITOR_HOLD)
                                < at(p, STEP_PAUSE));
    } else {
        hold(&monitor_ends, !count(p, STEP_MONITOR_HOLD)
             && !count(p, STEP_MONITOR_END));
    }
}

static void try_revert(const char *set, enum state state, unsigned bits,
                       unsigned *planned)
{
    struct snap_ctx sc = SNAP_CTX_INIT;
    struct snap_plan p;
    struct past past;

    snprintf(now_trying, sizeof(now_trying), "revert '%s', state %d, "
             "bits %#x", set, state, bits);
    make_revert(&past, set, state, bits);
    if (past_plan(&sc, &past, &p)) {
        diag("%s: %s", now_trying, sc.message);
    } else {
        ++*planned;
        every_plan(&p);
        writes_of_revert(&p, &past);
        disks_of_revert(&p, &past);
        order_of_revert(&p, state, state != OFF && (bits & 1),
                        bits & 32 ? STEP_BOOT : STEP_BUILD);
    }
    snap_plan_dispose(&p);
    snap_ctx_dispose(&sc);
    past_dispose(&past);
}

static void test_revert(void)
{
    unsigned bits, planned = 0, state;
    size_t s;

    for (s = 0; s < SETS; s++)
        for (state = 0; state < STATES; state++)
            for (bits = 0; bits < 64; bits++)
                try_revert(sets[s], state, bits, &planned);
    is_uint(planned, SETS * STATES * 64, "revert: all of them are planned");
    claim(&destroy_commits);
    claim(&off_commits);
    claim(&nothing_written);
    claim(&new_is_new);
    claim(&frozen_kept);
    claim(&every_disk);
    claim(&looked_again);
    claim(&monitor_ends);
    claim(&built_last);
    claim(&paused_once);
}

int main(void)
{
    test_create();
    test_revert();
    claim(&one_commit);
    claim(&undo_known);
    claim(&apply_known);
    claim(&pairs);
    claim(&text_whole);
    claim(&refused_empty);
    claim(&words_back);
    return done_testing();
}
