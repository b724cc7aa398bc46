/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * What the operations share: the run around facts, plan and act.  One file an
 * operation; each is a public function of libxl_snapshot.h.
 */
#ifndef SNAP_OP_H
#define SNAP_OP_H

#include "host/image_locks.h"
#include "libxl_snapshot.h"
#include "step/step.h"

#ifndef PACKAGE_VERSION
#define PACKAGE_VERSION "unknown"
#endif

/* Begin: clear the context's last error; outcome refused until told else. */
void snap_op_begin(struct snap_ctx *sc, libxl_snapshot_result *result);

/* What a command has from its first look to its end. */
struct snap_hold {
    struct snap_xen *xen;
    struct snap_journal journal;    /* also the domain's lock */
    struct snap_image_locks locks;
};
#define SNAP_HOLD_INIT { .journal.fd = -1 }
void snap_hold_drop(struct snap_hold *h);

/*
 * The domain's lock: what the caller has (libxl_snapshot_lock), with the locks
 * of images, else it is taken. An open journal refuses: outcome not whole, the
 * hint names snapshot-recover.
 */
int snap_op_lock(struct snap_ctx *sc, const char *domain_name,
                 int timeout_ms, struct snap_hold *h);
/* Write the journal's head: what, which domain, its manifest (or NULL). */
int snap_op_journal_head(struct snap_ctx *sc, struct snap_journal *j,
                         const char *what, const char *domain_name,
                         const char *uuid, int64_t domid,
                         const struct snap_manifest *m, const char *retry);
/* A remark about the run, for recovery: {"<what>": true}. */
int snap_op_journal_mark(struct snap_ctx *sc, struct snap_journal *j,
                         const char *what);
/* Set the outcome and, when it is not whole, the hint (formatted). */
int snap_op_finish(struct snap_ctx *sc, int rc, int outcome,
                   const char *hint_fmt, ...) SNAP_PRINTF(4, 5);

/* May a new snapshot's directory be made there?  What is above it is made now,
 * but for a dry run. */
int snap_op_check_directory(struct snap_ctx *sc, const char *directory,
                            const char *name, bool dry_run);

/* The locks of the images that a manifest names, each for us alone. */
int snap_op_lock_images(struct snap_ctx *sc, const struct snap_manifest *m,
                        int timeout_ms, struct snap_image_locks *locks);
/* Is the image a base of an external snapshot that this manifest has? */
int snap_op_stands_on(struct snap_ctx *sc, const struct snap_manifest *m,
                      const struct snap_fs_id *id, bool *answer);
/* The images that stand on this one and are beside it, or that these manifests
 * name, each once, as real paths. There may be others. */
int snap_op_images_on(struct snap_ctx *sc, const struct snap_manifest *own,
                      const libxl_snapshot_set *others, size_t nothers,
                      const struct snap_fs_id *id, struct snap_strings *out);
/* Remove the overlays and copies that the first n steps of a revert made; the
 * next one makes its own. Not if a build was begun and may have come to a domain
 * of that name, which has them. Each is tried, the first failure returned. */
int snap_op_drop_unused(struct snap_ctx *sc, struct snap_xen *x,
                        const char *domain_name, const struct snap_plan *p,
                        size_t n, bool building);
/* Unpause a domain that a run of ours paused, if it is still there, the same,
 * and paused. */
int snap_op_unpause(struct snap_ctx *sc, struct snap_xen *x, int64_t domid,
                    const char *uuid);

/* What the stock xl makes of a configuration file with `words` behind it (NULL:
 * none): libxl's JSON of the domain, which is not created. In ask_xl.c. */
int snap_op_ask_xl(struct snap_ctx *sc, const char *stock_xl,
                   const char *file, const struct snap_strings *words,
                   struct snap_json **out);

/* Single-quote for a shell if needed; malloc'd. For hints only. */
char *snap_op_quote(const char *word);
/* What to know of a domain without a monitor; malloc'd. */
char *snap_op_unwatched(const char *domain_name);
/* A second since 1970 as UTC, "2026-01-02T03:04:05Z"; malloc'd. */
char *snap_op_utc(int64_t sec);

#endif
