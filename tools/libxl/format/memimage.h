/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * The memory image: the file that `xl save` writes and `xl restore` reads.
 * Pure: works on a descriptor or bytes that somebody else opened.  Knows the
 * xl header (tools/xl/xl.h of Xen 4.17), the libxl stream version 2
 * (docs/specs/libxl-migration-stream) and the record structure of the libxc
 * stream inside it (docs/specs/libxc-migration-stream); never looks at pages.
 */
#ifndef SNAP_MEMIMAGE_H
#define SNAP_MEMIMAGE_H

#include "snap_internal.h"

#define SNAP_MEMIMAGE_MAX_CONFIG (4u << 20)

struct snap_memimage {
    char *config;               /* the JSON configuration, NUL-terminated */
    uint64_t stream_offset;     /* where the libxl stream begins, bytes */
    uint64_t size_bytes;        /* of the file */
    uint64_t head_bytes;        /* bytes before the first page data record */
    char head_sha256[65];       /* of those bytes, lower-case hex */
    uint64_t pages;             /* distinct pfns with contents in the stream */
    bool hvm;                   /* the libxc domain header's type: hvm/pvh */
    unsigned xen_major, xen_minor;  /* from the libxc domain header */
    bool has_emulator;          /* an EMULATOR_CONTEXT record is there */
};

void snap_memimage_dispose(struct snap_memimage *m);

/*
 * Read and check a whole memory image on `fd` (a regular file; pread only):
 * magic, byte order, mandatory flags (JSON config and stream v2, nothing
 * else), lengths, a NUL at the end of the configuration, libxl ident and
 * version, every record header up to END, END exactly at the end of file
 * (nothing after it).  Page contents are not read: cost is one small read a
 * record.  `path` is for messages, which say what is wrong and that
 * `xl restore` must not be given this file.  Returns 0 or ERROR_INVAL /
 * ERROR_FAIL (reading).
 */
int snap_memimage_read(struct snap_ctx *sc, int fd, const char *path,
                       struct snap_memimage *out);

/* The configuration alone, for who does not want the memory: only what stands
 * before the streams is read and filled in. */
int snap_memimage_read_config(struct snap_ctx *sc, int fd, const char *path,
                              struct snap_memimage *out);

/*
 * The xl header for a configuration: malloc'd bytes in *buf, *len of them.
 * The stream of libxl_domain_suspend follows directly. Host byte order.
 */
int snap_memimage_header(struct snap_ctx *sc, const char *config,
                         char **buf, size_t *len);

#endif
