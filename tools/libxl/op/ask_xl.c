/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * What a domain's xl.cfg says, by the only program that can tell: `xl -N
 * create` parses it and prints JSON; nothing is created.
 */
#include <errno.h>
#include <string.h>

#include "host/run.h"
#include "op/op.h"

#define XL_TIMEOUT_MS 60000

int snap_op_ask_xl(struct snap_ctx *sc, const char *stock_xl,
                   const char *file, const struct snap_strings *words,
                   struct snap_json **out)
{
    const char *const first[] = {
        stock_xl, "-N", "create", "-q", "-f", file,
    };
    struct snap_strings argv = { 0 };
    AUTO_FREE char *text = NULL;
    const char *json;
    size_t i;
    int rc;

    if (access(file, R_OK))
        return snap_fail_errno(sc, errno, "cannot be read");
    for (i = 0; i < sizeof(first) / sizeof(*first); i++)
        snap_strings_add(&argv, first[i]);
    for (i = 0; words && i < words->len; i++)
        snap_strings_add(&argv, words->data[i]);
    rc = snap_run_ok(sc, (const char *const *)argv.data, XL_TIMEOUT_MS,
                     &text);
    snap_strings_dispose(&argv);
    if (rc) return rc;
    json = strchr(text, '{');
    if (!json || strchr(text, '(') == text)
        return snap_fail(sc, ERROR_INVAL, "xl did not print it as JSON: "
                         "set output_format=\"json\" in "
                         "/etc/xen/xl.conf");
    return snap_json_parse(sc, "what xl made of it", json, strlen(json), out);
}
