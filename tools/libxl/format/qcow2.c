/* SPDX-License-Identifier: LGPL-2.1-only */
/* The backing name in a qcow2 header. */
#include "format/qcow2.h"

#include <string.h>

static uint64_t be(const unsigned char *p, int n)
{
    uint64_t v = 0;

    while (n-- > 0) v = v << 8 | *p++;
    return v;
}

bool snap_qcow2_is(const unsigned char head[SNAP_QCOW2_HEAD_BYTES])
{
    return !memcmp(head, "QFI\xfb", 4);
}

bool snap_qcow2_backing_at(const unsigned char head[SNAP_QCOW2_HEAD_BYTES],
                           uint64_t *offset, uint32_t *len)
{
    if (!snap_qcow2_is(head)) return false;
    *offset = be(head + 8, 8);
    *len = be(head + 16, 4);
    return *offset >= 72 && *offset < (2u << 20) && *len
           && *len <= SNAP_QCOW2_MAX_BACKING;
}

char *snap_qcow2_resolve(const char *dir, const char *name)
{
    const char *colon = strchr(name, ':');
    const char *slash = strchr(name, '/');

    if (name[0] == '/') return snap_strdup(name);
    /* A protocol's colon stands before the first slash. */
    if (!strncmp(name, "file:", 5)) return snap_qcow2_resolve(dir, name + 5);
    if (colon && (!slash || colon < slash)) return NULL;
    return snap_printf("%s/%s", dir, name);
}
