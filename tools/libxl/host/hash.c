/* SPDX-License-Identifier: LGPL-2.1-only */
/* See hash.h. */
#include "host/hash.h"

#include <errno.h>
#include <fcntl.h>
#include <nettle/sha2.h>
#include <unistd.h>

#define PIECE_BYTES 65536
#define SAMPLES 64
#define SAMPLE_BYTES 4096

static void finish(struct sha256_ctx *sha, char hex[SNAP_HASH_SIZE])
{
    unsigned char digest[SHA256_DIGEST_SIZE];

    sha256_digest(sha, sizeof(digest), digest);
    snap_hex(digest, sizeof(digest), hex);
}

/* As much of `len` bytes as there is; how many, or -1 with errno. */
static ssize_t add(struct sha256_ctx *sha, int fd, off_t at, size_t len)
{
    unsigned char piece[PIECE_BYTES];
    size_t have = 0;
    ssize_t n = 1;

    while (have < len && n) {
        n = pread(fd, piece + have, len - have, at + have);
        if (n < 0 && errno != EINTR) return -1;
        if (n > 0) have += n;
    }
    sha256_update(sha, have, piece);
    return have;
}

int snap_hash_file(struct snap_ctx *sc, int fd, const char *path,
                   char hex[SNAP_HASH_SIZE])
{
    off_t at = 0, size = lseek(fd, 0, SEEK_END);
    struct sha256_ctx sha;
    ssize_t n = 1;

    sha256_init(&sha);
    while (size >= 0 && n > 0) {
        if (sc->cancelled) return snap_check_cancelled(sc);
        n = add(&sha, fd, at, PIECE_BYTES);
        if (n > 0) at += n;
        snap_report_progress(sc, "checksum", at, size, n == 0);
    }
    if (size < 0 || n < 0)
        return snap_fail_errno(sc, errno, "cannot read '%s'", path);
    finish(&sha, hex);
    return 0;
}

int snap_hash_sample(struct snap_ctx *sc, const char *path,
                     char hex[SNAP_HASH_SIZE])
{
    AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    off_t size = fd < 0 ? -1 : lseek(fd, 0, SEEK_END);
    unsigned char length[8];
    struct sha256_ctx sha;
    ssize_t n;
    unsigned i;

    if (size < 0) return snap_fail_errno(sc, errno, "cannot read '%s'", path);
    sha256_init(&sha);
    for (i = 0; i < 8; i++) length[i] = (uint64_t)size >> 8 * i;
    sha256_update(&sha, sizeof(length), length);
    n = add(&sha, fd, 0, PIECE_BYTES);
    for (i = 1; n >= 0 && i <= SAMPLES; i++) {
        off_t at = size / (SAMPLES + 1) * i;

        n = add(&sha, fd, at - at % SAMPLE_BYTES, SAMPLE_BYTES);
    }
    if (n < 0) return snap_fail_errno(sc, errno, "cannot read '%s'", path);
    finish(&sha, hex);
    return 0;
}
