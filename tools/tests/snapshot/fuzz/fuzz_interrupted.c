/* SPDX-License-Identifier: LGPL-2.1-only */
/* The lines of a journal that a dying process wrote. */
#include "op/interrupted.h"

#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct snap_ctx sc = SNAP_CTX_INIT;
    AUTO_JSON struct snap_json *lines = NULL;
    struct snap_interrupted run = { 0 };

    if (!snap_json_parse(&sc, "fuzz", (const char *)data, size, &lines)
        && snap_json_len(lines)) {
        if (!snap_interrupted_read(&sc, "fuzz", lines, &run)) {
            must(run.begun <= run.plan.len && run.done <= run.plan.len);
            must(run.what && run.name);
        }
        snap_interrupted_dispose(&run);
    }
    snap_clear(&sc);
    return 0;
}
