/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * The claims of snap_internal.c: the first error stays, text and lists grow,
 * names keep to their alphabet.
 */
#include "snap_internal.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include "tap.h"

struct heard {
    char last[256];
    enum snap_log_level level;
    int count;
    struct snap_progress progress;
};

static void hear(void *arg, enum snap_log_level level, const char *text)
{
    struct heard *h = arg;

    snprintf(h->last, sizeof(h->last), "%s", text);
    h->level = level;
    h->count++;
}

static void watch(void *arg, const struct snap_progress *progress)
{
    ((struct heard *)arg)->progress = *progress;
}

static void test_first_error_stays(void)
{
    struct heard h = { .count = 0 };
    struct snap_ctx sc = { .arg = &h, .log = hear };

    is_int(snap_fail(&sc, ERROR_INVAL, "disk '%s': raw", "xvdb"), ERROR_INVAL,
           "a failure returns its code");
    is_str(sc.message, "disk 'xvdb': raw", "the message is formatted");
    is_int(h.count, 0, "the first failure is not logged");
    is_int(snap_fail(&sc, ERROR_FAIL, "undo failed"), ERROR_FAIL,
           "a second failure returns its own code");
    is_str(sc.message, "disk 'xvdb': raw", "the first message stays");
    is_int(sc.rc, ERROR_INVAL, "the first code stays");
    is_str(h.last, "undo failed", "the second failure is logged");
    is_int(h.level, SNAP_LOG_NOTE, "as a note");
    is_int(snap_within(&sc, ERROR_FAIL, "undo"), ERROR_FAIL,
           "a place given for the second failure returns its code");
    is_str(sc.message, "disk 'xvdb': raw",
           "the second failure's place does not relabel the first");
    is_int(snap_within(&sc, ERROR_INVAL, "step %d", 3), ERROR_INVAL,
           "a place given for the first failure returns its code");
    is_str(sc.message, "step 3: disk 'xvdb': raw", "and stands in front");
    snap_clear(&sc);
    ok(!sc.message && !sc.rc, "clear forgets the error");
    snap_fail(&sc, ERROR_NOMEM, "new");
    is_str(sc.message, "new", "after clear the next failure is the first");
    snap_ctx_dispose(&sc);
}

static void test_errno(void)
{
    struct snap_ctx sc = SNAP_CTX_INIT;

    is_int(snap_fail_errno(&sc, ENOENT, "open '%s'", "/x"), ERROR_NOTFOUND,
           "ENOENT becomes ERROR_NOTFOUND");
    is_str(sc.message, "open '/x': No such file or directory",
           "the text of errno follows the message");
    snap_clear(&sc);
    is_int(snap_fail_errno(&sc, EIO, "read"), ERROR_FAIL,
           "EIO becomes ERROR_FAIL");
    snap_ctx_dispose(&sc);
    is_int(snap_fail(NULL, ERROR_FAIL, "no context"), ERROR_FAIL,
           "a failure without a context only returns its code");
}

static void test_progress(void)
{
    struct heard h = { .count = 0 };
    struct snap_ctx sc = { .arg = &h, .progress = watch };
    struct snap_ctx silent = SNAP_CTX_INIT;

    snap_report_progress(&sc, "memory", 5, 10, true);
    is_str(h.progress.what, "memory", "progress names what it measures");
    is_int(h.progress.done_bytes, 5, "progress tells the bytes done");
    is_int(h.progress.total_bytes, 10, "progress tells the total");
    ok(h.progress.finished, "progress tells the end");
    snap_report_progress(&silent, "memory", 5, 10, true);
    snap_log(&silent, SNAP_LOG_NOTE, "nobody listens");
    ok(!silent.message, "without callbacks nothing happens");
}

static void test_text(void)
{
    struct snap_text t = { .len = 0 };
    size_t i;

    for (i = 0; i < 1000; i++) snap_text_add(&t, "%zu,", i % 10);
    is_int(t.len, 2000, "a text grows by what is added");
    is_int(strlen(t.data), 2000, "a text ends with a NUL");
    snap_text_add_bytes(&t, "a\0b", 3);
    is_int(t.len, 2003, "bytes are added whole, a NUL too");
    free(t.data);
    t = (struct snap_text){ .len = 0 };
    snap_text_add_bytes(&t, "", 0);
    is_str(t.data, "", "adding nothing gives an empty text");
    free(t.data);
}

static void test_strings(void)
{
    struct snap_strings l = { .len = 0 };
    bool terminated = true;
    size_t i;

    ok(!snap_strings_have(&l, "x"), "an empty list has nothing");
    for (i = 0; i < 100; i++) {
        snap_strings_take(&l, snap_printf("s%zu", i));
        terminated = terminated && !l.data[l.len];
    }
    is_int(l.len, 100, "a list grows");
    ok(terminated, "a NULL stands behind the last at every length");
    is_str(l.data[99], "s99", "the order is kept");
    snap_strings_add(&l, "copy");
    ok(snap_strings_have(&l, "copy"), "a list finds its members");
    ok(!snap_strings_have(&l, "cop"), "a list does not find prefixes");
    snap_strings_dispose(&l);
    ok(!l.data && !l.len, "a disposed list is empty");
    snap_strings_dispose(&l);
}

static void test_memory(void)
{
    char *s;

    ok(!snap_strdup(NULL), "a copy of NULL is NULL");
    s = snap_strndup("abc", 2);
    is_str(s, "ab", "a bounded copy ends at the bound");
    free(s);
    s = snap_strndup("abc", 20);
    is_str(s, "abc", "a bounded copy ends at the NUL");
    free(s);
    s = snap_zalloc(0);
    ok(s != NULL, "no bytes are some memory");
    free(s);
}

static void test_time(void)
{
    int64_t now = snap_now_ms();

    is_int(snap_left_ms(now - 1), 0, "a deadline in the past leaves nothing");
    is_int(snap_left_ms(INT64_MIN), 0, "the earliest deadline leaves nothing");
    is_int(snap_left_ms(INT64_MAX), INT_MAX, "no deadline overflows poll()");
    ok(snap_left_ms(now + 60000) > 50000, "a deadline ahead leaves time");
    ok(snap_now_ms() >= now, "time does not go back");
}

static void test_names(void)
{
    static const char *const good[] = {
        "a", "_", "s20260102T030405Z", "before-upgrade_2.1", "A-",
        "a234567890123456789012345678901234567890123456789012345678901234",
    };
    static const char *const bad[] = {
        "", "1", "12", "-a", ".", "..", ".hidden", "a/b", "a b", "a\n", "a,b",
        "\xc3\xa9", "a\xc3\xa9", "%", "a%41",
        "a2345678901234567890123456789012345678901234567890123456789012345",
    };
    size_t i;

    for (i = 0; i < sizeof(good) / sizeof(*good); i++)
        ok(snap_name_valid(good[i]), "'%s' is a name", good[i]);
    for (i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        ok(!snap_name_valid(bad[i]), "'%s' is no name", bad[i]);
    ok(!snap_name_valid(NULL), "NULL is no name");
}

int main(void)
{
    test_first_error_stays();
    test_errno();
    test_progress();
    test_text();
    test_strings();
    test_memory();
    test_time();
    test_names();
    return done_testing();
}
