/* SPDX-License-Identifier: LGPL-2.1-only */
/* snapshot-revert without memory: its plans, and what does not matter then. */
#include "tap.h"
#include "world.h"

/* Running, with a monitor; xvda has the tag, xvdb is a frozen base. */
static void two_disks(struct past *p, const char *file)
{
    past_make(p);
    world_monitor(&p->now);
    past_internal(p, "xvda", "/img/a.qcow2");
    past_external(p, "xvdb", "raw", "/img/b.raw");
    past_disk_only(p, file);
}

static void plans(void)
{
    struct past p;

    two_disks(&p, "/dev/null");
    past_expect(&p, "revert-disk-only");
    past_dispose(&p);
    past_make(&p);
    past_off(&p);
    past_disk_only(&p, "/etc/xen/web.cfg");
    p.req.paused = true;
    past_external(&p, "xvda", "raw", "/img/web.raw");
    past_expect(&p, "revert-disk-only-off-paused");
    past_dispose(&p);
}

static void arguments(void)
{
    struct snap_ctx sc = SNAP_CTX_INIT;
    const struct snap_step *s;
    struct snap_plan p;
    struct past past;
    size_t i;

    two_disks(&past, "/etc/xen/web.cfg");
    if (past_plan(&sc, &past, &p)) bail("%s", sc.message);
    for (i = 0; i < p.len && p.steps[i].kind != STEP_BOOT; i++)
        continue;
    if (i == p.len) bail("there is no boot step");
    s = &p.steps[i];
    is_str(snap_step_get(s, "file"), "/etc/xen/web.cfg",
           "a boot knows the file");
    is_str(snap_step_get(s, "word"), "name=\"web\"", "... and the words");
    is_str(snap_step_get_nth(s, "word", 1), "memory=\"256\"",
           "... in their order");
    is_str(snap_step_get_nth(s, "word", 2), NULL, "... and no other");
    is_str(snap_step_get(s, "base"), "/img/b.raw",
           "it looks at the frozen bases again");
    is_str(snap_step_get(s, "memory"), NULL, "it has no use for memory");
    snap_plan_dispose(&p);
    past_dispose(&past);
}

static void planned(struct past *past, const char *message, const char *claim)
{
    struct snap_ctx sc = SNAP_CTX_INIT;
    struct snap_plan p;

    past_plan(&sc, past, &p);
    is_str(sc.message, message, "%s", claim);
    snap_plan_dispose(&p);
    snap_ctx_dispose(&sc);
    past_dispose(past);
}

static void of_memory_alone(void)
{
    struct past p;

    two_disks(&p, "/dev/null");
    p.f.xen_major = 9;
    planned(&p, NULL, "a snapshot of a newer Xen can be booted");
    two_disks(&p, "/dev/null");
    world_set(&p.config.type, "hvm");
    world_set(&p.set.qemu_version, "99.0");
    planned(&p, NULL, "... and one of a newer QEMU");
    two_disks(&p, "/dev/null");
    p.f.memory_pages = UINT64_MAX / 4096;
    planned(&p, NULL, "pages need no place");
    two_disks(&p, "/dev/null");
    p.f.need_kb = p.f.have_kb + 1;
    planned(&p, "not enough free host memory: the domain needs 1024 MiB, "
            "1024 MiB are free; stop another domain first",
            "the domain does");
}

static void left_out_disks(void)
{
    struct past p;

    two_disks(&p, "/dev/null");
    snap_strings_add(&p.f.excluded, "xvdc");
    planned(&p, NULL, "a disk that was left out need not be named again");
    two_disks(&p, "/dev/null");
    snap_strings_add(&p.f.excluded, "xvdc");
    past_exclude(&p, "xvdc");
    planned(&p, NULL, "... but can be");
    two_disks(&p, "/dev/null");
    past_exclude(&p, "xvdb");
    planned(&p, "disk 'xvdb' is in the snapshot: it cannot be left out of "
            "the revert, because the disks would not agree",
            "one of the snapshot cannot be left out");
    two_disks(&p, "/dev/null");
    past_exclude(&p, "xvdx");
    planned(&p, "the snapshot's domain has no writable disk 'xvdx' to "
            "exclude", "one that is not there neither");
}

int main(void)
{
    plans();
    arguments();
    of_memory_alone();
    left_out_disks();
    return done_testing();
}
