/* SPDX-License-Identifier: LGPL-2.1-only */
/* See image_merge.h. */
#include "host/image_merge.h"

#include <string.h>
#include <sys/wait.h>

#include "format/json.h"
#include "host/fs.h"
#include "host/image.h"
#include "host/run.h"

/* A whole disk is read and written: hours are normal. */
#define MERGE_TIMEOUT_MS 86400000
#define MAX_OUTPUT 65536
#define MAP_TIMEOUT_MS 600000

static bool go_on(void *arg)
{
    const struct snap_ctx *sc = arg;

    return !sc->cancelled;
}

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

/* Is the second layer of the chain this one, read as this format? */
static bool stands_on(const struct snap_chain *c, const char *base,
                      const char *format)
{
    return c->len > 1 && snap_fs_same_file(c->data[1].path, base)
           && (!format || !strcmp(c->data[1].format, format));
}

int snap_image_commit(struct snap_ctx *sc, const char *top, const char *base,
                      const char *base_format)
{
    const char *const argv[] = {
        "qemu-img", "commit", "-q", "-f", "qcow2", top, NULL,
    };
    struct snap_chain chain;
    int rc = snap_image_chain(sc, top, "qcow2", &chain);

    if (rc) return rc;
    if (!stands_on(&chain, base, base_format))
        rc = snap_fail(sc, ERROR_FAIL, "image '%s' does not stand on '%s' (%s) "
                       "any more", top, base, base_format);
    else
        rc = run(sc, argv, base);
    snap_chain_dispose(&chain);
    if (rc) return rc;
    return snap_fs_sync_file(sc, base);
}

static bool holds_something(const struct snap_json *map)
{
    size_t i;
    int64_t depth;

    for (i = 0; i < snap_json_len(map); i++)
        if (!snap_json_int(snap_json_get(snap_json_at(map, i), "depth"),
                           &depth)
            || depth < 1)
            return true;
    return !snap_json_len(map);
}

int snap_image_check_empty(struct snap_ctx *sc, const char *path)
{
    const char *const argv[] = {
        "qemu-img", "map", "-U", "--output=json", "-f", "qcow2", path, NULL,
    };
    AUTO_JSON struct snap_json *map = NULL;
    AUTO_FREE char *text = NULL;
    int rc = snap_run_ok(sc, argv, MAP_TIMEOUT_MS, &text);

    if (!rc)
        rc = snap_json_parse(sc, "what qemu-img map says", text, strlen(text),
                             &map);
    if (rc || !holds_something(map)) return rc;
    return snap_fail(sc, ERROR_FAIL, "image '%s' still holds what is not below "
                     "it", path);
}

int snap_image_rebase(struct snap_ctx *sc, const char *path, const char *base,
                      const char *below, const char *below_format)
{
    const char *const onto[] = {
        "qemu-img", "rebase", "-q", "-f", "qcow2", "-F",
        below_format ? below_format : "", "-b", below ? below : "", path, NULL,
    };
    const char *const alone[] = {
        "qemu-img", "rebase", "-q", "-f", "qcow2", "-b", "", path, NULL,
    };
    struct snap_chain chain;
    int rc = snap_image_chain(sc, path, "qcow2", &chain);
    bool done;

    if (rc) return rc;
    done = below ? stands_on(&chain, below, NULL) : chain.len == 1;
    if (!done && !stands_on(&chain, base, NULL))
        rc = snap_fail(sc, ERROR_FAIL, "image '%s' does not stand on '%s' any "
                       "more", path, base);
    else if (!done)
        rc = run(sc, below ? onto : alone, path);
    snap_chain_dispose(&chain);
    return rc;
}
