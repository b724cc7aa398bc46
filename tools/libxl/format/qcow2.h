/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * The one fact that is read from a qcow2 header without qemu-img: which
 * backing file it names (docs/interop/qcow2.txt of QEMU 7.2: magic at 0,
 * backing_file_offset u64 at 8, backing_file_size u32 at 16, big-endian).
 * Pure.
 */
#ifndef SNAP_QCOW2_H
#define SNAP_QCOW2_H

#include "snap_internal.h"

#define SNAP_QCOW2_HEAD_BYTES 20
#define SNAP_QCOW2_MAX_BACKING 1023

bool snap_qcow2_is(const unsigned char head[SNAP_QCOW2_HEAD_BYTES]);
/* From the first 20 bytes: where the backing name stands. false: no qcow2,
 * or none, or out of bounds. */
bool snap_qcow2_backing_at(const unsigned char head[SNAP_QCOW2_HEAD_BYTES],
                           uint64_t *offset, uint32_t *len);

/* An absolute path for a backing name found in a file of `dir`; NULL when it
 * is not a plain file name ("json:", "nbd://"). malloc'd. */
char *snap_qcow2_resolve(const char *dir, const char *name);

#endif
