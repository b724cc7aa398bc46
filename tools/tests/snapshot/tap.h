/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * A small producer of TAP for tests in C. Header only; every file of one test
 * program may include it, they share one count. It is not a framework: a test
 * is a main() that makes its claims and ends with `return done_testing();`.
 *
 *     ok(rc == 0, "an empty list is accepted");
 *     is_int(list.n, 3, "the list has %d members", 3);
 *     is_str(name, "xvda", "the first disk is named");
 *     like(text, "xvdb", "the message names the disk");
 *     return done_testing();
 *
 * Each returns whether the claim held. A claim is a format: write %% for a
 * percent sign, and "%s" before a claim that is not a literal. Claims are for
 * the process that began the test; a forked child leaves with _exit().
 */
#ifndef SNAP_TEST_TAP_H
#define SNAP_TEST_TAP_H

#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TAP_PRINTF(f, a) __attribute__((format(printf, f, a), unused))

struct tap_state {
    unsigned int run;
    unsigned int failed;
};

/* Weak, so that the files of one program share it. */
extern struct tap_state tap_state;
struct tap_state tap_state __attribute__((weak));

#define ok(cond, ...) \
    tap_ok(__FILE__, __LINE__, !!(cond), #cond, __VA_ARGS__)
#define is_int(got, want, ...) \
    tap_is_int(__FILE__, __LINE__, (got), (want), __VA_ARGS__)
#define is_uint(got, want, ...) \
    tap_is_uint(__FILE__, __LINE__, (got), (want), __VA_ARGS__)
#define is_str(got, want, ...) \
    tap_is_str(__FILE__, __LINE__, (got), (want), __VA_ARGS__)
#define is_mem(got, got_len, want, want_len, ...) \
    tap_is_mem(__FILE__, __LINE__, (got), (got_len), (want), (want_len), \
               __VA_ARGS__)
#define like(got, part, ...) \
    tap_like(__FILE__, __LINE__, (got), (part), true, __VA_ARGS__)
#define unlike(got, part, ...) \
    tap_like(__FILE__, __LINE__, (got), (part), false, __VA_ARGS__)

/* Text on a TAP line: no line ends, and no '#', which would be a directive. */
static inline void tap_put_claim(const char *s)
{
    for (; *s; s++) {
        if (*s == '#')
            fputs("\\#", stdout);
        else
            putchar(*s == '\n' || *s == '\r' ? ' ' : *s);
    }
}

/* A diagnostic; each of its lines gets its own '#'. */
static inline void tap_put_diag(FILE *f, const char *s)
{
    fputs("# ", f);
    for (; *s; s++) {
        putc(*s, f);
        if (*s == '\n' && s[1])
            fputs("# ", f);
    }
    putc('\n', f);
    fflush(f);
}

static inline char *tap_format(const char *fmt, va_list ap)
    __attribute__((format(printf, 1, 0)));
static inline char *tap_format(const char *fmt, va_list ap)
{
    char *s;

    if (vasprintf(&s, fmt, ap) < 0) {
        printf("Bail out! no memory for a message\n");
        exit(255);
    }
    return s;
}

/* Shown when the test fails and under `prove -v`. */
static inline void TAP_PRINTF(1, 2) diag(const char *fmt, ...)
{
    va_list ap;
    char *s;

    va_start(ap, fmt);
    s = tap_format(fmt, ap);
    va_end(ap);
    tap_put_diag(stderr, s);
    free(s);
}

/* Shown under `prove -v` alone. */
static inline void TAP_PRINTF(1, 2) note(const char *fmt, ...)
{
    va_list ap;
    char *s;

    va_start(ap, fmt);
    s = tap_format(fmt, ap);
    va_end(ap);
    tap_put_diag(stdout, s);
    free(s);
}

/* One result line. Flushed at once: a later crash must not eat it, and a
 * fork must not double it. */
static inline bool tap_result(const char *file, int line, bool held,
                              const char *fmt, va_list ap)
    __attribute__((format(printf, 4, 0)));
static inline bool tap_result(const char *file, int line, bool held,
                              const char *fmt, va_list ap)
{
    char *claim = tap_format(fmt, ap);

    printf("%sok %u - ", held ? "" : "not ", ++tap_state.run);
    tap_put_claim(claim);
    putchar('\n');
    fflush(stdout);
    if (!held) {
        tap_state.failed++;
        diag("failed: %s\n  at %s:%d", claim, file, line);
    }
    free(claim);
    return held;
}

static inline bool TAP_PRINTF(5, 6)
tap_ok(const char *file, int line, bool held, const char *expr,
       const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    held = tap_result(file, line, held, fmt, ap);
    va_end(ap);
    if (!held)
        diag("  false: %s", expr);
    return held;
}

static inline bool TAP_PRINTF(5, 6)
tap_is_int(const char *file, int line, intmax_t got, intmax_t want,
           const char *fmt, ...)
{
    va_list ap;
    bool held;

    va_start(ap, fmt);
    held = tap_result(file, line, got == want, fmt, ap);
    va_end(ap);
    if (!held)
        diag("   got: %jd\n  want: %jd", got, want);
    return held;
}

static inline bool TAP_PRINTF(5, 6)
tap_is_uint(const char *file, int line, uintmax_t got, uintmax_t want,
            const char *fmt, ...)
{
    va_list ap;
    bool held;

    va_start(ap, fmt);
    held = tap_result(file, line, got == want, fmt, ap);
    va_end(ap);
    if (!held)
        diag("   got: %ju (0x%jx)\n  want: %ju (0x%jx)",
             got, got, want, want);
    return held;
}

static inline void tap_diag_str(const char *label, const char *s)
{
    if (s)
        diag("%s \"%s\"", label, s);
    else
        diag("%s NULL", label);
}

/* Two NULLs are equal; NULL and "" are not. */
static inline bool TAP_PRINTF(5, 6)
tap_is_str(const char *file, int line, const char *got, const char *want,
           const char *fmt, ...)
{
    bool held = got && want ? !strcmp(got, want) : got == want;
    va_list ap;

    va_start(ap, fmt);
    tap_result(file, line, held, fmt, ap);
    va_end(ap);
    if (!held) {
        tap_diag_str("   got:", got);
        tap_diag_str("  want:", want);
    }
    return held;
}

static inline bool TAP_PRINTF(7, 8)
tap_is_mem(const char *file, int line, const void *got, size_t got_len,
           const void *want, size_t want_len, const char *fmt, ...)
{
    const unsigned char *g = got, *w = want;
    size_t at = 0, min = got_len < want_len ? got_len : want_len;
    va_list ap;
    bool held;

    while (at < min && g[at] == w[at])
        at++;
    held = at == got_len && at == want_len;
    va_start(ap, fmt);
    tap_result(file, line, held, fmt, ap);
    va_end(ap);
    if (!held)
        diag("   got: %zu bytes\n  want: %zu bytes\n  first difference at %zu",
             got_len, want_len, at);
    return held;
}

/* `wanted`: whether `part` shall stand in `got`. NULL satisfies neither. */
static inline bool TAP_PRINTF(6, 7)
tap_like(const char *file, int line, const char *got, const char *part,
         bool wanted, const char *fmt, ...)
{
    bool held = got && part && !!strstr(got, part) == wanted;
    va_list ap;

    va_start(ap, fmt);
    tap_result(file, line, held, fmt, ap);
    va_end(ap);
    if (!held) {
        tap_diag_str("       got:", got);
        tap_diag_str(wanted ? "   without:" : "      with:", part);
    }
    return held;
}

/* Count one claim as not examined, and say why. */
static inline void TAP_PRINTF(1, 2) skip(const char *why, ...)
{
    va_list ap;
    char *s;

    va_start(ap, why);
    s = tap_format(why, ap);
    va_end(ap);
    printf("ok %u # SKIP ", ++tap_state.run);
    tap_put_claim(s);
    putchar('\n');
    fflush(stdout);
    free(s);
}

/* Before the first claim: this whole program cannot run here. */
static inline void __attribute__((noreturn)) TAP_PRINTF(1, 2)
skip_all(const char *why, ...)
{
    va_list ap;
    char *s;

    va_start(ap, why);
    s = tap_format(why, ap);
    va_end(ap);
    if (tap_state.run) {
        diag("skip_all() after the first claim");
        exit(255);
    }
    fputs("1..0 # SKIP ", stdout);
    tap_put_claim(s);
    putchar('\n');
    free(s);
    exit(0);
}

/* The set-up is broken, no claim can be examined: end every test run. For
 * one program that cannot go on, fail a claim and return done_testing(). */
static inline void __attribute__((noreturn)) TAP_PRINTF(1, 2)
bail(const char *why, ...)
{
    va_list ap;
    char *s;

    va_start(ap, why);
    s = tap_format(why, ap);
    va_end(ap);
    fputs("Bail out! ", stdout);
    tap_put_claim(s);
    putchar('\n');
    free(s);
    exit(255);
}

/* Prints the plan; the value is main()'s. A test of no claims has failed. */
static inline int done_testing(void)
{
    if (!tap_state.run) {
        printf("not ok 1 - a claim was examined\n");
        tap_state.run = tap_state.failed = 1;
    }
    printf("1..%u\n", tap_state.run);
    fflush(stdout);
    return tap_state.failed ? 1 : 0;
}

#endif /* SNAP_TEST_TAP_H */
