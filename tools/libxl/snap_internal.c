/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * What every room of the library shares: the first error of an operation,
 * memory, text, lists of strings, time and names.  It is not a place for
 * anything that touches the world or knows about snapshots.  Every file of
 * the library may call it.
 */
#include "snap_internal.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/*
 * Errors
 */

/* Takes text. The first error stays; what comes later is only told. */
static int record(struct snap_ctx *sc, int rc, char *text)
{
    if (!sc || sc->message) {
        snap_log(sc, SNAP_LOG_NOTE, "%s", text);
        free(text);
        return rc;
    }
    sc->rc = rc;
    sc->message = text;
    return rc;
}

int snap_fail(struct snap_ctx *sc, int rc, const char *fmt, ...)
{
    char *text;
    va_list ap;

    va_start(ap, fmt);
    text = snap_vprintf(fmt, ap);
    va_end(ap);
    return record(sc, rc, text);
}

/* The libxl code that says most about an errno. */
static int code_of_errno(int errnoval)
{
    switch (errnoval) {
    case ENOENT:
        return ERROR_NOTFOUND;
    case ENOMEM:
        return ERROR_NOMEM;
    case EINVAL:
        return ERROR_INVAL;
    case ETIMEDOUT:
        return ERROR_TIMEDOUT;
    default:
        return ERROR_FAIL;
    }
}

int snap_fail_errno(struct snap_ctx *sc, int errnoval, const char *fmt, ...)
{
    AUTO_FREE char *what = NULL;
    char reason[128];
    va_list ap;

    va_start(ap, fmt);
    what = snap_vprintf(fmt, ap);
    va_end(ap);
    return record(sc, code_of_errno(errnoval),
                  snap_printf("%s: %s", what,
                              strerror_r(errnoval, reason, sizeof(reason))));
}

/*
 * Only the recorded error gets the prefix: a later failure with another code
 * was logged when it happened and must not relabel the first.
 */
int snap_within(struct snap_ctx *sc, int rc, const char *fmt, ...)
{
    AUTO_FREE char *where = NULL;
    char *whole;
    va_list ap;

    if (!sc || rc != sc->rc) return rc;
    va_start(ap, fmt);
    where = snap_vprintf(fmt, ap);
    va_end(ap);
    if (!sc->message) return record(sc, rc, snap_strdup(where));
    whole = snap_printf("%s: %s", where, sc->message);
    free(sc->message);
    sc->message = whole;
    return rc;
}

void snap_lap(struct snap_ctx *sc, int64_t *since_ms, const char *what)
{
    int64_t now = snap_now_ms();

    snap_log(sc, SNAP_LOG_DEBUG, "%s, %lld ms", what,
             (long long)(now - *since_ms));
    *since_ms = now;
}

int snap_check_cancelled(struct snap_ctx *sc)
{
    return sc->cancelled ? snap_fail(sc, ERROR_ABORTED, "interrupted by a "
                                     "signal") : 0;
}

void snap_clear(struct snap_ctx *sc)
{
    if (!sc) return;
    free(sc->message);
    free(sc->hint);
    sc->message = NULL;
    sc->hint = NULL;
    sc->rc = 0;
}

void snap_ctx_dispose(struct snap_ctx *sc)
{
    snap_clear(sc);
}

void snap_log(struct snap_ctx *sc, enum snap_log_level level,
              const char *fmt, ...)
{
    AUTO_FREE char *text = NULL;
    va_list ap;

    if (!sc || !sc->log) return;
    va_start(ap, fmt);
    text = snap_vprintf(fmt, ap);
    va_end(ap);
    sc->log(sc->arg, level, text);
}

void snap_report_progress(struct snap_ctx *sc, const char *what,
                          uint64_t done_bytes, uint64_t total_bytes,
                          bool finished)
{
    struct snap_progress progress = {
        .what = what,
        .done_bytes = done_bytes,
        .total_bytes = total_bytes,
        .finished = finished,
    };

    if (sc && sc->progress) sc->progress(sc->arg, &progress);
}

/*
 * Memory
 */

/* The one message that the library writes itself: there is no memory left to
 * hand one up, and nobody left to hand it to. */
__attribute__((noreturn)) static void out_of_memory(void)
{
    static const char text[] =
        "xl snapshot: out of memory; run xl snapshot-recover afterwards\n";
    ssize_t ignored = write(STDERR_FILENO, text, sizeof(text) - 1);

    (void)ignored;
    _exit(4);
}

void *snap_zalloc(size_t bytes)
{
    void *p = calloc(1, bytes ? bytes : 1);

    if (!p) out_of_memory();
    return p;
}

void *snap_realloc(void *old, size_t bytes)
{
    void *p = realloc(old, bytes ? bytes : 1);

    if (!p) out_of_memory();
    return p;
}

void *snap_grown(void *array, size_t len, size_t element_bytes)
{
    if (len & (len - 1)) return array;
    return snap_realloc(array, (len ? 2 * len : 1) * element_bytes);
}

char *snap_strdup(const char *s)
{
    return s ? snap_strndup(s, strlen(s)) : NULL;
}

void snap_hex(const unsigned char *bytes, size_t n, char *out)
{
    static const char digits[] = "0123456789abcdef";
    size_t i;

    for (i = 0; i < n; i++) {
        *out++ = digits[bytes[i] >> 4];
        *out++ = digits[bytes[i] & 15];
    }
    *out = '\0';
}

char *snap_strndup(const char *s, size_t n)
{
    size_t len;
    char *copy;

    if (!s) return NULL;
    len = strnlen(s, n);
    copy = snap_zalloc(len + 1);
    memcpy(copy, s, len);
    return copy;
}

char *snap_printf(const char *fmt, ...)
{
    char *text;
    va_list ap;

    va_start(ap, fmt);
    text = snap_vprintf(fmt, ap);
    va_end(ap);
    return text;
}

char *snap_vprintf(const char *fmt, va_list ap)
{
    char *text;

    if (vasprintf(&text, fmt, ap) < 0) out_of_memory();
    return text;
}

/*
 * Text and lists
 */

void snap_text_add_bytes(struct snap_text *t, const void *data, size_t len)
{
    if (len > SIZE_MAX / 4 || t->len > SIZE_MAX / 4) out_of_memory();
    if (t->cap - t->len < len + 1) {
        t->cap = 2 * t->cap;
        if (t->cap < t->len + len + 1) t->cap = t->len + len + 1;
        if (t->cap < 64) t->cap = 64;
        t->data = snap_realloc(t->data, t->cap);
    }
    if (len) memcpy(t->data + t->len, data, len);
    t->len += len;
    t->data[t->len] = '\0';
}

void snap_text_add(struct snap_text *t, const char *fmt, ...)
{
    AUTO_FREE char *piece = NULL;
    va_list ap;

    va_start(ap, fmt);
    piece = snap_vprintf(fmt, ap);
    va_end(ap);
    snap_text_add_bytes(t, piece, strlen(piece));
}

/* Room for one more and the NULL behind it; doubles at powers of two. */
void snap_strings_take(struct snap_strings *l, char *s)
{
    size_t have = l->len + 1;

    if (!l->data || !(have & (have - 1)))
        l->data = snap_realloc(l->data, 2 * have * sizeof(*l->data));
    l->data[l->len++] = s;
    l->data[l->len] = NULL;
}

void snap_strings_add(struct snap_strings *l, const char *s)
{
    snap_strings_take(l, snap_strdup(s));
}

bool snap_strings_have(const struct snap_strings *l, const char *s)
{
    size_t i;

    for (i = 0; i < l->len; i++)
        if (l->data[i] && s && !strcmp(l->data[i], s)) return true;
    return false;
}

void snap_strings_dispose(struct snap_strings *l)
{
    size_t i;

    for (i = 0; i < l->len; i++) free(l->data[i]);
    free(l->data);
    l->data = NULL;
    l->len = 0;
}

/*
 * Time and names
 */

int64_t snap_now_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int64_t snap_now_ms(void)
{
    return snap_now_us() / 1000;
}

int snap_left_ms(int64_t deadline_ms)
{
    int64_t now = snap_now_ms();

    if (deadline_ms <= now) return 0;
    if (deadline_ms - INT_MAX > now) return INT_MAX;
    return (int)(deadline_ms - now);
}

/* Not isalpha(): the caller's locale must not widen the alphabet. */
static bool name_start(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_';
}

bool snap_name_valid(const char *name)
{
    size_t i;

    if (!name || !name_start(name[0])) return false;
    for (i = 1; name[i]; i++) {
        if (i == 64) return false;
        if (!name_start(name[i]) && !(name[i] >= '0' && name[i] <= '9') &&
            name[i] != '.' && name[i] != '-')
            return false;
    }
    return true;
}
