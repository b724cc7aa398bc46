/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * The step that tells the toolstack of a domain's new images (law 7): params
 * in xenstore, and libxl's stored configuration.  Undone, they name the bases
 * again, and the overlays, which nobody uses then, are removed.
 */
#include "step/step.h"

#include <errno.h>
#include <string.h>

#include "host/dependents.h"

#define USERDATA_TIMEOUT_MS 30000

static int get_stored(struct snap_act *a, uint32_t domid,
                      struct snap_json **tree)
{
    AUTO_FREE char *text = NULL;
    struct snap_worker *w;
    int rc;

    rc = snap_act_worker(a, &w);
    if (rc) return rc;
    rc = snap_worker_call(w, SNAP_WORKER_GET_USERDATA, domid, 0, "libxl-json",
                          sizeof("libxl-json"), USERDATA_TIMEOUT_MS,
                          "reading the stored configuration", &text);
    if (rc) return rc;
    if (!text)
        return snap_fail(a->sc, ERROR_FAIL, "libxl has no stored "
                         "configuration of domain %u", domid);
    return snap_json_parse(a->sc, "the stored configuration", text,
                           strlen(text), tree);
}

static int put_stored(struct snap_act *a, uint32_t domid,
                      const struct snap_json *tree)
{
    AUTO_FREE char *json = snap_json_print(tree);
    struct snap_text msg = { 0 };
    struct snap_worker *w;
    int rc;

    rc = snap_act_worker(a, &w);
    if (rc) return rc;
    /* id, NUL, the text with its NUL: libxl stores strlen + 1 itself. */
    snap_text_add_bytes(&msg, "libxl-json", sizeof("libxl-json"));
    snap_text_add_bytes(&msg, json, strlen(json) + 1);
    rc = snap_worker_call(w, SNAP_WORKER_SET_USERDATA, domid, 0, msg.data,
                          msg.len, USERDATA_TIMEOUT_MS,
                          "storing the configuration", NULL);
    free(msg.data);
    return rc;
}

/* Both directions of one change, as keys into the step's arguments. */
struct turn {
    const char *from_params, *to_params, *to_path;
    bool to_overlay;
};

static int turn_json(struct snap_act *a, const struct snap_step *s,
                     const struct turn *t, struct snap_json *tree)
{
    const char *vdev;
    size_t i;
    int rc = 0;

    for (i = 0; !rc && (vdev = snap_step_get_nth(s, "vdev", i)); i++)
        rc = snap_domconfig_set_disk(a->sc, tree, vdev,
                                     snap_step_get_nth(s, t->to_path, i),
                                     t->to_overlay ? "qcow2" :
                                     snap_step_get_nth(s, "old-format", i),
                                     true);
    return rc;
}

/* libxl's userdata has its own lock for each call only: somebody may write
 * between our read and our write, so look again afterwards. */
static int turn_stored(struct snap_act *a, const struct snap_step *s,
                       const struct turn *t)
{
    uint32_t domid = snap_step_get_u64(s, "domid");
    int tries, rc;

    for (tries = 0; tries < 5; tries++) {
        AUTO_JSON struct snap_json *tree = NULL;
        AUTO_JSON struct snap_json *seen = NULL;

        rc = get_stored(a, domid, &tree);
        if (!rc) rc = turn_json(a, s, t, tree);
        if (!rc) rc = put_stored(a, domid, tree);
        if (!rc) rc = get_stored(a, domid, &seen);
        if (rc) return rc;
        if (snap_json_equal(tree, seen)) return 0;
    }
    return snap_fail(a->sc, ERROR_FAIL, "the stored configuration of domain "
                     "%u keeps being changed by somebody else", domid);
}

static int turn_params(struct snap_act *a, const struct snap_step *s,
                       const struct turn *t)
{
    size_t i;
    int rc = 0;

    for (i = 0; !rc && snap_step_get_nth(s, "vdev", i); i++)
        rc = snap_xen_set_params(a->xen, snap_step_get_u64(s, "domid"),
                                 atoi(snap_step_get_nth(s, "devid", i)),
                                 snap_step_get_nth(s, "backend", i),
                                 snap_step_get_nth(s, t->from_params, i),
                                 snap_step_get_nth(s, t->to_params, i));
    return rc;
}

static int config_apply(struct snap_act *a, const struct snap_step *s)
{
    static const struct turn forth = {
        "old-params", "new-params", "new-path", true,
    };
    int rc = turn_params(a, s, &forth);

    return rc ? rc : turn_stored(a, s, &forth);
}

/* Is what stands at an overlay's path an overlay on that base? */
static int stands_on(struct snap_act *a, const char *overlay,
                     const char *base, bool *answer)
{
    struct snap_strings layers = { 0 };
    int rc = snap_dependents_layers(a->sc, overlay, &layers);

    *answer = layers.len && snap_fs_same_file(layers.data[0], base);
    snap_strings_dispose(&layers);
    return rc;
}

/* QEMU left it, and nobody has it open or names it any more. What is not an
 * overlay on our base is somebody else's. */
static int drop_overlay(struct snap_act *a, const char *overlay,
                        const char *base)
{
    struct snap_step look = { .kind = STEP_RECHECK_IDLE };
    bool ours;
    int rc;

    if (access(overlay, F_OK)) {
        if (errno == ENOENT) return 0;
        return snap_fail_errno(a->sc, errno, "cannot look at '%s'", overlay);
    }
    rc = stands_on(a, overlay, base, &ours);
    if (rc) return rc;
    if (!ours) {
        snap_act_remark(a, snap_printf(
            "'%s' is not an overlay on '%s' and was left where it is",
            overlay, base));
        return 0;
    }
    snap_step_arg(&look, "image", overlay);
    rc = snap_step_recheck_idle.apply(a, &look);
    snap_strings_dispose(&look.args);
    return rc ? rc : snap_fs_remove(a->sc, overlay);
}

int snap_step_name_bases(struct snap_act *a, const struct snap_step *s)
{
    static const struct turn back = {
        "new-params", "old-params", "old-path", false,
    };
    int rc = turn_params(a, s, &back);

    return rc ? rc : turn_stored(a, s, &back);
}

/* First the names, then the files: as long as it names an overlay, the
 * toolstack would start the domain on it. */
static int config_undo(struct snap_act *a, const struct snap_step *s)
{
    const char *overlay;
    size_t i;
    int first = 0, rc = snap_step_name_bases(a, s);

    if (rc) return rc;
    for (i = 0; (overlay = snap_step_get_nth(s, "new-path", i)); i++) {
        rc = drop_overlay(a, overlay, snap_step_get_nth(s, "old-path", i));
        if (rc && !first) first = rc;
    }
    return first;
}

const struct snap_step_ops snap_step_config = {
    .apply = config_apply, .undo = config_undo,
};

/* One that a domain was given and never ran on. */
static int remove_overlay_apply(struct snap_act *a, const struct snap_step *s)
{
    return drop_overlay(a, snap_step_get(s, "path"), snap_step_get(s, "base"));
}

const struct snap_step_ops snap_step_remove_overlay = {
    .apply = remove_overlay_apply,
};
