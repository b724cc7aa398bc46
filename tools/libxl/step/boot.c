/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * The step that boots the domain afresh on the snapshot's disks: by the stock
 * `xl create`, from a user's file or none, with settings that win over it.
 */
#include "step/built.h"

#define BOOT_TIMEOUT_MS (1800 * 1000)

static int boot(struct snap_act *a, const struct snap_step *s)
{
    struct snap_run_opts opts = { .timeout_ms = BOOT_TIMEOUT_MS };
    struct snap_strings argv = { 0 };
    const char *word;
    size_t i;
    int rc;

    snap_strings_add(&argv, snap_step_get(s, "xl"));
    snap_strings_add(&argv, "create");
    snap_strings_add(&argv, *snap_step_get(s, "then") ? "-qp" : "-q");
    snap_strings_add(&argv, "-f");
    snap_strings_add(&argv, snap_step_get(s, "file"));
    for (i = 0; (word = snap_step_get_nth(s, "word", i)); i++)
        snap_strings_add(&argv, word);
    rc = snap_step_run_xl(a, s, (const char *const *)argv.data, &opts);
    snap_strings_dispose(&argv);
    return rc;
}

static int boot_apply(struct snap_act *a, const struct snap_step *s)
{
    int rc = snap_step_check_bases(a, s);

    a->building = true;
    return rc ? rc : boot(a, s);
}

const struct snap_step_ops snap_step_boot = { .apply = boot_apply };
