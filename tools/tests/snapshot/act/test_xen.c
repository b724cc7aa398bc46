/* SPDX-License-Identifier: LGPL-2.1-only */
/* What xenstore does not tell is not taken for what is not there. */
#include "act/fake_xen.h"
#include "tap.h"

#define NAME "/local/domain/7/name"
#define DISK "/libxl/7/device/vbd/51712"
#define BACKEND "/local/domain/0/backend/qdisk/7/51712"

static struct snap_ctx sc = SNAP_CTX_INIT;

static void begin(struct snap_xen *x)
{
    snap_clear(&sc);
    fake_begin();
    fake_open(&sc, x);
    fake_set(NAME, "web");
    fake_set(DISK "/backend", BACKEND);
    fake_set(DISK "/params", "qcow2:/img/a.qcow2");
    fake_set(BACKEND "/params", "qcow2:/img/a.qcow2");
    fake_set(BACKEND "/dev", "xvda");
}

/* A path cannot be read now. */
static void hide(const char *path)
{
    snap_clear(&sc);
    snprintf(fake->unreadable, sizeof(fake->unreadable), "%s", path);
}

/* A domain without its name would be locked by another one. */
static void test_name(void)
{
    struct snap_dominfo dom;
    struct snap_xen x;

    begin(&x);
    is_int(snap_xen_domain(&x, 7, &dom), 0, "a domain is looked at");
    is_str(dom.name, "web", "it has a name");
    snap_dominfo_dispose(&dom);
    hide(NAME);
    ok(snap_xen_domain(&x, 7, &dom) < 0, "if that cannot be read, it cannot "
       "be looked at");
    like(sc.message, "xenstore: cannot read the name of domain 7", "which is "
         "said");
    hide("");
    is_int(snap_xen_domain(&x, 7, &dom), 0, "and is over when it can");
    snap_dominfo_dispose(&dom);
    fake_unset(NAME);
    is_int(snap_xen_domain(&x, 7, &dom), 0, "one that is torn down has none "
           "any more");
    is_str(dom.name, "", "it is nameless");
    snap_dominfo_dispose(&dom);
}

/* Another domain's disk that is not seen would be nobody's. */
static void test_claims(void)
{
    static const char *const paths[] = {
        DISK "/backend", BACKEND "/params", BACKEND "/dev",
    };
    struct snap_claims claims;
    struct snap_xen x;
    size_t i;

    begin(&x);
    is_int(snap_xen_claims(&x, &claims), 0, "what domains have is looked at");
    is_uint(claims.len, 1, "a disk");
    snap_claims_dispose(&claims);
    for (i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        hide(paths[i]);
        ok(snap_xen_claims(&x, &claims) < 0, "not if xenstore hides %s",
           paths[i]);
        like(sc.message, "xenstore: cannot read the disks of domain 7",
             "which is said");
        snap_claims_dispose(&claims);
    }
}

int main(void)
{
    test_name();
    test_claims();
    snap_clear(&sc);
    return done_testing();
}
