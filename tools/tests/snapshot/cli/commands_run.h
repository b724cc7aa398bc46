/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * Running commands over the fake library, for the tests of one subject each:
 * the program runs itself as xl.
 */
#ifndef COMMANDS_RUN_H
#define COMMANDS_RUN_H

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "commands.h"
#include "fake_library.h"
#include "host/run.h"
#include "tap.h"

#define MAX_ARGS 16

static char dir[] = "/tmp/xl-commands-XXXXXX";
static char *store, *log_path;

/* What one run left. */
static char *out, *err, *asked;
static int status;

static inline char *slurp(const char *path)
{
    struct snap_ctx sc = SNAP_CTX_INIT;
    char *text = NULL;
    size_t len;

    if (snap_fs_read(&sc, path, false, 1 << 20, &text, &len))
        text = snap_strdup("");
    snap_ctx_dispose(&sc);
    return text;
}

static inline char *in_dir(const char *name)
{
    return snap_printf("%s/%s", dir, name);
}

static inline void write_file(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");

    if (!f || fputs(text, f) < 0 || fclose(f)) bail("cannot write %s", path);
}

static inline void child(const char *fake, const char *const *argv,
                         const char *out_path, const char *err_path)
{
    AUTO_CLOSE int o = open(out_path, O_CREAT | O_TRUNC | O_WRONLY, 0600);
    AUTO_CLOSE int e = open(err_path, O_CREAT | O_TRUNC | O_WRONLY, 0600);

    setenv("FAKE", fake, 1);
    setenv("FAKE_XL", "1", 1);
    setenv("FAKE_LOG", log_path, 1);
    setenv("XL_SNAPSHOT_STORE", store, 1);
    setenv("XL_STOCK", "/bin/true", 1);
    dup2(o, STDOUT_FILENO);
    dup2(e, STDERR_FILENO);
    execv("/proc/self/exe", (char **)argv);
    _exit(127);
}

/* Wait for the fake to have begun, at most ten seconds. */
static inline void wait_for_fake(void)
{
    int i;

    for (i = 0; i < 1000; i++) {
        AUTO_FREE char *text = slurp(log_path);

        if (strstr(text, "waiting\n")) return;
        usleep(10000);
    }
    diag("the fake library did not begin");
}

/* Run `xl WORDS`; `sig`: 0 or what to send while the library waits. */
static inline void run_signal(const char *fake, int sig,
                              const char *const *words)
{
    AUTO_FREE char *o = in_dir("out");
    AUTO_FREE char *e = in_dir("err");
    const char *argv[MAX_ARGS + 2] = { "xl" };
    size_t i;
    pid_t pid;

    for (i = 0; i < MAX_ARGS && words[i]; i++)
        argv[i + 1] = words[i];
    unlink(log_path);
    fflush(NULL);
    pid = fork();
    if (pid < 0) bail("fork");
    if (!pid) child(fake, argv, o, e);
    if (sig) {
        wait_for_fake();
        kill(pid, sig);
    }
    waitpid(pid, &status, 0);
    status = WIFEXITED(status) ? WEXITSTATUS(status)
                               : 1000 + WTERMSIG(status);
    free(out);
    free(err);
    free(asked);
    out = slurp(o);
    err = slurp(e);
    asked = slurp(log_path);
}

#define run(fake, ...) \
    run_signal(fake, 0, (const char *const[]){ __VA_ARGS__, NULL })

static inline struct snap_json *parse_out(void)
{
    struct snap_ctx sc = SNAP_CTX_INIT;
    struct snap_json *j = NULL;

    if (snap_json_parse(&sc, "output", out, strlen(out), &j))
        diag("%s\n%s", sc.message, out);
    snap_ctx_dispose(&sc);
    return j;
}

static inline bool member_is(const char *key, const char *text)
{
    AUTO_JSON struct snap_json *j = parse_out();
    const char *have = snap_json_get_str(j, key);

    return have && !strcmp(have, text);
}

static inline bool member_is_int(const char *key, int64_t value)
{
    AUTO_JSON struct snap_json *j = parse_out();
    int64_t have;

    return snap_json_int(snap_json_get(j, key), &have) && have == value;
}

static inline void make_child(const char *domain_dir, const char *name,
                              const char *parent)
{
    AUTO_FREE char *domain = snap_printf("%s/%s", store, domain_dir);
    AUTO_FREE char *path = snap_printf("%s/%s", domain, name);
    AUTO_FREE char *file = snap_printf("%s/" SNAP_MANIFEST_FILE, path);
    struct snap_manifest m = {
        .name = (char *)name,
        .parent = (char *)parent,
        .created = (char *)"2026-01-02T03:04:05Z",
        .domain_name = (char *)"web",
        .domain_uuid = (char *)FAKE_UUID,
        .domain_type = (char *)"pvh",
        .domain_state = (char *)"running",
        .consistency = (char *)"full",
        .memory_path = (char *)SNAP_MEMORY_FILE,
        .memory_size_bytes = 100,
        .memory_head_bytes = 10,
        .memory_head_sha256 = (char *)
            "9f86d081884c7d659a2feaa0c55ad015"
            "a3bf4f1b2b0b822cd15d6c15b0f00a08",
    };
    AUTO_FREE char *text = snap_manifest_print(&m);

    mkdir(domain, 0700);
    mkdir(path, 0700);
    write_file(file, text);
}

static inline void make_snapshot(const char *domain_dir, const char *name)
{
    make_child(domain_dir, name, NULL);
}

/* main() of the program: as xl, when it runs itself; else the tests. */
static inline int commands_main(int argc, char **argv, void (*test)(void))
{
    const char *const clean[] = { "/bin/rm", "-rf", dir, NULL };
    struct snap_ctx sc = SNAP_CTX_INIT;
    int at = 1;

    if (getenv("VALGRIND"))
        skip_all("it runs itself as xl, which valgrind does not let it");
    if (getenv("FAKE_XL")) {
        if (argc > 1 && !strcmp(argv[1], "-N")) at++;
        return xl_run_command("xl", at > 1 ? "N" : "", argv[at], argc - at,
                              argv + at);
    }
    if (geteuid())
        skip_all("the commands want root");
    if (!mkdtemp(dir)) bail("no directory for the test");
    store = in_dir("store");
    log_path = in_dir("asked");
    mkdir(store, 0700);
    test();
    if (snap_run_ok(&sc, clean, 10000, NULL)) diag("%s", sc.message);
    snap_ctx_dispose(&sc);
    free(store);
    free(log_path);
    free(out);
    free(err);
    free(asked);
    return done_testing();
}

#endif
