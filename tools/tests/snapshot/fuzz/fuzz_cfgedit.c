/* SPDX-License-Identifier: LGPL-2.1-only */
/* An xl.cfg, and behind a zero byte the path of an image for its disk xvda. */
#include "cfgedit.h"

#include <string.h>

#include "fuzz.h"

/* libxlutil's parser leaks what it had read of a text that it refuses. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:libxlutil";
}

static int edit(const char *text, size_t len, const char *spec,
                struct xl_cfg_edit *out)
{
    struct snap_strings specs = { 0 };
    struct snap_ctx sc = SNAP_CTX_INIT;
    int rc;

    snap_strings_add(&specs, spec);
    rc = xl_cfg_edit(&sc, "/fuzz/x.cfg", "web", text, len, &specs, NULL,
                     out);
    must(!rc == !sc.message && (!rc || !out->text));
    snap_strings_dispose(&specs);
    snap_ctx_dispose(&sc);
    return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO_FREE char *text = snap_zalloc(size + 1);
    AUTO_FREE char *spec = NULL;
    struct xl_cfg_edit once, twice;
    size_t len;

    if (size) memcpy(text, data, size);
    len = strlen(text);
    spec = snap_printf("format=qcow2,vdev=xvda,access=rw,target=%s",
                       len < size ? text + len + 1 : "/img/a.s1.qcow2");
    if (!edit(text, len, spec, &once) && once.text) {
        must(once.old.len && once.old.len == once.new.len);
        must(!edit(once.text, once.len, spec, &twice) && !twice.text);
        xl_cfg_edit_dispose(&twice);
    }
    xl_cfg_edit_dispose(&once);
    return 0;
}
