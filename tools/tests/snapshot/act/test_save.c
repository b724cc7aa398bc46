/* SPDX-License-Identifier: LGPL-2.1-only */
/* Suspending a domain and saving its memory, and what is made of a failure. */
#include "act/fake_xen.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "step/step.h"
#include "tap.h"

#define HEADER_BYTES 64

static struct snap_ctx sc = SNAP_CTX_INIT;

struct run {
    struct snap_xen xen;
    struct snap_facts facts;
    struct snap_act act;
    struct snap_step step;
};

static void begin(struct run *r)
{
    memset(r, 0, sizeof(*r));
    fake_begin();
    fake_open(&sc, &r->xen);
    r->facts.dom.name = snap_strdup("web");
    r->facts.dom.current_kb = 1024;
    r->facts.dom.domid = 7;
    r->act = (struct snap_act) {
        .sc = &sc, .xen = &r->xen, .facts = &r->facts,
        .header_bytes = HEADER_BYTES,
        .memory_fd = memfd_create("memory", MFD_CLOEXEC),
    };
    if (r->act.memory_fd < 0 || ftruncate(r->act.memory_fd, HEADER_BYTES)
        || lseek(r->act.memory_fd, 0, SEEK_END) < 0)
        bail("memfd: %s", strerror(errno));
    if (snap_worker_start(&sc, r->act.memory_fd, &r->act.worker))
        bail("no worker: %s", sc.message);
    snap_step_arg(&r->step, "domid", "7");
    snap_step_arg(&r->step, "uuid", FAKE_UUID);
    snap_step_arg(&r->step, "how", "save");
    snap_step_arg(&r->step, "path", "/there/memory.xl");
}

static void end(struct run *r)
{
    snap_worker_stop(r->act.worker);
    close(r->act.memory_fd);
    free(r->facts.dom.name);
    snap_strings_dispose(&r->step.args);
    snap_clear(&sc);
}

static int suspend(struct run *r)
{
    return snap_step_suspend.apply(&r->act, &r->step);
}

static int undo(struct run *r)
{
    return snap_step_suspend.undo(&r->act, &r->step);
}

static int memory(struct run *r)
{
    return snap_step_memory.apply(&r->act, &r->step);
}

/* ---- claims ---- */

static void test_saved(void)
{
    struct run r;

    begin(&r);
    is_int(suspend(&r), 0, "it waits until the domain stands");
    ok(fake->suspended && fake->asked == 1, "which was asked once");
    is_int(memory(&r), 0, "and until the memory is saved");
    ok(r.act.saved, "libxl has returned");
    is_int(undo(&r), 0, "undone");
    ok(!fake->suspended && fake->resumed == 1, "the domain is resumed");
    end(&r);
}

/* No longer than libxl needs to give up: nobody else watches it here. */
static void test_libxl_hangs(void)
{
    struct run r;

    begin(&r);
    fake->suspend_hangs = true;
    fake->look_ms = 10000;
    is_int(suspend(&r), ERROR_TIMEDOUT, "a libxl that never returns is not "
           "waited for for ever");
    like(sc.message, "libxl did not suspend the domain within 150 s",
         "which is what it says");
    fake->look_ms = 0;
    fake_set("/local/domain/7/control/shutdown", "suspend");
    snap_clear(&sc);
    is_int(undo(&r), 0, "undone");
    is_str(fake_get("/local/domain/7/control/shutdown"), "",
           "the request is withdrawn");
    ok(!fake->suspended && !r.act.unclear, "the domain runs");
    end(&r);
}

static void test_guest_is_silent(void)
{
    struct run r;

    begin(&r);
    fake->suspend_rc = ERROR_GUEST_TIMEDOUT;
    is_int(suspend(&r), ERROR_GUEST_TIMEDOUT, "a guest that does not answer "
           "is libxl's finding");
    like(sc.message, "the guest of domain 'web' did not answer the suspend "
         "request within 60 s", "which is what it says");
    end(&r);
}

static void test_libxl_fails(void)
{
    struct run r;

    begin(&r);
    fake->suspend_rc = ERROR_NOMEM;
    is_int(suspend(&r), ERROR_NOMEM, "libxl's failure is passed on");
    like(sc.message, "saving the memory of domain 'web' failed (libxl -5)",
         "with its code");
    end(&r);
    begin(&r);
    fake->suspend_rc = ERROR_FAIL;
    fake->exists = false;
    is_int(suspend(&r), ERROR_DOMAIN_NOTFOUND, "a domain that went away "
           "meanwhile is gone");
    like(sc.message, "domain 'web' (7) is gone: it rebooted, powered off or",
         "which is said, not libxl's riddle");
    end(&r);
}

static void test_worker_dies(void)
{
    struct run r;

    begin(&r);
    fake->suspend_hangs = true;
    if (kill(snap_worker_pgid(r.act.worker), SIGKILL))
        bail("kill: %s", strerror(errno));
    ok(suspend(&r) < 0, "a dead worker is a failure");
    like(sc.message, "the process that called libxl died", "which is what it "
         "says");
    end(&r);
}

static void test_interrupted(void)
{
    struct run r;

    begin(&r);
    fake->suspend_hangs = true;
    sc.cancelled = 1;
    is_int(suspend(&r), ERROR_ABORTED, "a signal ends the wait");
    sc.cancelled = 0;
    end(&r);
}

/* Nobody resumed it: memory that somebody else goes on with is worthless. */
static void test_resumed_by_another(void)
{
    struct run r;

    begin(&r);
    is_int(suspend(&r), 0, "the domain stands");
    if (!r.act.saved)           /* libxl's answer came later */
        r.act.saved = !snap_worker_poll(r.act.worker, 10000, &(int){ 0 },
                                        NULL, NULL);
    fake->suspended = false;
    ok(memory(&r) < 0, "somebody resumed it: a failure");
    like(sc.message, "somebody else resumed it", "which is what it says");
    end(&r);
}

int main(void)
{
    test_saved();
    test_libxl_hangs();
    test_guest_is_silent();
    test_libxl_fails();
    test_worker_dies();
    test_interrupted();
    test_resumed_by_another();
    return done_testing();
}
