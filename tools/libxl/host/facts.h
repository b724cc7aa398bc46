/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * Reading facts about a running domain from Xen, xenstore, QEMU and the file
 * system, and the quick second look while it stands still; about one that is
 * off from its configuration.
 */
#ifndef SNAP_FACTS_READ_H
#define SNAP_FACTS_READ_H

#include "host/worker.h"
#include "plan/facts.h"

#define SNAP_QMP_TIMEOUT_MS 30000

/* The QMP socket we use: xentop's, not libxl's own. malloc'd. */
char *snap_facts_qmp_path(uint32_t domid);

/*
 * Read everything about a domain. That QEMU does not answer, or an image is
 * gone, is a fact (qmp_error, have_id), not a failure. *qmp (may be NULL)
 * gets the open connection when there is one; the caller closes it.
 */
int snap_facts_read(struct snap_ctx *sc, struct snap_xen *x,
                    struct snap_worker *w, uint32_t domid,
                    struct snap_facts *out, struct snap_qmp **qmp);

/*
 * Of a domain that is off, by libxl's JSON of its configuration: its disks and
 * their images.  That an image is gone, or cannot be read, is a fact
 * (have_id, chain_error), not a failure.
 */
int snap_facts_of_config(struct snap_ctx *sc, const struct snap_json *tree,
                         const char *name, struct snap_facts *out);

/* Who else has the images that QEMU serves, or has them below its own:
 * disks[].users. Apart because it costs a look at every process, and a revert
 * looks at other images. */
int snap_facts_read_users(struct snap_ctx *sc, struct snap_xen *x,
                          struct snap_facts *f);

/*
 * Look again at what may have changed under us: same domain, same vbds and
 * params, same stored configuration, nobody new on the images; and, apart
 * because it is asked earlier, same roots in QEMU. ERROR_FAIL names the first
 * difference.
 */
int snap_facts_recheck(struct snap_ctx *sc, struct snap_xen *x,
                       struct snap_worker *w, const struct snap_facts *f);
int snap_facts_recheck_qemu(struct snap_ctx *sc, struct snap_qmp *qmp,
                            const struct snap_facts *f);

#endif
