/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * Names, paths and words that xl decides about: the store, default names,
 * paths of overlays, cleaning and quoting of text.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/fs.h"
#include "host/run.h"
#include "overlay.h"
#include "progress.h"
#include "say.h"
#include "store.h"
#include "tap.h"

static char dir[] = "/tmp/xl-policy-XXXXXX";

static char *in_dir(const char *name)
{
    return snap_printf("%s/%s", dir, name);
}

static void make_file(const char *name)
{
    AUTO_FREE char *path = in_dir(name);
    AUTO_CLOSE int fd = open(path, O_CREAT | O_WRONLY, 0600);

    if (fd < 0) bail("cannot make %s: %s", path, strerror(errno));
}

static void make_dir(const char *name)
{
    AUTO_FREE char *path = in_dir(name);

    if (mkdir(path, 0700)) bail("cannot make %s", path);
}

/* ---- the store ------------------------------------------------------- */

static void store_dirs(void)
{
    AUTO_FREE char *built_in = NULL, *env = NULL, *option = NULL;
    AUTO_FREE char *relative = NULL, *evil = NULL;

    unsetenv("XL_SNAPSHOT_STORE");
    built_in = xl_store_dir(NULL);
    is_str(built_in, SNAP_STORE_DIR, "the built-in store");
    setenv("XL_SNAPSHOT_STORE", "/env/", 1);
    env = xl_store_dir(NULL);
    is_str(env, "/env", "the environment's store, without the last slash");
    option = xl_store_dir("/opt//");
    is_str(option, "/opt", "an option wins");
    if (chdir(dir)) bail("chdir");
    relative = xl_store_dir("./st");
    ok(relative[0] == '/' && strstr(relative, dir), "a store is absolute");
    evil = xl_store_domain_dir("/st", "../x/..");
    is_str(evil, "/st/%2E.%2Fx%2F..", "a domain's name is one component");
}

static void encoded_names(void)
{
    static const char *const names[] = {
        "web", "../x", ".journal", "", "a b", "100%", "%41", "\xc3\xa4\n",
        "a+b=c", "..",
    };
    static const char *const wrong[] = {
        "%zz", "%4", "%41", "a b", ".x", "%2f", "%", "%%",
    };
    size_t i;

    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        AUTO_FREE char *encoded = snap_fs_encode_name(names[i]);
        AUTO_FREE char *back = xl_store_decode_name(encoded);

        is_str(back, names[i], "'%s' is decoded", encoded);
    }
    for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        AUTO_FREE char *back = xl_store_decode_name(wrong[i]);

        /* "%" alone is what no name at all becomes. */
        if (!strcmp(wrong[i], "%"))
            is_str(back, "", "'%%' is the empty name");
        else
            ok(!back, "'%s' is no encoded name", wrong[i]);
    }
}

static void default_names(void)
{
    const time_t then = 1767323045;     /* 2026-01-02T03:04:05Z */
    AUTO_FREE char *first = xl_store_default_name(dir, then);
    AUTO_FREE char *second = NULL, *third = NULL;

    is_str(first, "s20260102T030405Z", "a name from the time");
    ok(snap_name_valid(first), "which is a valid one");
    make_dir(first);
    second = xl_store_default_name(dir, then);
    is_str(second, "s20260102T030405Z-2", "-2 when it is taken");
    make_file(second);
    third = xl_store_default_name(dir, then);
    is_str(third, "s20260102T030405Z-3", "-3 when that is taken by a file");
    ok(xl_store_is_default_name(first), "it is known again");
    ok(xl_store_is_default_name(third), "with a number, too");
    ok(!xl_store_is_default_name("s20260102T030405"), "not when cut");
    ok(!xl_store_is_default_name("s20260102T030405Z-"), "nor with a dash");
    ok(!xl_store_is_default_name("s20260102T030405Zx"), "nor with more");
    ok(!xl_store_is_default_name(""), "nor nothing");
}

/* ---- overlays -------------------------------------------------------- */

static void stems(void)
{
    static const struct { const char *image, *stem; } cases[] = {
        { "/img/web.img", "web" },
        { "/img/web.qcow2", "web" },
        { "/img/web.QCOW2", "web" },
        { "/img/web", "web" },
        { "/img/.qcow2", ".qcow2" },
        { "/img/web.raw.img", "web.raw" },
        { "/img/web.s20260102T030405Z.qcow2", "web" },
        { "/img/web.s20260102T030405Z-2-r12.qcow2", "web" },
        { "/img/web.known.qcow2", "web" },
        { "/img/web.known-r3.qcow2", "web" },
        { "/img/web.kn.own-r3.qcow2", "web" },
        { "/img/web.unknown.qcow2", "web.unknown" },
        { "/img/web.known.old.qcow2", "web.known.old" },
        { "/img/web.current.qcow2", "web.current" },
        { "/img/.known.qcow2", ".known" },
        { "/img/v1.2.known.qcow2", "v1.2" },
    };
    AUTO_FREE char *store = in_dir("web");
    size_t i;

    make_dir("web");
    make_dir("web/known");
    make_dir("web/kn.own");
    make_file("web/current");
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        AUTO_FREE char *stem = xl_overlay_stem(store, cases[i].image);

        is_str(stem, cases[i].stem, "the stem of %s", cases[i].image);
    }
}

static void is_path(char *got, const char *want, const char *claim)
{
    AUTO_FREE char *path = in_dir(want);

    is_str(got, path, "%s", claim);
    free(got);
}

static void overlay_paths(void)
{
    struct xl_overlay o = { .domain_dir = NULL, .snapshot = "s1" };
    struct xl_overlay kept = { .snapshot = "s1-r2", .beside = &o };
    AUTO_FREE char *img = NULL, *qcow2 = NULL, *long_image = NULL;
    AUTO_FREE char *long_name = snap_zalloc(256);

    make_file("disk.img");
    make_file("disk.qcow2");
    img = in_dir("disk.img");
    qcow2 = in_dir("disk.qcow2");
    is_path(xl_overlay_path(&o, "xvda", img), "disk.s1.qcow2",
            "an overlay is beside its image");
    is_path(xl_overlay_path(&o, "xvda", img), "disk.s1.qcow2",
            "the same question has the same answer");
    is_path(xl_overlay_path(&o, "xvdb", qcow2), "disk.s1-2.qcow2",
            "two disks never get one path");
    xl_overlay_dispose(&o);
    make_file("disk.s1.qcow2");
    is_path(xl_overlay_path(&o, "xvda", img), "disk.s1-2.qcow2",
            "a name that is taken is passed over");
    xl_overlay_dispose(&o);
    o.revert = true;
    is_path(xl_overlay_path(&o, "xvda", img), "disk.s1-r1.qcow2",
            "an overlay of a revert");
    xl_overlay_dispose(&o);
    {
        AUTO_FREE char *link = in_dir("disk.s1-r1.qcow2");

        if (symlink("/nowhere", link)) bail("symlink");
    }
    is_path(xl_overlay_path(&o, "xvda", img), "disk.s1-r2.qcow2",
            "even a dangling link is a name that is taken");
    /* `snapshot-revert --keep s1-r2 DOMAIN s1` */
    is_path(xl_overlay_path(&kept, "xvda", img), "disk.s1-r2-2.qcow2",
            "what is kept at the same time gets another");
    xl_overlay_dispose(&kept);
    xl_overlay_dispose(&o);
    ok(!xl_overlay_path(&o, "xvda", "/dev/null"),
       "there is no place beside a device");
    ok(!xl_overlay_path(&o, "xvda", "/no/such/image"),
       "nor beside what is not there");
    ok(!xl_overlay_path(&o, "xvda", "disk.img"), "nor for a relative path");
    memset(long_name, 'a', 250);
    make_file(long_name);
    long_image = in_dir(long_name);
    ok(!xl_overlay_path(&o, "xvda", long_image),
       "nor where the name would be too long");
    xl_overlay_dispose(&o);
}

/* ---- words ----------------------------------------------------------- */

static void clean_text(void)
{
    static const struct { const char *dirty, *clean; } cases[] = {
        { "plain", "plain" },
        { "", "" },
        { "a\nb\tc\r", "a\\x0ab\\x09c\\x0d" },
        { "\033[31m", "\\x1b[31m" },
        { "\x7f", "\\x7f" },
        { "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80",
          "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80" },
        { "\xc2\x9b" "31m", "\\xc2\\x9b" "31m" },
        { "\xe2\x80\xae", "\\xe2\\x80\\xae" },
        { "\xff\xc3", "\\xff\\xc3" },
        { "\xc0\xaf", "\\xc0\\xaf" },
        { "\xed\xa0\x80", "\\xed\\xa0\\x80" },
        { "\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80" },
        { "\xe2\x82", "\\xe2\\x82" },
    };
    size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        AUTO_FREE char *clean = xl_clean(cases[i].dirty);

        is_str(clean, cases[i].clean, "%s", cases[i].clean);
        ok(xl_utf8_valid(clean), "is UTF-8");
    }
}

static void quoting(void)
{
    static const char *const words[] = {
        "web", "", "a b", "it's", "''", "$(x)", "-n", "a\nb", "*", "~",
        "\\", "\"", "a=b", "`x`", "!", "#",
    };
    size_t i;

    for (i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        AUTO_FREE char *quoted = xl_shell_quote(words[i]);
        AUTO_FREE char *script = snap_printf("printf '%%s' %s", quoted);
        const char *const argv[] = { "/bin/sh", "-c", script, NULL };
        struct snap_ctx sc = SNAP_CTX_INIT;
        AUTO_FREE char *got = NULL;

        if (snap_run_ok(&sc, argv, 10000, &got)) bail("%s", sc.message);
        is_str(got, words[i], "the shell reads %s", quoted);
    }
}

static void wrapping(void)
{
    AUTO_FREE char *text = NULL;
    size_t len;
    FILE *f = open_memstream(&text, &len);
    char *line, *save = NULL;
    size_t widest = 0;

    xl_wrap(f, "the quick brown fox jumps over the lazy dog and the "
            "quick brown fox jumps over the lazy dog and "
            "/a/path/that/is/longer/than/any/line/may/be/and/is/never/"
            "broken/since/somebody/may/paste/it ends", 10, 4);
    fclose(f);
    for (line = strtok_r(text, "\n", &save); line;
         line = strtok_r(NULL, "\n", &save))
        if (!strchr(line, '/') && strlen(line) > widest)
            widest = strlen(line);
    ok(widest && widest < 80, "lines are narrower than 80");
    ok(text[len - 1] == 0 || text[len - 1] == '\n', "and end");
}

static void sizes(void)
{
    static const struct { uint64_t bytes; const char *text, *brief; } c[] = {
        { 0, "0 B", "0" },
        { 1023, "1023 B", "1023" },
        { 1024, "1.0 KiB", "1.0K" },
        { 10 << 10, "10 KiB", "10K" },
        { 268502188, "256 MiB", "256M" },
        { UINT64_C(1) << 40, "1.0 TiB", "1.0T" },
        { UINT64_MAX, "16 EiB", "16E" },
    };
    size_t i;

    for (i = 0; i < sizeof(c) / sizeof(c[0]); i++) {
        AUTO_FREE char *text = xl_bytes_text(c[i].bytes);
        AUTO_FREE char *brief = xl_bytes_brief(c[i].bytes);

        is_str(text, c[i].text, "%s", c[i].text);
        is_str(brief, c[i].brief, "in short %s", c[i].brief);
    }
}

static void remove_all(void)
{
    const char *const argv[] = { "/bin/rm", "-rf", dir, NULL };
    struct snap_ctx sc = SNAP_CTX_INIT;

    if (snap_run_ok(&sc, argv, 10000, NULL)) diag("%s stays", dir);
    snap_ctx_dispose(&sc);
}

int main(void)
{
    if (!mkdtemp(dir)) bail("no directory for the test");
    store_dirs();
    encoded_names();
    default_names();
    stems();
    overlay_paths();
    clean_text();
    quoting();
    wrapping();
    sizes();
    if (chdir("/")) diag("chdir");
    remove_all();
    return done_testing();
}
