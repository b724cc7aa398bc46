/* SPDX-License-Identifier: LGPL-2.1-only */
/* See image_merge.h. */
#include "host/image_merge.h"

#include <string.h>
#include <sys/wait.h>

#include "host/fs.h"
#include "host/image.h"
#include "host/run.h"

/* A whole disk is read and written: hours are normal. */
#define MERGE_TIMEOUT_MS 86400000
#define MAX_OUTPUT 65536

static bool go_on(void *arg)
{
    const struct snap_ctx *sc = arg;

    return !sc->cancelled;
}

/* qemu-img, which may take long; `path` is what it writes. */
static int run(struct snap_ctx *sc, const char *const *argv, const char *path)
{
    struct snap_run_result result;
    int rc;

    rc = snap_run(sc, argv, &(struct snap_run_opts){
        .timeout_ms = MERGE_TIMEOUT_MS, .max_output = MAX_OUTPUT,
        .go_on = go_on, .go_on_arg = sc }, &result);
    if (rc)
        return snap_within(sc, rc, "image '%s': qemu-img %s", path, argv[1]);
    if (!WIFEXITED(result.status) || WEXITSTATUS(result.status))
        rc = snap_fail(sc, ERROR_FAIL, "image '%s': qemu-img %s failed: %s",
                       path, argv[1], result.err && *result.err
                       ? result.err : "it gives no reason");
    snap_run_result_dispose(&result);
    return rc ? rc : snap_fs_sync_file(sc, path);
}

int snap_image_commit(struct snap_ctx *sc, const char *top, const char *base,
                      const char *base_format)
{
    struct snap_text opts = { 0 };
    const char *argv[] = {
        "qemu-img", "commit", "-q", "-d", "--image-opts", NULL, NULL,
    };
    struct snap_image image;
    bool fits;
    int rc = snap_image_info(sc, top, "qcow2", &image);

    if (rc) return rc;
    fits = image.backing && image.backing_format
           && !strcmp(image.backing_format, base_format);
    snap_image_dispose(&image);
    if (!fits)
        return snap_fail(sc, ERROR_FAIL, "image '%s' does not stand on an "
                         "image of the format %s", top, base_format);
    snap_text_add(&opts, "driver=qcow2,file.driver=file,file.filename=");
    snap_image_opts_path(&opts, top);
    snap_text_add(&opts, ",backing.driver=%s,backing.file.driver=file,"
                  "backing.file.filename=", base_format);
    snap_image_opts_path(&opts, base);
    argv[5] = opts.data;
    rc = run(sc, argv, base);
    free(opts.data);
    return rc;
}

int snap_image_rebase(struct snap_ctx *sc, const char *path, const char *base,
                      const char *below, const char *below_format)
{
    const char *const argv[] = {
        "qemu-img", "rebase", "-q", "-f", "qcow2", "-F", below_format,
        "-b", below, "--", path, NULL,
    };
    struct snap_chain chain;
    const char *on;
    int rc = snap_image_chain(sc, path, "qcow2", &chain);

    if (rc) return rc;
    on = chain.len > 1 ? chain.data[1].path : NULL;
    if (snap_fs_same_file(on, base))
        rc = run(sc, argv, path);
    else if (!snap_fs_same_file(on, below))
        rc = snap_fail(sc, ERROR_FAIL, "image '%s' does not stand on '%s' any "
                       "more", path, base);
    snap_chain_dispose(&chain);
    return rc;
}
