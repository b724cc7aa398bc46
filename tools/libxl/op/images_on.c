/* SPDX-License-Identifier: LGPL-2.1-only */
/* Which images stand on a base, as far as can be known. See op.h. */
#include <errno.h>
#include <stdlib.h>

#include "host/dependents.h"
#include "op/op.h"

/* Once, whatever names it has. */
static int add(struct snap_ctx *sc, const char *path, struct snap_strings *out)
{
    AUTO_FREE char *real = realpath(path, NULL);

    if (!real) return snap_fail_errno(sc, errno, "cannot look at '%s'", path);
    if (!snap_strings_have(out, real)) snap_strings_add(out, real);
    return 0;
}

static int add_if_on(struct snap_ctx *sc, const char *path,
                     const struct snap_fs_id *id, struct snap_strings *out)
{
    bool is = false;
    int rc = path ? snap_dependents_is_on(sc, path, id, &is) : 0;

    return rc || !is ? rc : add(sc, path, out);
}

/* The images of a manifest that stand on the image. */
static int add_named(struct snap_ctx *sc, const struct snap_manifest *m,
                     const struct snap_fs_id *id, struct snap_strings *out)
{
    size_t i;
    int rc = 0;

    for (i = 0; !rc && i < m->ndisks; i++) {
        rc = add_if_on(sc, m->disks[i].overlay, id, out);
        if (!rc) rc = add_if_on(sc, m->disks[i].image, id, out);
    }
    return rc;
}

int snap_op_images_on(struct snap_ctx *sc, const struct snap_manifest *own,
                      const libxl_snapshot_set *others, size_t nothers,
                      const struct snap_fs_id *id, struct snap_strings *out)
{
    struct snap_strings beside = { 0 };
    size_t i;
    int rc = snap_dependents_all(sc, id, &beside);

    for (i = 0; !rc && i < beside.len; i++)
        rc = add(sc, beside.data[i], out);
    if (!rc) rc = add_named(sc, own, id, out);
    for (i = 0; !rc && i < nothers; i++)
        rc = add_named(sc, &others[i].manifest, id, out);
    snap_strings_dispose(&beside);
    return rc;
}
