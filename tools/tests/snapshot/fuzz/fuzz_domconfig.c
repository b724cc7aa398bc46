/* SPDX-License-Identifier: LGPL-2.1-only */
/* A domain's configuration in libxl's JSON: read, changed, printed. */
#include "format/domconfig.h"

#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct snap_ctx sc = SNAP_CTX_INIT;
    AUTO_JSON struct snap_json *tree = NULL;
    struct snap_domconfig config = { 0 };
    unsigned char genid[16] = { 0 };

    if (!snap_json_parse(&sc, "fuzz", (const char *)data, size, &tree)
        && !snap_domconfig_read(&sc, tree, &config)) {
        AUTO_FREE char *text = NULL;
        size_t i;

        for (i = 0; i < config.ndisks; i++)
            if (config.disks[i].vdev)
                snap_domconfig_set_disk(&sc, tree, config.disks[i].vdev,
                                        "/x,y", "qcow2", i & 1);
        snap_domconfig_set_name(tree, "other");
        snap_domconfig_forget_domid(tree);
        snap_domconfig_set_genid(tree, genid);
        text = snap_json_print(tree);
        must(text);
    }
    snap_domconfig_dispose(&config);
    snap_clear(&sc);
    return 0;
}
