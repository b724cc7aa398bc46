/* SPDX-License-Identifier: LGPL-2.1-only */
/* `qemu-img check`: is an image sound? It only reads. */
#include "host/image_check.h"

#include <string.h>
#include <sys/wait.h>

#include "format/json.h"
#include "host/run.h"

/* All reference counts are read: minutes for a large image. */
#define CHECK_TIMEOUT_MS 3600000
#define MAX_OUTPUT (4u << 20)

/* What check leaves with (qemu-img(1), QEMU 7.2). */
#define EXIT_CORRUPT 2
#define EXIT_LEAKS 3
#define EXIT_UNSUPPORTED 63

static int count(const struct snap_json *report, const char *key)
{
    int64_t n = 0;

    snap_json_int(snap_json_get(report, key), &n);
    return n < 0 || n > INT32_MAX ? INT32_MAX : (int)n;
}

static int read_report(struct snap_ctx *sc, const char *path,
                       const struct snap_run_result *run,
                       struct snap_image_health *out)
{
    AUTO_JSON struct snap_json *report = NULL;
    int status = WIFEXITED(run->status) ? WEXITSTATUS(run->status) : -1;
    int rc;

    if (status == EXIT_UNSUPPORTED) return 0;
    if (status && status != EXIT_CORRUPT && status != EXIT_LEAKS)
        return snap_fail(sc, ERROR_FAIL, "'%s' cannot be checked: %s", path,
                         run->err && *run->err ? run->err : "qemu-img gives "
                         "no reason");
    rc = snap_json_parse(sc, "what qemu-img check says", run->out,
                         run->out_len, &report);
    if (rc) return rc;
    out->corruptions = count(report, "corruptions")
                       + count(report, "check-errors");
    out->leaks = count(report, "leaks");
    if (status == EXIT_CORRUPT && !out->corruptions) out->corruptions = 1;
    return 0;
}

int snap_image_check(struct snap_ctx *sc, const char *path,
                     const char *format, struct snap_image_health *out)
{
    const char *const argv[] = {
        "qemu-img", "check", "-U", "--output=json", "-f", format, path, NULL,
    };
    struct snap_run_result run;
    int rc;

    memset(out, 0, sizeof(*out));
    if (strcmp(format, "qcow2") || path[0] != '/') return 0;
    rc = snap_run(sc, argv, &(struct snap_run_opts){
        .timeout_ms = CHECK_TIMEOUT_MS, .max_output = MAX_OUTPUT,
        .go_on = snap_run_not_cancelled, .go_on_arg = sc }, &run);
    if (rc) return rc;
    rc = read_report(sc, path, &run, out);
    snap_run_result_dispose(&run);
    return rc;
}
