/* SPDX-License-Identifier: LGPL-2.1-only */
/* A SNAPSHOT-CONFIG, or a set made by hand. */
#include "snapconfig.h"

#include <string.h>

#include "fuzz.h"
#include "snap_internal.h"

/* libxlutil's parser leaks what it had read of a text that it refuses. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:libxlutil";
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO_FREE char *text = snap_zalloc(size + 1);
    struct snap_ctx sc = SNAP_CTX_INIT;
    struct xl_config config = { 0 };
    libxl_snapshot_set set = { 0 };

    if (size) memcpy(text, data, size);
    if (xl_config_parse(&sc, "/fuzz/x.cfg", text, size, &config))
        must(sc.message);
    xl_config_dispose(&config);
    snap_clear(&sc);
    if (xl_config_read_set(&sc, "/fuzz/x.cfg", text, size, "web", &set))
        must(sc.message);
    libxl_snapshot_set_dispose(&set);
    snap_clear(&sc);
    return 0;
}
