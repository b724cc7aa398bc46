/* SPDX-License-Identifier: LGPL-2.1-only */
/* What qemu-img and QEMU say of an image and what is below it. */
#include "host/image.h"

#include "format/json.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct snap_ctx sc = SNAP_CTX_INIT;
    AUTO_JSON struct snap_json *tree = NULL;
    struct snap_chain chain = { 0 };

    if (!snap_json_parse(&sc, "fuzz", (const char *)data, size, &tree)) {
        if (!snap_image_chain_from_json(&sc, tree, &chain))
            snap_chain_dispose(&chain);
        snap_clear(&sc);
        snap_image_check_made(&sc, tree, "/nowhere/base", "raw");
    }
    snap_clear(&sc);
    return 0;
}
