/* SPDX-License-Identifier: LGPL-2.1-only */
/* snapshot-revert: facts and a request become the plans in expected/. */
#include "tap.h"
#include "world.h"

static void internal_in_place(void)
{
    struct past p;

    past_make(&p);
    past_internal(&p, "xvda", "/img/web.qcow2");
    past_expect(&p, "revert-internal-running");
    past_dispose(&p);
}

static void external_overlay(void)
{
    struct past p;

    past_make(&p);
    past_external(&p, "xvda", "raw", "/img/web.raw");
    past_expect(&p, "revert-external-running");
    past_dispose(&p);
}

static void with_monitor(void)
{
    struct past p;

    past_make(&p);
    world_monitor(&p.now);
    past_internal(&p, "xvda", "/img/web.qcow2");
    past_expect(&p, "revert-monitor");
    past_dispose(&p);
}

static void copy_where_frozen(void)
{
    struct past p;

    past_make(&p);
    past_frozen(&p, past_internal(&p, "xvda", "/img/web.qcow2"),
                "snapshot 'later' depends on '/img/web.qcow2'");
    past_expect(&p, "revert-copy-where-frozen");
    past_dispose(&p);
}

static void four_disks(struct past *p)
{
    past_make(p);
    world_monitor(&p->now);
    past_internal(p, "xvda", "/img/a.qcow2");
    past_external(p, "xvdb", "raw", "/img/b.raw");
    past_frozen(p, past_internal(p, "xvdc", "/img/c.qcow2"),
                "'/img/x.qcow2' is an overlay on '/img/c.qcow2'");
    past_external(p, "xvdd", "raw", "/dev/vg/d");
    p->f.disks[3].new_path = snap_strdup("/img/d.r1.qcow2");
}

static void mixed(void)
{
    struct past p;

    four_disks(&p);
    past_expect(&p, "revert-four-disks");
    past_dispose(&p);
    four_disks(&p);
    past_off(&p);
    past_expect(&p, "revert-four-disks-off");
    past_dispose(&p);
}

/* Its undo lets the domain run, whatever fails behind it. */
static void paused_by_us(void)
{
    struct past p;

    past_make(&p);
    p.now.f.dom.paused = true;
    p.req.unpause = true;
    past_external(&p, "xvda", "raw", "/img/web.raw");
    past_expect(&p, "revert-paused-by-us");
    past_dispose(&p);
}

static void paused_domain(void)
{
    struct past p;

    past_make(&p);
    p.now.f.dom.paused = true;
    past_internal(&p, "xvda", "/img/web.qcow2");
    past_expect(&p, "revert-of-paused-domain");
    past_dispose(&p);
}

/* It crashed and is preserved: it runs no more, its QEMU does. */
static void shut_down_domain(void)
{
    struct past p;

    past_make(&p);
    p.now.f.dom.shutdown = true;
    p.now.f.dom.shutdown_reason = LIBXL_SHUTDOWN_REASON_CRASH;
    past_internal(&p, "xvda", "/img/web.qcow2");
    past_expect(&p, "revert-of-crashed-domain");
    past_dispose(&p);
}

static void left_paused(void)
{
    struct past p;

    past_make(&p);
    p.req.paused = true;
    past_internal(&p, "xvda", "/img/web.qcow2");
    past_expect(&p, "revert-left-paused");
    past_dispose(&p);
}

static void off(void)
{
    struct past p;

    past_make(&p);
    past_off(&p);
    past_internal(&p, "xvda", "/img/web.qcow2");
    past_expect(&p, "revert-internal-off");
    past_dispose(&p);
    past_make(&p);
    past_off(&p);
    past_external(&p, "xvda", "qcow2", "/img/web.qcow2");
    past_expect(&p, "revert-external-off");
    past_dispose(&p);
}

static void no_protect(void)
{
    struct past p;

    past_make(&p);
    p.req.protect = false;
    p.req.current_path = NULL;
    past_external(&p, "xvda", "raw", "/img/web.raw");
    past_expect(&p, "revert-no-protect-no-current");
    past_dispose(&p);
}

/* A hand-written set has no name: no hint can name it. */
static void no_name(void)
{
    struct past p;

    past_make(&p);
    world_set(&p.set.name, NULL);
    past_internal(&p, "xvda", "/img/web.qcow2");
    past_expect(&p, "revert-set-without-name");
    past_dispose(&p);
}

static void partial(void)
{
    struct past p;

    past_make(&p);
    past_internal(&p, "xvda", "/img/web.qcow2");
    snap_strings_add(&p.f.excluded, "xvdb");
    past_exclude(&p, "xvdb");
    past_expect(&p, "revert-partial-named-again");
    past_dispose(&p);
}

/* ---- what the text does not show ---- */

static const struct snap_step *find_step(const struct snap_plan *p,
                                         enum snap_step_kind kind)
{
    size_t i;

    for (i = 0; i < p->len; i++)
        if (p->steps[i].kind == kind) return &p->steps[i];
    bail("there is no %s step", snap_step_word(kind));
}

static void arguments(void)
{
    struct snap_ctx sc = SNAP_CTX_INIT;
    const struct snap_step *s;
    struct snap_plan p;
    struct past past;

    four_disks(&past);
    if (!is_int(past_plan(&sc, &past, &p), 0, "there is a plan"))
        bail("%s", sc.message);
    s = find_step(&p, STEP_RECHECK_IDLE);
    is_str(snap_step_get(s, "image"), "/img/a.qcow2",
           "the image that is written in place must be idle");
    is_str(snap_step_get_nth(s, "image", 1), NULL, "... and no other");
    is_str(snap_step_get(s, "uuid"), past.now.f.dom.uuid,
           "the last look knows which domain is meant");
    s = find_step(&p, STEP_DESTROY);
    is_uint(snap_step_get_u64(s, "qemu-pid"), 901,
            "destroy waits for this QEMU");
    is_uint(snap_step_get_u64(s, "qemu-start"), 4711,
            "... known by its start time");
    s = find_step(&p, STEP_CURRENT);
    is_str(snap_step_get(s, "copy"), "/img/c.copy.qcow2",
           "current remembers the copy");
    is_str(snap_step_get(s, "of"), "/img/c.qcow2", "... of which image");
    is_str(snap_step_get_nth(s, "copy", 1), NULL, "... and nothing else");
    is_str(snap_step_get(find_step(&p, STEP_OVERLAY), "format"), "raw",
           "an overlay is told its base's format");
    snap_plan_dispose(&p);
    past_dispose(&past);
}

int main(void)
{
    internal_in_place();
    external_overlay();
    with_monitor();
    copy_where_frozen();
    mixed();
    paused_domain();
    paused_by_us();
    shut_down_domain();
    left_paused();
    off();
    no_protect();
    no_name();
    partial();
    arguments();
    return done_testing();
}
