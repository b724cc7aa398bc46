/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * Law 3, look before you leap: all that a revert will need is read and
 * checked here, before anything is destroyed.
 */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include <libxl_utils.h>

#include "host/claims.h"
#include "host/dependents.h"
#include "host/inuse.h"
#include "host/lineage.h"
#include "host/run.h"
#include "op/revert.h"

#define XL_TIMEOUT_MS 60000
#define XL_SCRIPTS "/etc/xen/scripts"
#define DEVICE_MODEL "/usr/libexec/xen-qemu-system-i386"
/* Less dom0 memory than this no autoballooning is counted on. */
#define DOM0_FLOOR_KB (1024 * 1024)

/* ---- the memory image -------------------------------------------- */

static int open_memory(struct snap_revert *r)
{
    const struct snap_manifest *m = &r->p->set->manifest;
    struct stat st;

    if (!m->memory_path)
        return snap_fail(r->sc, ERROR_INVAL, "the snapshot has no memory "
                         "image, and reverting disks alone is not supported "
                         "yet");
    r->f.memory_path = m->memory_path[0] == '/' || !r->p->set->directory
        ? snap_strdup(m->memory_path)
        : snap_printf("%s/%s", r->p->set->directory, m->memory_path);
    r->memory_fd = open(r->f.memory_path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (r->memory_fd < 0 || fstat(r->memory_fd, &st))
        return snap_fail_errno(r->sc, errno, "cannot open the memory image "
                               "'%s'", r->f.memory_path);
    if (!S_ISREG(st.st_mode))
        return snap_fail(r->sc, ERROR_INVAL, "the memory image '%s' is not a "
                         "regular file", r->f.memory_path);
    return 0;
}

/* The stream's kind of guest against the configuration's: `xl restore` finds
 * out only after the old domain is gone. */
static int check_kind(struct snap_revert *r)
{
    const char *type = r->config.type ? r->config.type : "?";
    bool hvm = !strcmp(type, "hvm");

    if (r->image.hvm == (strcmp(type, "pv") != 0)
        && r->image.has_emulator == hvm)
        return 0;
    return snap_fail(r->sc, ERROR_INVAL, "the memory image '%s' is not one "
                     "of a %s guest, as its configuration says: it is not "
                     "whole", r->f.memory_path, type);
}

static int read_memory(struct snap_revert *r)
{
    const struct snap_manifest *m = &r->p->set->manifest;
    int rc = open_memory(r);

    if (!rc) rc = snap_memimage_read(r->sc, r->memory_fd, r->f.memory_path,
                                     &r->image);
    if (rc) return rc;
    if (m->memory_size_bytes && m->memory_size_bytes != r->image.size_bytes)
        return snap_fail(r->sc, ERROR_INVAL, "the memory image '%s' has %llu "
                         "bytes, the manifest says %llu: it is not the one "
                         "that was made", r->f.memory_path,
                         (unsigned long long)r->image.size_bytes,
                         (unsigned long long)m->memory_size_bytes);
    if (m->memory_head_sha256
        && strcmp(m->memory_head_sha256, r->image.head_sha256))
        return snap_fail(r->sc, ERROR_INVAL, "the head of the memory image "
                         "'%s' was changed since the snapshot (checksum)",
                         r->f.memory_path);
    rc = snap_json_parse(r->sc, "the memory image's configuration",
                         r->image.config, strlen(r->image.config), &r->tree);
    if (!rc) rc = snap_domconfig_read(r->sc, r->tree, &r->config);
    if (rc) return rc;
    rc = check_kind(r);
    if (rc) return rc;
    r->f.memory_pages = r->image.pages;
    r->f.xen_major = r->image.xen_major;
    r->f.xen_minor = r->image.xen_minor;
    r->f.config = &r->config;
    return 0;
}

/* ---- the user's xl.cfg ------------------------------------------- */

/* `xl -N create FILE` parses it and prints JSON; nothing is created. */
static int read_user_config(struct snap_revert *r, struct snap_json **out)
{
    const char *argv[] = {
        r->p->stock_xl, "-N", "create", r->p->domain_config, NULL,
    };
    AUTO_FREE char *text = NULL;
    const char *json;
    int rc;

    if (access(r->p->domain_config, R_OK))
        return snap_fail_errno(r->sc, errno, "cannot be read");
    rc = snap_run_ok(r->sc, argv, XL_TIMEOUT_MS, &text);
    if (rc) return rc;
    json = strchr(text, '{');
    if (!json || strchr(text, '(') == text)
        return snap_fail(r->sc, ERROR_INVAL, "xl did not print it as JSON: "
                         "set output_format=\"json\" in "
                         "/etc/xen/xl.conf");
    return snap_json_parse(r->sc, "what xl made of it", json, strlen(json),
                           out);
}

static int merge_user_config(struct snap_revert *r)
{
    AUTO_JSON struct snap_json *user = NULL;
    struct snap_strings vdevs = { 0 };
    size_t i;
    int rc;

    if (!r->p->domain_config) return 0;
    rc = read_user_config(r, &user);
    for (i = 0; i < r->set.ndisks; i++)
        snap_strings_add(&vdevs, r->set.disks[i].vdev);
    if (!rc)
        rc = snap_domconfig_merge(r->sc, r->tree, user, r->p->domain_name,
                                  &vdevs);
    if (rc) rc = snap_within(r->sc, rc, "configuration '%s'",
                             r->p->domain_config);
    snap_strings_dispose(&vdevs);
    if (rc) return rc;
    /* What it names now is what counts from here on. */
    snap_domconfig_dispose(&r->config);
    return snap_domconfig_read(r->sc, r->tree, &r->config);
}

/* ---- the set of disks -------------------------------------------- */

static const struct snap_domconfig_disk *
config_disk(const struct snap_revert *r, const char *vdev)
{
    size_t i;

    for (i = 0; i < r->config.ndisks; i++)
        if (!strcmp(r->config.disks[i].vdev, vdev))
            return &r->config.disks[i];
    return NULL;
}

/* A hand-written set may lack what the memory image's configuration has. */
static int complete_disk(struct snap_revert *r, struct snap_manifest_disk *d,
                         const struct snap_manifest_disk *from)
{
    const struct snap_domconfig_disk *c = config_disk(r, from->vdev);

    if (!c || c->cdrom)
        return snap_fail(r->sc, ERROR_INVAL, "disk '%s' of the snapshot is "
                         "not in the memory image's configuration",
                         from->vdev);
    d->vdev = snap_strdup(from->vdev);
    d->type = from->type;
    d->image = snap_strdup(from->image ? from->image : c->path);
    d->format = snap_strdup(from->format ? from->format
                            : c->format ? c->format : "raw");
    d->overlay = snap_strdup(from->overlay);
    d->tag = snap_strdup(from->tag ? from->tag : r->p->set->manifest.name);
    d->tag_id = snap_strdup(from->tag_id);
    d->size_bytes = from->size_bytes;
    d->mtime_ns = from->mtime_ns;
    if (!d->image)
        return snap_fail(r->sc, ERROR_INVAL, "disk '%s': no image is named, "
                         "neither in the set nor in the memory image",
                         d->vdev);
    if (d->type == SNAP_DISK_INTERNAL && !d->tag)
        return snap_fail(r->sc, ERROR_INVAL, "disk '%s': no tag is named; "
                         "give name= in the set", d->vdev);
    return 0;
}

/* A hand-written set over a memory image of ours: there an external disk
 * stands read-only, as its frozen base, so only the manifest beside it tells
 * that the guest could write it. */
static int forgotten_disks(struct snap_revert *r)
{
    struct snap_ctx quiet = SNAP_CTX_INIT;
    AUTO_FREE char *copy = NULL;
    libxl_snapshot_set beside;
    size_t i, k;

    if (r->p->set->directory) return 0;
    copy = snap_strdup(r->f.memory_path);
    if (!libxl_snapshot_load(&quiet, dirname(copy), &beside)) {
        for (i = 0; i < beside.manifest.ndisks; i++) {
            const char *vdev = beside.manifest.disks[i].vdev;

            for (k = 0; k < r->set.ndisks; k++)
                if (!strcmp(r->set.disks[k].vdev, vdev)) break;
            if (k == r->set.ndisks
                && !snap_strings_have(&r->f.excluded, vdev))
                snap_strings_add(&r->f.excluded, vdev);
        }
    }
    libxl_snapshot_set_dispose(&beside);
    snap_ctx_dispose(&quiet);
    return 0;
}

static int complete_set(struct snap_revert *r)
{
    const struct snap_manifest *from = &r->p->set->manifest;
    size_t i, k;
    int rc = 0;

    r->set.name = snap_strdup(from->name);
    r->set.qemu_version = snap_strdup(from->qemu_version);
    r->set.domain_name = snap_strdup(from->domain_name
                                     ? from->domain_name : r->config.name);
    for (i = 0; !rc && i < from->ndisks; i++)
        rc = complete_disk(r, snap_manifest_add_disk(&r->set),
                           &from->disks[i]);
    if (rc) return rc;
    for (i = 0; i < r->config.ndisks; i++) {
        const struct snap_domconfig_disk *c = &r->config.disks[i];

        if (c->cdrom || !c->readwrite || !c->path || !*c->path) continue;
        for (k = 0; k < r->set.ndisks; k++)
            if (!strcmp(r->set.disks[k].vdev, c->vdev)) break;
        if (k == r->set.ndisks)
            snap_strings_add(&r->f.excluded, c->vdev);
    }
    rc = forgotten_disks(r);
    if (rc) return rc;
    r->f.set = &r->set;
    return 0;
}

/* ---- who depends on an image, who uses it ------------------------ */

static void freeze(struct snap_revert_disk *d, char *why)
{
    if (d->frozen_by)
        free(why);
    else
        d->frozen_by = why;
}

static void frozen_by_manifests(struct snap_revert *r,
                                struct snap_revert_disk *d)
{
    size_t i, k;

    for (i = 0; i < r->p->nothers; i++) {
        const struct snap_manifest *m = &r->p->others[i].manifest;

        for (k = 0; k < m->ndisks; k++) {
            struct snap_fs_id id;

            if (m->disks[k].type != SNAP_DISK_EXTERNAL
                || !m->disks[k].image) continue;
            if (snap_fs_identify(r->sc, m->disks[k].image, &id)) {
                snap_clear(r->sc);
                continue;
            }
            if (snap_fs_same(&id, &d->id))
                freeze(d, snap_printf("snapshot '%s' depends on '%s'",
                                      m->name, d->id.real));
            free(id.real);
        }
    }
}

/* Below the top of the present chain? */
static void frozen_by_chain(struct snap_revert *r, struct snap_revert_disk *d)
{
    size_t i, k;

    for (i = 0; i < r->now.ndisks; i++) {
        const struct snap_chain *c = &r->now.disks[i].chain;

        for (k = 1; k < c->len; k++) {
            struct snap_fs_id id;

            if (snap_fs_identify(r->sc, c->data[k].path, &id)) {
                snap_clear(r->sc);
                continue;
            }
            if (snap_fs_same(&id, &d->id))
                freeze(d, snap_printf("the present disk '%s' is an overlay "
                                      "on '%s'", r->now.disks[i].vdev,
                                      d->id.real));
            free(id.real);
        }
    }
}

static void find_frozen(struct snap_revert *r, struct snap_revert_disk *d)
{
    AUTO_FREE char *beside = NULL;

    if (d->m->type != SNAP_DISK_INTERNAL) return;
    frozen_by_manifests(r, d);
    frozen_by_chain(r, d);
    if (d->frozen_by) return;
    beside = snap_dependents_beside(r->sc, &d->id);
    if (beside)
        freeze(d, snap_printf("'%s' is an overlay on '%s'", beside,
                              d->id.real));
}

static void append(char **list, const char *text)
{
    char *more = *list ? snap_printf("%s, %s", *list, text)
                       : snap_strdup(text);

    free(*list);
    *list = more;
}

/* All disks that the domain will write: those of the set and the rest. */
static size_t all_disks(struct snap_revert *r, struct snap_revert_disk ***out)
{
    size_t i, n = 0;

    *out = snap_zalloc((r->f.ndisks + r->f.nrest + 1) * sizeof(**out));
    for (i = 0; i < r->f.ndisks; i++)
        (*out)[n++] = &r->f.disks[i];
    for (i = 0; i < r->f.nrest; i++)
        (*out)[n++] = &r->f.rest[i];
    return n;
}

static int find_processes(struct snap_revert *r,
                          struct snap_revert_disk **disks,
                          const struct snap_fs_id *ids, size_t n)
{
    int skip[2] = { getpid(), r->now.exists ? r->now.qemu_pid : 0 };
    struct snap_inuse use = { 0 };
    size_t i;
    int rc = n ? snap_inuse_scan(r->sc, ids, n, skip, 2, &use) : 0;

    for (i = 0; !rc && i < use.len; i++) {
        struct snap_revert_disk *d = disks[use.data[i].image];

        /* The domain's own loop device or block backend goes with it. */
        if (d->active && !use.data[i].pid) continue;
        append(&d->users, use.data[i].text);
        if (use.data[i].writes) append(&d->writers, use.data[i].text);
    }
    snap_inuse_dispose(&use);
    return rc;
}

static int find_claims(struct snap_revert *r, struct snap_revert_disk **disks,
                       const struct snap_fs_id *ids, size_t n)
{
    struct snap_claim_hits hits;
    size_t i;
    int rc = snap_claims_on(r->sc, r->xen,
                            r->now.exists ? (int64_t)r->now.dom.domid : -1,
                            ids, n, &hits);

    for (i = 0; !rc && i < hits.len; i++) {
        struct snap_revert_disk *d = disks[hits.data[i].image];

        append(&d->users, hits.data[i].text);
        if (!hits.data[i].below) append(&d->writers, hits.data[i].text);
    }
    snap_claim_hits_dispose(&hits);
    return rc;
}

static int find_users(struct snap_revert *r)
{
    struct snap_revert_disk **disks;
    size_t i, n = all_disks(r, &disks);
    struct snap_fs_id *ids = snap_zalloc((n + 1) * sizeof(*ids));
    int rc;

    for (i = 0; i < n; i++)
        ids[i] = disks[i]->id;
    rc = find_processes(r, disks, ids, n);
    if (!rc) rc = find_claims(r, disks, ids, n);
    free(ids);
    free(disks);
    return rc;
}

/* ---- whose snapshot is it ---------------------------------------- */

/* The present chain of a disk as identities, top first. */
static void chain_ids(struct snap_revert *r, const struct snap_chain *c,
                      const struct snap_fs_id *top, struct snap_fs_id **ids,
                      size_t *n)
{
    size_t i;

    *ids = snap_zalloc((c->len + 1) * sizeof(**ids));
    *n = 0;
    if (top) {
        (*ids)[*n] = *top;
        (*ids)[(*n)++].real = snap_strdup(top->real);
    }
    for (i = top ? 1 : 0; i < c->len; i++) {
        if (snap_fs_identify(r->sc, c->data[i].path, &(*ids)[*n]))
            snap_clear(r->sc);
        else
            ++*n;
    }
}

static void ids_free(struct snap_fs_id *ids, size_t n)
{
    while (n-- > 0)
        free(ids[n].real);
    free(ids);
}

/*
 * 2: the snapshot's own image (or a copy of it, or what it is a copy of) is
 * in the present chain. 1: only a layer below it is, which two domains on one
 * golden image share as well. 0: nothing in common.
 */
static int common_ground(struct snap_revert *r, const struct snap_lineage *l,
                         const struct snap_facts_disk *now,
                         const struct snap_revert_disk *d)
{
    struct snap_fs_id *have, *want;
    size_t nhave, nwant, i, k;
    int answer = 0;

    chain_ids(r, &now->chain, now->have_id ? &now->id : NULL, &have, &nhave);
    chain_ids(r, &d->chain, &d->id, &want, &nwant);
    for (k = 0; k < nwant && !answer; k++)
        for (i = 0; i < nhave && !answer; i++)
            if (snap_lineage_related(l, &have[i], &want[k]))
                answer = k == 0 ? 2 : 1;
    ids_free(have, nhave);
    ids_free(want, nwant);
    return answer;
}

static void judge_disk(struct snap_revert *r, const struct snap_lineage *l,
                       const struct snap_revert_disk *d)
{
    const struct snap_facts_disk *now = snap_facts_disk(&r->now, d->m->vdev);
    bool same_name = r->set.domain_name
                     && !strcmp(r->set.domain_name, r->p->domain_name);
    int ground;

    if (!now) {
        r->f.stranger = snap_printf("the domain has no disk '%s'",
                                    d->m->vdev);
        return;
    }
    ground = common_ground(r, l, now, d);
    if (ground == 2 || (ground == 1 && same_name)) return;
    r->f.stranger = snap_printf("its disk '%s' is on '%s', which has nothing "
                                "in common with '%s'%s", d->m->vdev,
                                now->path ? now->path : "nothing",
                                d->id.real, ground == 1 ? " but a base that "
                                "other domains may share" : "");
}

static void judge_running(struct snap_revert *r)
{
    struct snap_lineage l;
    size_t i;

    snap_lineage_read(r->sc, r->p->current_path, &l);
    for (i = 0; i < r->f.ndisks && !r->f.stranger; i++)
        judge_disk(r, &l, &r->f.disks[i]);
    snap_lineage_dispose(&l);
}

static void judge_identity(struct snap_revert *r)
{
    if (r->now.exists)
        judge_running(r);
    else if (r->set.domain_name
             && strcmp(r->set.domain_name, r->p->domain_name))
        r->f.stranger = snap_printf("it was made of a domain called '%s', "
                                    "and no domain '%s' runs whose disks "
                                    "could be compared", r->set.domain_name,
                                    r->p->domain_name);
}

/* ---- memory of the host ------------------------------------------ */

static int read_memory_need(struct snap_revert *r)
{
    AUTO_FREE char *json = snap_json_print(r->tree);
    AUTO_FREE char *kb = NULL;
    struct snap_dominfo dom0;
    int rc;

    rc = snap_worker_call(r->worker, SNAP_WORKER_NEED_MEMORY, 0, 0, json,
                          strlen(json) + 1, XL_TIMEOUT_MS,
                          "reading how much memory the domain needs", &kb);
    if (rc) return rc;
    r->f.need_kb = strtoull(kb, NULL, 10);
    r->f.have_kb = r->host.free_kb;
    if (r->now.exists) r->f.have_kb += r->now.dom.current_kb;
    if (r->host.dom0_balloons && !snap_xen_domain(r->xen, 0, &dom0)) {
        if (dom0.current_kb > DOM0_FLOOR_KB)
            r->f.have_kb += dom0.current_kb - DOM0_FLOOR_KB;
        snap_dominfo_dispose(&dom0);
    }
    return 0;
}

/* ---- all of it --------------------------------------------------- */

/* A domain whose QEMU is gone (it is half destroyed, say) still has disks
 * that tell whose they are. */
static void read_chains_without_qemu(struct snap_revert *r)
{
    size_t i;

    for (i = 0; i < r->now.ndisks; i++) {
        struct snap_facts_disk *d = &r->now.disks[i];

        if (d->chain.len || d->chain_error || !d->have_id || !d->format)
            continue;
        if (!snap_image_chain(r->sc, d->id.real, d->format, &d->chain))
            continue;
        snap_log(r->sc, SNAP_LOG_DETAIL, "%s", r->sc->message);
        snap_clear(r->sc);
    }
}

static int read_now(struct snap_revert *r)
{
    uint32_t domid;
    int rc = 0;

    rc = snap_xen_host(r->xen, &r->host);
    if (rc) return rc;
    if (!libxl_name_to_domid(r->xen->ctx, r->p->domain_name, &domid)) {
        rc = snap_facts_read(r->sc, r->xen, r->worker, domid, &r->now, NULL);
    } else {
        r->f.between_pid = snap_monitor_between(r->sc, r->p->domain_name);
        rc = snap_xen_host(r->xen, &r->now.host);
    }
    if (!rc) read_chains_without_qemu(r);
    r->f.now = &r->now;
    r->f.domain_name = r->p->domain_name;
    return rc;
}

/* The chain of an image: QEMU's own words where it is the running domain's
 * active layer, qemu-img's else. */
static int read_chain(struct snap_revert *r, struct snap_revert_disk *d)
{
    size_t i;

    for (i = 0; i < r->now.ndisks; i++) {
        const struct snap_facts_disk *now = &r->now.disks[i];

        if (now->image && !now->chain_error && now->have_id
            && snap_fs_same(&now->id, &d->id)
            && !strcmp(now->format, d->m->format))
            return snap_image_chain_from_json(r->sc, now->image, &d->chain);
    }
    return snap_image_chain(r->sc, d->id.real, d->m->format, &d->chain);
}

/* Why an image could not be written; qemu-img finds out only after the old
 * domain is gone. */
static char *why_unwritable(const char *path)
{
    struct snap_ctx quiet = SNAP_CTX_INIT;
    bool on = false, have = false;
    int rc = snap_fs_get_immutable(&quiet, path, &on, &have);

    snap_ctx_dispose(&quiet);
    if (!rc && have && on)
        return snap_printf("it is immutable although no snapshot stands on "
                           "it; run `chattr -i` on it");
    if (access(path, W_OK))
        return snap_printf("%s", strerror(errno));
    return NULL;
}

static void find_state(struct snap_revert *r, struct snap_revert_disk *d)
{
    size_t i;

    find_frozen(r, d);
    d->unwritable = why_unwritable(d->id.real);
    for (i = 0; i < r->now.ndisks; i++)
        if (r->now.disks[i].have_id && r->now.disks[i].readwrite
            && snap_fs_same(&r->now.disks[i].id, &d->id))
            d->active = true;
}

/* What a disk that is not in the set is on, from now on: where the running
 * domain has it, unless a DOMAIN-CONFIG says so itself. */
static int keep_present(struct snap_revert *r, const char *vdev)
{
    const struct snap_facts_disk *now = snap_facts_disk(&r->now, vdev);

    if (r->p->domain_config || !now || !now->path || !*now->path) return 0;
    return snap_domconfig_set_disk(r->sc, r->tree, vdev, now->path,
                                   now->format, true);
}

static int read_rest(struct snap_revert *r)
{
    size_t i, n = r->f.excluded.len;
    int rc = 0;

    for (i = 0; !rc && i < n; i++)
        rc = keep_present(r, r->f.excluded.data[i]);
    if (rc) return rc;
    snap_domconfig_dispose(&r->config);
    rc = snap_domconfig_read(r->sc, r->tree, &r->config);
    r->f.rest = snap_zalloc((n + 1) * sizeof(*r->f.rest));
    r->f.rest_m = snap_zalloc((n + 1) * sizeof(*r->f.rest_m));
    for (i = 0; !rc && i < n; i++) {
        const struct snap_domconfig_disk *c =
            config_disk(r, r->f.excluded.data[i]);
        struct snap_revert_disk *d = &r->f.rest[r->f.nrest];

        if (!c || !c->path || c->path[0] != '/') continue;
        /* Only written in place, as an internal one is. */
        r->f.rest_m[r->f.nrest].vdev = r->f.excluded.data[i];
        r->f.rest_m[r->f.nrest].type = SNAP_DISK_INTERNAL;
        d->m = &r->f.rest_m[r->f.nrest];
        rc = snap_fs_identify(r->sc, c->path, &d->id);
        if (rc) return snap_within(r->sc, rc, "disk '%s'", d->m->vdev);
        r->f.nrest++;
        find_state(r, d);
    }
    return rc;
}

static int read_disk(struct snap_revert *r, size_t i)
{
    struct snap_revert_disk *d = &r->f.disks[i];
    int rc;

    d->m = &r->set.disks[i];
    rc = snap_fs_identify(r->sc, d->m->image, &d->id);
    if (!rc) rc = read_chain(r, d);
    if (rc) return snap_within(r->sc, rc, "disk '%s'", d->m->vdev);
    find_state(r, d);
    if (d->m->type == SNAP_DISK_EXTERNAL || d->frozen_by)
        d->new_path = r->p->overlay_path(r->p->overlay_arg, d->m->vdev,
                                         d->id.real);
    return 0;
}

static void read_host_qemu(struct snap_revert *r)
{
    const char *argv[] = { DEVICE_MODEL, "--version", NULL };
    AUTO_FREE char *text = NULL;
    const char *p;

    /* Only HVM carries QEMU's state in its memory image. */
    if (!r->config.type || strcmp(r->config.type, "hvm")
        || access(DEVICE_MODEL, X_OK))
        return;
    if (snap_run_ok(r->sc, argv, XL_TIMEOUT_MS, &text)) {
        snap_clear(r->sc);
        return;
    }
    p = strstr(text, "version ");
    if (p) r->host_qemu = snap_strdup(p + strlen("version "));
    r->f.qemu_version = r->host_qemu;
}

int snap_revert_gather(struct snap_revert *r)
{
    size_t i;
    int rc;

    rc = read_memory(r);
    if (!rc) rc = read_now(r);
    if (!rc) rc = complete_set(r);
    if (!rc) rc = merge_user_config(r);
    if (rc) return rc;
    r->f.ndisks = r->set.ndisks;
    r->f.disks = snap_zalloc((r->f.ndisks + 1) * sizeof(*r->f.disks));
    for (i = 0; !rc && i < r->f.ndisks; i++)
        rc = read_disk(r, i);
    if (!rc) rc = read_rest(r);
    if (!rc) rc = find_users(r);
    if (!rc) rc = read_memory_need(r);
    if (rc) return rc;
    read_host_qemu(r);
    judge_identity(r);
    return 0;
}

/* ---- the world around the plan ----------------------------------- */

static int check_new_path(struct snap_revert *r,
                          const struct snap_revert_disk *d)
{
    uint64_t need = d->chain.data[0].actual_size_bytes, have;
    struct stat st;
    int rc;

    if (!d->new_path) return 0;
    if (!lstat(d->new_path, &st))
        return snap_fail(r->sc, ERROR_INVAL, "disk '%s': '%s' is taken",
                         d->m->vdev, d->new_path);
    if (d->m->type == SNAP_DISK_EXTERNAL) need = 1 << 20;
    rc = snap_fs_free_bytes(r->sc, d->new_path, &have);
    if (rc) return rc;
    if (have < need)
        return snap_fail(r->sc, ERROR_FAIL, "disk '%s': no space for '%s': "
                         "%llu bytes are needed, %llu are free", d->m->vdev,
                         d->new_path, (unsigned long long)need,
                         (unsigned long long)have);
    return 0;
}

static int check_nic(struct snap_revert *r, const char *bridge,
                     const char *script)
{
    AUTO_FREE char *net = snap_printf("/sys/class/net/%s", bridge);
    AUTO_FREE char *full = *script == '/' ? snap_strdup(script)
        : snap_printf(XL_SCRIPTS "/%s", *script ? script : "vif-bridge");
    const char *base = strrchr(full, '/');

    if (access(full, X_OK))
        return snap_fail(r->sc, ERROR_INVAL, "the network script '%s' that "
                         "the configuration names is not there", full);
    /* Only vif-bridge speaks of a bridge of the kernel. */
    if (strcmp(base, "/vif-bridge") || !*bridge || strchr(bridge, '/'))
        return 0;
    if (access(net, F_OK))
        return snap_fail(r->sc, ERROR_INVAL, "there is no bridge '%s', which "
                         "the configuration names; make it, or give a "
                         "DOMAIN-CONFIG with another", bridge);
    return 0;
}

static int check_config_paths(struct snap_revert *r)
{
    size_t i;
    int rc = 0;

    for (i = 0; i < r->config.paths.len; i++)
        if (access(r->config.paths.data[i], R_OK))
            return snap_fail_errno(r->sc, errno, "the configuration names "
                                   "'%s'", r->config.paths.data[i]);
    for (i = 0; !rc && i < r->config.nnics; i++)
        rc = check_nic(r, r->config.nic_bridges.data[i],
                       r->config.nic_scripts.data[i]);
    return rc;
}

/* Disks that stay as they are must be there, too. */
static int check_other_disks(struct snap_revert *r)
{
    size_t i, k;

    for (i = 0; i < r->config.ndisks; i++) {
        const struct snap_domconfig_disk *c = &r->config.disks[i];

        for (k = 0; k < r->set.ndisks; k++)
            if (!strcmp(r->set.disks[k].vdev, c->vdev)) break;
        if (k < r->set.ndisks || !c->path || c->path[0] != '/') continue;
        if (access(c->path, F_OK))
            return snap_fail(r->sc, ERROR_NOTFOUND, "disk '%s': '%s', which "
                             "the configuration names, is not there",
                             c->vdev, c->path);
    }
    return 0;
}

int snap_revert_check_world(struct snap_revert *r)
{
    size_t i;
    int rc = 0;

    if (!r->p->stock_xl || access(r->p->stock_xl, X_OK))
        return snap_fail(r->sc, ERROR_NOTFOUND, "the distribution's xl was "
                         "not found, and it has to build the domain; set "
                         "XL_STOCK to its path");
    for (i = 0; !rc && i < r->f.ndisks; i++)
        rc = check_new_path(r, &r->f.disks[i]);
    if (!rc) rc = check_config_paths(r);
    return rc ? rc : check_other_disks(r);
}
