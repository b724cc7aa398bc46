/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * What snapshot-adopt looks at: the memory image, the disks of the domain,
 * running or off, and who has the layers that are said to be frozen.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "host/claims.h"
#include "host/users.h"
#include "op/adopt.h"

/* ---- the memory image -------------------------------------------- */

/* What a link leads to can change before it is copied. */
static int open_memory(struct snap_adopt *a, int *fd)
{
    const char *path = a->p->memory;
    struct stat st;

    *fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
    if (*fd < 0 && errno == ELOOP)
        return snap_fail(a->sc, ERROR_INVAL, "the memory image '%s' is a "
                         "symbolic link; name the file that it leads to",
                         path);
    if (*fd < 0 || fstat(*fd, &st))
        return snap_fail_errno(a->sc, errno, "cannot open the memory image "
                               "'%s'", path);
    if (!S_ISREG(st.st_mode))
        return snap_fail(a->sc, ERROR_INVAL, "the memory image '%s' is not a "
                         "regular file", path);
    a->saved_sec = st.st_mtim.tv_sec;
    return 0;
}

int snap_adopt_read_memory(struct snap_adopt *a)
{
    AUTO_CLOSE int fd = -1;
    int rc;

    if (!a->p->memory) return 0;
    rc = open_memory(a, &fd);
    if (!rc) rc = snap_memimage_read(a->sc, fd, a->p->memory, &a->image);
    if (!rc)
        rc = snap_op_memory_config(a->sc, &a->image, &a->tree, &a->config);
    return rc ? rc : snap_op_check_kind(a->sc, a->p->memory, &a->image,
                                        &a->config);
}

/* The same kind of guest, with the same disks, or it is another one's. */
static int check_memory(struct snap_adopt *a)
{
    const struct snap_facts *f = &a->facts;
    size_t i;

    if (!a->p->memory) return 0;
    if (strcmp(a->config.type, f->dom.type))
        return snap_fail(a->sc, ERROR_INVAL, "the memory image '%s' is one of "
                         "a %s guest, but domain '%s' is %s", a->p->memory,
                         a->config.type, f->dom.name, f->dom.type);
    for (i = 0; i < f->ndisks; i++)
        if (!snap_domconfig_disk(&a->config, f->disks[i].vdev))
            return snap_fail(a->sc, ERROR_INVAL, "the memory image '%s' is one "
                             "of a guest without disk '%s', which domain '%s' "
                             "has", a->p->memory, f->disks[i].vdev,
                             f->dom.name);
    for (i = 0; i < a->config.ndisks; i++)
        if (!snap_facts_disk(&a->facts, a->config.disks[i].vdev))
            return snap_fail(a->sc, ERROR_INVAL, "the memory image '%s' is one "
                             "of a guest with disk '%s', which domain '%s' has "
                             "not", a->p->memory, a->config.disks[i].vdev,
                             f->dom.name);
    return 0;
}

/* ---- the domain -------------------------------------------------- */

static int read_running(struct snap_adopt *a, uint32_t domid)
{
    AUTO_WORKER struct snap_worker *w = NULL;
    int rc;

    if (a->p->domain_config)
        return snap_fail(a->sc, ERROR_INVAL, "domain '%s' is running, so its "
                         "disks are known: leave out the configuration '%s'",
                         a->p->domain_name, a->p->domain_config);
    rc = snap_worker_start(a->sc, -1, &w);
    if (!rc)
        rc = snap_facts_read(a->sc, a->h.xen, w, domid, &a->facts, NULL);
    if (rc || a->facts.config_json) return rc;
    return snap_fail(a->sc, ERROR_INVAL, "domain '%s' %s", a->p->domain_name,
                     domid ? "is just being torn down; try again when it is "
                     "gone" : "is dom0, which has no snapshots");
}

/* By its xl.cfg. */
static int read_config(struct snap_adopt *a)
{
    AUTO_JSON struct snap_json *tree = NULL;
    struct snap_facts *f = &a->facts;
    struct stat st;
    int rc;

    if (stat(a->p->domain_config, &st))
        rc = snap_fail_errno(a->sc, errno, "cannot be read");
    else if (!S_ISREG(st.st_mode))
        rc = snap_fail(a->sc, ERROR_INVAL, "it is not a regular file");
    else
        rc = snap_op_ask_xl(a->sc, a->p->stock_xl, a->p->domain_config, NULL,
                            &tree);
    if (!rc) rc = snap_facts_of_config(a->sc, tree, a->p->domain_name, f);
    if (!rc && strcmp(f->config.name, f->dom.name))
        rc = snap_fail(a->sc, ERROR_INVAL, "it is the configuration of domain "
                       "'%s', not of '%s'", f->config.name, f->dom.name);
    return rc ? snap_within(a->sc, rc, "configuration '%s'",
                            a->p->domain_config) : 0;
}

static int read_domain(struct snap_adopt *a)
{
    uint32_t domid;
    int rc = snap_xen_by_name(a->h.xen, a->p->domain_name, &domid);

    if (!rc) return read_running(a, domid);
    if (rc != ERROR_DOMAIN_NOTFOUND) return rc;
    if (a->p->domain_config) return read_config(a);
    if (a->p->memory)
        return snap_facts_of_config(a->sc, a->tree, a->p->domain_name,
                                    &a->facts);
    return snap_fail(a->sc, ERROR_INVAL, "domain '%s' is not running, so "
                     "nothing says which disks it has; give its xl.cfg with "
                     "--config", a->p->domain_name);
}

/* ---- images ------------------------------------------------------ */

static int identify_layers(struct snap_adopt *a, struct snap_adopt_choice *c)
{
    const struct snap_chain *chain = &c->disk->chain;
    int rc = 0;

    if (c->disk->chain_error) return 0;
    c->layers = snap_zalloc((chain->len + 1) * sizeof(*c->layers));
    for (; !rc && c->nlayers < chain->len; c->nlayers += !rc)
        rc = snap_fs_identify(a->sc, chain->data[c->nlayers].path,
                              &c->layers[c->nlayers]);
    return rc ? snap_within(a->sc, rc, "disk '%s'", c->disk->vdev) : 0;
}

static int identify_bases(struct snap_adopt *a)
{
    size_t i;
    int rc = 0;

    a->bases = snap_zalloc((a->p->ndisks + 1) * sizeof(*a->bases));
    for (i = 0; !rc && i < a->p->ndisks; i++)
        if (a->p->disks[i].kind == LIBXL_SNAPSHOT_ADOPT_BASE) {
            rc = snap_fs_identify(a->sc, a->p->disks[i].what, &a->bases[i]);
            if (rc)
                rc = snap_within(a->sc, rc, "disk '%s'",
                                 a->p->disks[i].vdev);
        }
    return rc;
}

static int choose(struct snap_adopt *a)
{
    struct snap_facts *f = &a->facts;
    size_t i;
    int rc = identify_bases(a);

    a->choices = snap_zalloc((f->ndisks + 1) * sizeof(*a->choices));
    for (i = 0; !rc && i < f->ndisks; i++) {
        a->choices[i].disk = &f->disks[i];
        rc = identify_layers(a, &a->choices[i]);
    }
    a->req = (struct snap_adopt_request) {
        .name = a->p->name, .directory = a->p->directory,
        .wishes = a->p->disks, .bases = a->bases, .nwishes = a->p->ndisks,
        .memory = a->p->memory, .memory_bytes = a->image.size_bytes,
        .protect = a->p->protect,
    };
    return rc ? rc : snap_adopt_choose(a->sc, f, &a->req, a->choices,
                                       &a->plan);
}

/* A frozen base is read by who stands on it, and written by nobody. */
static int check_writers(struct snap_adopt *a, const struct snap_fs_id *base)
{
    AUTO_FREE char *who = NULL;
    int rc = snap_users_find_writer(a->sc, base, &who);

    return rc || !who ? rc : snap_fail(a->sc, ERROR_INVAL, "'%s' is not "
                                       "frozen: %s has it open for writing",
                                       base->real, who);
}

static int check_claims(struct snap_adopt *a, const struct snap_fs_id *base)
{
    struct snap_claim_hits hits;
    size_t i;
    int rc = snap_claims_on(a->sc, a->h.xen,
                            a->facts.exists ? (int64_t)a->facts.dom.domid : -1,
                            base, 1, &hits);

    for (i = 0; !rc && i < hits.len; i++)
        if (!hits.data[i].below)
            rc = snap_fail(a->sc, ERROR_INVAL, "'%s' is not frozen: it is the "
                           "disk of %s", base->real, hits.data[i].text);
    snap_claim_hits_dispose(&hits);
    return rc;
}

static int look_at_base(struct snap_adopt *a, struct snap_adopt_choice *c)
{
    const struct snap_fs_id *base = &c->layers[c->layer];
    bool have;
    int rc = check_writers(a, base);

    if (!rc) rc = check_claims(a, base);
    if (!rc && a->p->protect && !base->block)
        rc = snap_fs_get_immutable(a->sc, base->real, &c->immutable, &have);
    return rc ? snap_within(a->sc, rc, "disk '%s'", c->disk->vdev) : 0;
}

int snap_adopt_look(struct snap_adopt *a)
{
    size_t i;
    int rc = read_domain(a);

    if (!rc) rc = check_memory(a);
    if (!rc) rc = choose(a);
    for (i = 0; !rc && i < a->facts.ndisks; i++)
        if (a->choices[i].how == SNAP_ADOPT_BASE)
            rc = look_at_base(a, &a->choices[i]);
    if (!rc)
        snap_adopt_plan(&a->req, a->choices, a->facts.ndisks, &a->plan);
    return rc;
}

void snap_adopt_forget(struct snap_adopt *a)
{
    size_t i;

    snap_adopt_choices_dispose(a->choices, a->facts.ndisks);
    a->choices = NULL;
    for (i = 0; a->bases && i < a->p->ndisks; i++)
        free(a->bases[i].real);
    free(a->bases);
    a->bases = NULL;
    snap_plan_dispose(&a->plan);
    snap_facts_dispose(&a->facts);
}
