/* SPDX-License-Identifier: LGPL-2.1-only */
/* JSON that a test writes down as text. */
#ifndef TEST_TREES_H
#define TEST_TREES_H

#include <string.h>

#include "format/json.h"
#include "tap.h"

static inline struct snap_json *tree_of(const char *text)
{
    struct snap_ctx sc = SNAP_CTX_INIT;
    struct snap_json *j;

    if (snap_json_parse(&sc, "test", text, strlen(text), &j))
        bail("%s", sc.message);
    snap_ctx_dispose(&sc);
    return j;
}

#endif
