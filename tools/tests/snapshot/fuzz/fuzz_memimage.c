/* SPDX-License-Identifier: LGPL-2.1-only */
/* A memory image, which may come from anywhere; and the configuration in it. */
#include "format/memimage.h"

#include <string.h>
#include <sys/mman.h>

#include "format/domconfig.h"
#include "fuzz.h"

static void read_config(struct snap_ctx *sc, const char *text)
{
    AUTO_JSON struct snap_json *tree = NULL;
    struct snap_domconfig config = { 0 };

    if (snap_json_parse(sc, "fuzz", text, strlen(text), &tree)) return;
    if (!snap_domconfig_read(sc, tree, &config))
        snap_domconfig_dispose(&config);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int fd = -1;
    struct snap_ctx sc = SNAP_CTX_INIT;
    struct snap_memimage m = { 0 };

    if (fd < 0) fd = memfd_create("fuzz", 0);
    must(fd >= 0 && !ftruncate(fd, 0));
    must(pwrite(fd, data, size, 0) == (ssize_t)size);
    if (!snap_memimage_read(&sc, fd, "fuzz", &m))
        read_config(&sc, m.config);
    else
        must(sc.message);
    snap_memimage_dispose(&m);
    snap_clear(&sc);
    return 0;
}
