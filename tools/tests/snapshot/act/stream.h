/* SPDX-License-Identifier: LGPL-2.1-only */
/* What follows xl's header in a memory image: as the format documents of Xen
 * 4.17 have it, of a PVH guest with one page. */
#ifndef FAKE_STREAM_H
#define FAKE_STREAM_H

#include <endian.h>

#include "snap_internal.h"

static inline void stream_put32(struct snap_text *t, uint32_t v)
{
    v = htole32(v);
    snap_text_add_bytes(t, &v, sizeof(v));
}

static inline void stream_put_record(struct snap_text *t, uint32_t type,
                                     uint32_t len)
{
    static const char zeros[64];

    stream_put32(t, type);
    stream_put32(t, len);
    snap_text_add_bytes(t, zeros, (len + 7) & ~7u);
}

/* Behind what is in `t`. */
static inline void stream_put(struct snap_text *t)
{
    static const char zeros[4096];

    snap_text_add_bytes(t, "LibxlFmt\0\0\0\2\0\0\0\0", 16);
    stream_put_record(t, 1, 0);                 /* libxc's context */
    snap_text_add_bytes(t, "\xff\xff\xff\xff\xff\xff\xff\xff" "XENF"
                        "\0\0\0\3", 16);
    snap_text_add_bytes(t, zeros, 8);
    stream_put32(t, 2);                         /* x86 HVM */
    stream_put32(t, 12);
    stream_put32(t, 4);
    stream_put32(t, 17);
    stream_put_record(t, 0x10, 0);              /* static data end */
    stream_put32(t, 1);                         /* page data */
    stream_put32(t, 8 + 8 + sizeof(zeros));
    stream_put32(t, 1);
    stream_put32(t, 0);
    snap_text_add_bytes(t, zeros, 8);
    snap_text_add_bytes(t, zeros, sizeof(zeros));
    stream_put_record(t, 9, 16);                /* HVM context */
    stream_put_record(t, 10, 16);               /* HVM parameters */
    stream_put_record(t, 0, 0);                 /* libxc's end */
    stream_put_record(t, 0, 0);                 /* libxl's end */
}

#endif
