/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * What every room of the library shares: the context with its first error,
 * the cleanup attributes, time and small string helpers.  Not a place for
 * anything that touches the world or knows about snapshots.
 */
#ifndef SNAP_INTERNAL_H
#define SNAP_INTERNAL_H

#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include <libxl.h>          /* the ERROR_* codes */

#include "libxl_snapshot.h"

/*
 * The library's context.  `message` is the first error of the operation and
 * `rc` its code: later failures (of an undo, say) never replace it, they are
 * logged as notes.
 */
struct snap_ctx {
    int rc;
    char *message;
    int outcome;            /* libxl_snapshot_outcome_t */
    char *hint;             /* a whole command the user should run, or NULL */
    void *arg;              /* handed to the callbacks */
    void (*log)(void *arg, enum snap_log_level level, const char *text);
    void (*progress)(void *arg, const struct snap_progress *progress);
    volatile int cancelled; /* set from a signal handler: stop soon */
    struct snap_hold *held; /* locks for the next operation; NULL */
};

#define SNAP_PRINTF(f, a) __attribute__((format(printf, f, a)))

/*
 * Record an error: `rc` (negative) with a message that names the object, the
 * reason and what to do.  Keeps the first one of an operation, logs the rest.
 * Returns rc, so that `return snap_fail(...)` reads well.
 */
int snap_fail(struct snap_ctx *sc, int rc, const char *fmt, ...)
    SNAP_PRINTF(3, 4);
/* The same with ": " and the text of `errnoval` appended. */
int snap_fail_errno(struct snap_ctx *sc, int errnoval, const char *fmt, ...)
    SNAP_PRINTF(3, 4);
/* Say where a recorded error happened: prefixes "where: ". Returns rc. */
int snap_within(struct snap_ctx *sc, int rc, const char *fmt, ...)
    SNAP_PRINTF(3, 4);
/* Forget the recorded error: the caller answered it. */
void snap_clear(struct snap_ctx *sc);
/* 0; or ERROR_ABORTED, recorded, when a signal said that it is to end. */
int snap_check_cancelled(struct snap_ctx *sc);
void snap_log(struct snap_ctx *sc, enum snap_log_level level,
              const char *fmt, ...) SNAP_PRINTF(3, 4);
/* For those who ask with -v -v: "WHAT, N ms" since *since_ms, which is set to
 * now. */
void snap_lap(struct snap_ctx *sc, int64_t *since_ms, const char *what);
void snap_report_progress(struct snap_ctx *sc, const char *what,
                          uint64_t done_bytes, uint64_t total_bytes,
                          bool finished);

/* A context on the stack for tests and tools: no callbacks. */
#define SNAP_CTX_INIT { .rc = 0 }
void snap_ctx_dispose(struct snap_ctx *sc);

/* Memory: running out of it ends the process, as in libxl (after a message
 * on stderr): no operation can go on, and the guardian resumes the domain. */
void *snap_zalloc(size_t bytes);
void *snap_realloc(void *old, size_t bytes);
/* An array of `len` elements that only this lets grow, with room for one more:
 * it is full at each power of two. */
void *snap_grown(void *array, size_t len, size_t element_bytes);
char *snap_strdup(const char *s);               /* NULL stays NULL */
char *snap_strndup(const char *s, size_t n);
/* 2 n lower-case hexadecimal digits and a NUL. */
void snap_hex(const unsigned char *bytes, size_t n, char *out);
char *snap_printf(const char *fmt, ...) SNAP_PRINTF(1, 2);
char *snap_vprintf(const char *fmt, va_list ap) SNAP_PRINTF(1, 0);

static inline void snap_auto_free(void *p)
{
    free(*(void **)p);
}

static inline void snap_auto_close(int *fd)
{
    if (*fd >= 0) close(*fd);
}

#define AUTO_FREE  __attribute__((cleanup(snap_auto_free)))
#define AUTO_CLOSE __attribute__((cleanup(snap_auto_close)))

/* A growing text. Start from zero bytes; free with free(text.data). */
struct snap_text {
    char *data;             /* NUL-terminated once something was added */
    size_t len;
    size_t cap;
};
void snap_text_add(struct snap_text *t, const char *fmt, ...)
    SNAP_PRINTF(2, 3);
void snap_text_add_bytes(struct snap_text *t, const void *data, size_t len);

void snap_strings_add(struct snap_strings *l, const char *s);
void snap_strings_take(struct snap_strings *l, char *s);
bool snap_strings_have(const struct snap_strings *l, const char *s);
void snap_strings_dispose(struct snap_strings *l);

int64_t snap_now_us(void);          /* CLOCK_MONOTONIC, as is the next */
int64_t snap_now_ms(void);
int snap_left_ms(int64_t deadline_ms);  /* never negative, fits poll() */

/*
 * A snapshot's name, a tag and a node are one alphabet:
 * [A-Za-z_][A-Za-z0-9_.-]{0,63}.  (A purely numeric tag would be taken for an
 * id by qemu-img 7.2: block/qcow2-snapshot.c.)
 */
bool snap_name_valid(const char *name);

#endif
