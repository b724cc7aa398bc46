/* SPDX-License-Identifier: LGPL-2.1-only */
/* A manifest: refused, or what is printed of it reads the same. */
#include "format/manifest.h"

#include <string.h>

#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct snap_ctx sc = SNAP_CTX_INIT;
    struct snap_manifest m = { 0 }, again = { 0 };

    if (!snap_manifest_parse(&sc, "fuzz", (const char *)data, size, &m)) {
        AUTO_FREE char *text = snap_manifest_print(&m);
        AUTO_FREE char *twice = NULL;

        must(!snap_manifest_parse(&sc, "fuzz", text, strlen(text), &again));
        twice = snap_manifest_print(&again);
        must(!strcmp(text, twice));
    } else {
        must(sc.message);
    }
    snap_manifest_dispose(&m);
    snap_manifest_dispose(&again);
    snap_clear(&sc);
    if (!snap_manifest_parse_draft(&sc, "fuzz", (const char *)data, size, &m))
        snap_manifest_dispose(&m);
    snap_clear(&sc);
    return 0;
}
