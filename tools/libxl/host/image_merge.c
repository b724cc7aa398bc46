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
#define BACK_TIMEOUT_MS 60000
#define MAX_OUTPUT 65536
/* A line for each piece of an image, about 100 bytes. */
#define MAX_MAP (256u << 20)

/* qemu-img, which may take long; `path` is what it is about.  Its status alone
 * does not tell: rebase ends well if its last flush failed (QEMU 7.2), and only
 * says so. */
static int run(struct snap_ctx *sc, int lock_fd, const char *const *argv,
               const char *path)
{
    struct snap_run_result result;
    bool silent;
    int rc;

    rc = snap_check_cancelled(sc);
    if (rc) return rc;
    rc = snap_run(sc, argv, &(struct snap_run_opts){
        .timeout_ms = MERGE_TIMEOUT_MS, .max_output = MAX_OUTPUT,
        .go_on = snap_run_not_cancelled, .go_on_arg = sc,
        .lock_fd = lock_fd }, &result);
    if (rc)
        return snap_within(sc, rc, "image '%s': qemu-img %s", path, argv[1]);
    silent = !result.err || !*result.err;
    if (!WIFEXITED(result.status) || WEXITSTATUS(result.status) || !silent)
        rc = snap_fail(sc, ERROR_FAIL, "image '%s': qemu-img %s failed: %s",
                       path, argv[1], silent ? "it gives no reason"
                                             : result.err);
    snap_run_result_dispose(&result);
    return rc;
}

/* "driver=...", as a value of --image-opts; over another base than its header
 * names, if there is one. */
static char *opts_of(const char *path, const char *base,
                     const char *base_format)
{
    struct snap_text t = { 0 };

    snap_text_add(&t, "driver=qcow2,file.driver=file,file.filename=");
    snap_image_opts_path(&t, path);
    if (!base) return t.data;
    snap_text_add(&t, ",backing.driver=%s,backing.file.driver=file,"
                  "backing.file.filename=", base_format);
    snap_image_opts_path(&t, base);
    return t.data;
}

int snap_image_commit(struct snap_ctx *sc, int lock_fd, const char *top,
                      const char *base, const char *base_format,
                      uint64_t speed_bytes)
{
    AUTO_FREE char *opts = opts_of(top, base, base_format);
    AUTO_FREE char *rate = snap_printf("%llu",
                                       (unsigned long long)speed_bytes);
    const char *const argv[] = {
        "qemu-img", "commit", "-q", "-d", "-r", rate, "--image-opts", opts,
        NULL,
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
    rc = run(sc, lock_fd, argv, base);
    return rc ? rc : snap_fs_sync_file(sc, base);
}

/* It reads the same over what its header names as over the base. */
static int check_same(struct snap_ctx *sc, const char *path, const char *base,
                      const char *base_format)
{
    AUTO_FREE char *now = opts_of(path, NULL, NULL);
    AUTO_FREE char *before = opts_of(path, base, base_format);
    const char *const argv[] = {
        "qemu-img", "compare", "-q", "-U", "--image-opts", now, before, NULL,
    };

    return run(sc, 0, argv, path);
}

int snap_image_rebase(struct snap_ctx *sc, int lock_fd, const char *path,
                      const char *base, const char *base_format,
                      const char *below, const char *below_format)
{
    const char *const argv[] = {
        "qemu-img", "rebase", "-q", "-f", "qcow2", "-F", below_format,
        "-b", below, "--", path, NULL,
    };
    struct snap_chain chain;
    bool fits;
    int rc = snap_image_chain(sc, path, "qcow2", &chain);

    if (rc) return rc;
    fits = chain.len > 1 && snap_fs_same_file(chain.data[1].path, base);
    snap_chain_dispose(&chain);
    if (!fits)
        return snap_fail(sc, ERROR_FAIL, "image '%s' does not stand on '%s' "
                         "any more", path, base);
    rc = run(sc, lock_fd, argv, path);
    if (!rc) rc = snap_fs_sync_file(sc, path);
    return rc ? rc : check_same(sc, path, base, base_format);
}

int snap_image_rebase_back(struct snap_ctx *sc, const char *path,
                           const char *base, const char *base_format)
{
    const char *const argv[] = {
        "qemu-img", "rebase", "-q", "-u", "-f", "qcow2", "-F", base_format,
        "-b", base, "--", path, NULL,
    };
    int rc = snap_run_ok(sc, argv, BACK_TIMEOUT_MS, NULL);

    if (rc) return snap_within(sc, rc, "image '%s'", path);
    return snap_fs_sync_file(sc, path);
}

int snap_image_check_streamed(struct snap_ctx *sc, int lock_fd,
                              const char *path)
{
    const char *const argv[] = {
        "qemu-img", "map", "-U", "--output=json", "-f", "qcow2", path, NULL,
    };
    struct snap_run_result result;
    bool whole;
    int rc;

    rc = snap_run(sc, argv, &(struct snap_run_opts){
        .timeout_ms = MERGE_TIMEOUT_MS, .max_output = MAX_MAP,
        .go_on = snap_run_not_cancelled, .go_on_arg = sc,
        .lock_fd = lock_fd }, &result);
    if (rc) return snap_within(sc, rc, "image '%s': qemu-img map", path);
    whole = !result.status && result.out_len
            && !strstr(result.out, "\"depth\": 1,");
    if (!whole)
        rc = snap_fail(sc, ERROR_FAIL, "image '%s' does not hold on disk what "
                       "QEMU says that it copied there%s%s", path,
                       result.err && *result.err ? ": " : "",
                       result.err ? result.err : "");
    snap_run_result_dispose(&result);
    return rc;
}
