/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * The commands over a fake library: what it is asked for, what is printed
 * where, exit statuses, signals, progress.  The program runs itself as xl.
 */
#include <fcntl.h>
#include <poll.h>
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

static char *slurp(const char *path)
{
    struct snap_ctx sc = SNAP_CTX_INIT;
    char *text = NULL;
    size_t len;

    if (snap_fs_read(&sc, path, false, 1 << 20, &text, &len))
        text = snap_strdup("");
    snap_ctx_dispose(&sc);
    return text;
}

static char *in_dir(const char *name)
{
    return snap_printf("%s/%s", dir, name);
}

static void write_file(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");

    if (!f || fputs(text, f) < 0 || fclose(f)) bail("cannot write %s", path);
}

static void child(const char *fake, const char *const *argv,
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
static void wait_for_fake(void)
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
static void run_signal(const char *fake, int sig, const char *const *words)
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

static struct snap_json *parse_out(void)
{
    struct snap_ctx sc = SNAP_CTX_INIT;
    struct snap_json *j = NULL;

    if (snap_json_parse(&sc, "output", out, strlen(out), &j))
        diag("%s\n%s", sc.message, out);
    snap_ctx_dispose(&sc);
    return j;
}

static bool member_is(const char *key, const char *text)
{
    AUTO_JSON struct snap_json *j = parse_out();
    const char *have = snap_json_get_str(j, key);

    return have && !strcmp(have, text);
}

static bool member_is_int(const char *key, int64_t value)
{
    AUTO_JSON struct snap_json *j = parse_out();
    int64_t have;

    return snap_json_int(snap_json_get(j, key), &have) && have == value;
}

/* ---- create ---------------------------------------------------------- */

static void create_plainly(void)
{
    AUTO_FREE char *start = snap_printf("%s/web/s2", store);
    AUTO_FREE char *dir_line = snap_printf("directory=%s/web/s2", store);
    AUTO_FREE char *current = snap_printf("current=%s/web/current parent=-",
                                          store);

    run("", "snapshot-create", "web");
    is_int(status, 0, "create without options is done");
    ok(!strncmp(out, start, strlen(start)), "prints the directory");
    ok(strchr(out, '\n') == out + strlen(out) - 1, "and nothing else");
    like(err, "stood still for 1.300 s", "the rest is on standard error");
    like(asked, dir_line, "the directory is in the store");
    like(asked, current, "the hint is beside it");
    like(asked, "create domid=5 name=s2", "the name is from the time");
    like(asked, "kind=auto live=0 paused=0 protect=1 dry=0 lock=60000",
         "the defaults are sensible");
    unlike(asked, "\ndisk", "no disk is named");
    run("", "snapshot-create", "-q", "web");
    is_str(err, "", "quiet is quiet");
    run("", "snapshot-create", FAKE_UUID);
    like(asked, "create domid=5", "a domain by its uuid");
    run("", "snapshot-create", "other");
    is_int(status, 1, "a domain that does not run is refused");
    like(err, "'other' is not running", "with the reason");
    run("no xen", "snapshot-create", "web");
    is_int(status, 1, "no Xen is refused");
    like(err, "no Xen here", "with the library's words");
}

static void create_options(void)
{
    run("", "snapshot-create", "-n", "a.b-c", "-d", "two\nlines", "-l", "-e",
        "-p", "--no-protect", "--exclude", "xvdb", "--exclude=xvdc",
        "--lock-timeout", "0", "5");
    is_int(status, 0, "all options together");
    like(asked, "name=a.b-c description=two\nlines", "name and description");
    like(asked, "kind=external live=1 paused=1 protect=0 dry=0 lock=0",
         "the others");
    like(asked, "disk xvdb exclude", "a disk left out");
    like(asked, "disk xvdc exclude", "and another");
    {
        AUTO_FREE char *path = in_dir("mine");
        AUTO_FREE char *line = snap_printf("directory=%s\n", path);
        AUTO_FREE char *slashed = snap_printf("%s//", path);
        AUTO_FREE char *deep = in_dir("no/such");

        run("", "snapshot-create", "--path", slashed, "web");
        like(asked, line, "--path is the directory itself");
        run("", "snapshot-create", "--path", deep, "web");
        is_int(status, 1, "what is above --path must be there");
        is_str(asked, "", "or nothing is begun");
    }
}

static void create_parent(void)
{
    AUTO_FREE char *web = snap_printf("%s/web", store);
    AUTO_FREE char *s1 = snap_printf("%s/s1", web);
    AUTO_FREE char *current = snap_printf("%s/current", web);

    mkdir(web, 0700);
    mkdir(s1, 0700);
    write_file(current, "s1\n");
    run("", "snapshot-create", "-n", "s2", "web");
    like(asked, "parent=s1\n", "the current snapshot is the parent");
    run("", "snapshot-create", "-n", "s1", "web");
    is_int(status, 1, "a name that is taken is refused");
    is_str(asked, "", "before anything is begun");
    write_file(current, "gone\n");
    run("", "snapshot-create", "-n", "s2", "web");
    like(asked, "parent=-\n", "one that is gone is none");
    unlink(current);
    rmdir(s1);
    rmdir(web);
}

static void create_ends(void)
{
    AUTO_FREE char *web = snap_printf("%s/web", store);
    AUTO_FREE char *new = in_dir("new"), *below = in_dir("new/a/store");

    rmdir(web);
    run("refuse", "snapshot-create", "-n", "s1", "web");
    is_int(status, 1, "refused is 1");
    is_str(out, "", "with nothing on standard output");
    is_str(err, "Error: it is\\x0araining\n", "and the reason in one line");
    ok(access(web, F_OK), "a refusal leaves no directory behind");
    run("refuse", "snapshot-create", "--store", below, "-n", "s1", "web");
    is_int(status, 1, "refused with a store that is not there, either");
    ok(access(new, F_OK), "nor any of a new store");
    mkdir(new, 0700);
    run("refuse", "snapshot-create", "--store", below, "-n", "s1", "web");
    ok(!access(new, F_OK), "what was there before stays");
    rmdir(new);
    run("undone", "snapshot-create", "-n", "s1", "web");
    is_int(status, 3, "undone is 3");
    like(err, "All of it was undone.", "and says so");
    run("not whole", "snapshot-create", "-n", "s1", "web");
    is_int(status, 4, "not whole is 4");
    like(err, "\n    xl snapshot-recover 'a b'\n",
         "with the command on a line of its own");
    run("not whole", "snapshot-create", "--json", "-n", "s1", "web");
    is_int(status, 4, "with --json, too");
    ok(member_is("error", "half of it is done") && member_is_int("exit", 4) &&
       member_is("hint", "xl snapshot-recover 'a b'"),
       "which has error, exit and hint");
    run("refuse", "snapshot-create", "--json", "-n", "s1", "web");
    ok(member_is("error", "it is\nraining"), "JSON has the text as it is");
    run("silent", "snapshot-create", "-n", "s1", "web");
    is_int(status, 1, "an error without a word is an error");
    like(err, "Error: ", "with some words");
    run("words", "snapshot-create", "-n", "s1", "web");
    like(err, "Note: a remark\n", "notes are told");
    like(err, "\n    format=qcow2,vdev=xvda,access=rw,target=/img/n\n",
         "the entry for the xl.cfg is ready to paste");
    run("words", "snapshot-create", "--json", "-n", "s1", "web");
    ok(member_is("snapshot", "s1") && member_is("consistency", "full") &&
       member_is("domain", "web") && member_is_int("still_ms", 1234) &&
       member_is_int("exit", 0), "--json has the result");
    is_str(err, "", "and standard error is silent");
    rmdir(web);
    run("", "snapshot-create", "--dry-run", "-n", "s1", "web");
    is_int(status, 0, "a dry run is done");
    is_str(out, "do this\nthen that\n", "it prints the plan");
    like(asked, " dry=1 ", "the library is told");
    ok(access(web, F_OK), "and no directory is made");
    run("", "-N", "snapshot-create", "-n", "s1", "web");
    like(asked, " dry=1 ", "xl -N is a dry run");
}

static void create_config(void)
{
    AUTO_FREE char *cfg = in_dir("snap.cfg");
    AUTO_FREE char *target = snap_printf(
        "disk xvdb external format=qcow2 target=%s/f/b, c.q\n", dir);
    AUTO_FREE char *memory = snap_printf("directory=%s/m1\n", dir);
    AUTO_FREE char *missing = in_dir("none.cfg");

    write_file(cfg, "name='s1'\ndescription='d'\nlive=1\ntype='internal'\n"
               "disk=['vdev=xvda','vdev=xvdb,type=external,format=qcow2,"
               "target=f/b, c.q','vdev=xvdc,exclude']\n");
    run("", "snapshot-create", "web", cfg);
    is_int(status, 0, "a SNAPSHOT-CONFIG is followed");
    like(asked, "name=s1 description=d", "name and description");
    like(asked, "kind=internal live=1", "type and live");
    like(asked, "disk xvda internal", "a disk takes the file's type");
    like(asked, target, "target is relative to the file, with its comma");
    like(asked, "disk xvdc exclude", "a disk left out");
    run("", "snapshot-create", "-n", "s1", "-l", "web", cfg);
    is_int(status, 0, "an option that says the same is fine");
    run("", "snapshot-create", "--exclude", "xvdc", "web", cfg);
    is_int(status, 0, "also about a disk");
    run("", "snapshot-create", "--json", "-n", "s2", "web", cfg);
    is_int(status, 2, "--name that disagrees is a usage error");
    ok(member_is_int("exit", 2), "in JSON as well");
    run("", "snapshot-create", "-d", "e", "web", cfg);
    is_int(status, 2, "so is --description");
    run("", "snapshot-create", "-e", "web", cfg);
    is_int(status, 2, "so is --external against type");
    run("", "snapshot-create", "-i", "web", cfg);
    is_int(status, 2, "so is --internal against a disk's type");
    run("", "snapshot-create", "--exclude", "xvda", "web", cfg);
    is_int(status, 2, "so is --exclude of a disk that is in it");
    like(err, "disagree", "the message says so");
    is_str(asked, "", "and nothing is begun");

    write_file(cfg, "live=0\nmemory='m1/memory.xl'\n");
    run("", "snapshot-create", "web", cfg);
    like(asked, memory, "memory= is a path in another way");
    run("", "snapshot-create", "-l", "web", cfg);
    is_int(status, 2, "--live against live=0");
    run("", "snapshot-create", "--path", "/elsewhere", "web", cfg);
    is_int(status, 2, "--path against memory=");
    write_file(cfg, "memory='m1/other.xl'\n");
    run("", "snapshot-create", "web", cfg);
    is_int(status, 2, "memory= that is no memory.xl");
    write_file(cfg, "disk=['vdev=xvda,target=/x']\n");
    run("", "snapshot-create", "-i", "web", cfg);
    is_int(status, 2, "--internal against target=");
    run("", "snapshot-create", "web", cfg);
    like(asked, "disk xvda external", "target= means external");
    write_file(cfg, "disk=['vdev=xvda,parent=/x']\n");
    run("", "snapshot-create", "web", cfg);
    is_int(status, 2, "parent= is not for create");
    write_file(cfg, "disk=['vdev=xvda,format=vhd,target=/x']\n");
    run("", "snapshot-create", "web", cfg);
    is_int(status, 2, "an overlay is never vhd");
    write_file(cfg, "name='a b'\n");
    run("", "snapshot-create", "web", cfg);
    is_int(status, 2, "a name in the file is checked, too");
    run("", "snapshot-create", "web", missing);
    is_int(status, 1, "a file that is not there is refused");
    like(err, missing, "and named");
    unlink(cfg);
}

/* ---- signals and progress -------------------------------------------- */

static void signals(void)
{
    static const int sigs[] = { SIGINT, SIGTERM, SIGHUP };
    static const char *const words[] = { "snapshot-create", "-n", "s1",
                                         "web", NULL };
    size_t i;

    for (i = 0; i < 3; i++) {
        run_signal("wait", sigs[i], words);
        is_int(status, 3, "signal %d undoes", sigs[i]);
        like(err, "Error: interrupted\n", "and is told");
    }
    signal(SIGHUP, SIG_IGN);
    run_signal("refuse", 0, words);
    is_int(status, 1, "ignored signals do not matter");
    signal(SIGHUP, SIG_DFL);
}

static void progress_text(void)
{
    setenv("FAKE_PROGRESS", "4", 1);
    run("", "snapshot-create", "-n", "s1", "web");
    unlike(err, "memory: ", "no progress without -v");
    like(err, "a note\\x1b[m\n", "notes are shown, cleaned");
    unlike(err, "a detail", "details are not");
    run("", "snapshot-create", "-v", "-n", "s1", "web");
    like(err, "memory: 1000 MiB of 1000 MiB", "-v shows progress");
    like(err, "a detail\n", "and details");
    unlike(err, "a debug line", "but not all");
    run("", "snapshot-create", "-vv", "-n", "s1", "web");
    like(err, "a debug line\n", "-vv shows all");
    run("", "snapshot-create", "-q", "-n", "s1", "web");
    is_str(err, "", "-q shows none of it");
    unsetenv("FAKE_PROGRESS");
}

/* Every line the run wrote into the pipe, NUL-terminated. */
static size_t drain(int fd, char *buffer, size_t size)
{
    ssize_t n = read(fd, buffer, size - 1);

    buffer[n > 0 ? n : 0] = 0;
    return n > 0 ? (size_t)n : 0;
}

static void progress_fd(void)
{
    static char buffer[65536];
    struct snap_ctx sc = SNAP_CTX_INIT;
    AUTO_JSON struct snap_json *j = NULL;
    AUTO_FREE char *number = NULL;
    int64_t value = 0;
    bool finished = false;
    int p[2], lines = 0;
    char *line, *last = NULL, *save = NULL;

    if (pipe(p)) bail("pipe");
    number = snap_printf("%d", p[1]);
    setenv("FAKE_PROGRESS", "4", 1);
    run("", "snapshot-create", "--progress-fd", number, "-n", "s1", "web");
    is_int(status, 0, "with --progress-fd all goes on");
    drain(p[0], buffer, sizeof(buffer));
    for (line = strtok_r(buffer, "\n", &save); line;
         line = strtok_r(NULL, "\n", &save)) {
        last = line;
        lines++;
    }
    is_int(lines, 4, "a line for each measure");
    if (!last || snap_json_parse(&sc, "line", last, strlen(last), &j))
        diag("%s", sc.message ? sc.message : "no line");
    is_str(snap_json_get_str(j, "what"), "memory", "each says of what");
    ok(snap_json_int(snap_json_get(j, "done_bytes"), &value) &&
       value == 1000 << 20, "how much is done");
    ok(snap_json_bool(snap_json_get(j, "finished"), &finished) && finished,
       "and that it is finished");

    setenv("FAKE_PROGRESS", "3000", 1);
    run("", "snapshot-create", "--progress-fd", number, "-n", "s1", "web");
    is_int(status, 0, "a reader that sleeps holds nobody up");
    close(p[0]);
    run("", "snapshot-create", "--progress-fd", number, "-n", "s1", "web");
    is_int(status, 0, "nor does one that has gone");
    close(p[1]);
    unsetenv("FAKE_PROGRESS");
    snap_ctx_dispose(&sc);
}

/* ---- revert, delete -------------------------------------------------- */

static void make_child(const char *domain_dir, const char *name,
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

static void make_snapshot(const char *domain_dir, const char *name)
{
    make_child(domain_dir, name, NULL);
}

static void revert(void)
{
    AUTO_FREE char *s1 = snap_printf("%s/web/s1", store);
    AUTO_FREE char *line = snap_printf("revert domain=web snapshot=s1 "
                                       "directory=%s\n", s1);
    AUTO_FREE char *retry = NULL, *current = NULL, *cfg = in_dir("d.cfg");
    AUTO_FREE char *config = NULL;

    make_snapshot("web", "s1");
    make_snapshot("web", "s2");
    make_snapshot("db", "other");
    run("", "snapshot-revert", "web", "s1");
    is_int(status, 0, "revert is done");
    is_str(out, "", "with nothing on standard output");
    like(err, "is back at snapshot 's1'; its domid is 6 now", "and a word");
    like(asked, line, "of the snapshot");
    like(asked, "state=0 force=0 protect=1 dry=0", "with the defaults");
    like(asked, "other=s2", "the others are known");
    like(asked, "other=other", "those of other domains, too");
    unlike(asked, "other=s1", "but not itself");
    like(asked, "disk_only=0\n", "with memory");
    like(asked, "stock=/bin/true", "and the stock xl");
    current = snap_printf("current=%s/web/current\n", store);
    like(asked, current, "and the hint");

    write_file(cfg, "");
    config = snap_printf("config=%s ", cfg);
    retry = snap_printf("retry=xl snapshot-revert --store %s --running "
                        "--force --exclude xvdb --exclude xvdc web s1 %s\n",
                        store, cfg);
    run("", "snapshot-revert", "--running", "--force", "-q", "--json",
        "--exclude", "xvdb", "--exclude", "xvdc", "5", "s1", cfg);
    is_int(status, 0, "with options");
    like(asked, retry, "the command to repeat has the name, not the domid");
    like(asked, config, "the configuration is given as a whole path");
    like(asked, "state=1 force=1", "and the options are followed");
    like(asked, "exclude=xvdb\nexclude=xvdc", "all of them");
    ok(member_is_int("domid", 6) && member_is("snapshot", "s1"),
       "--json has the result");
    run("", "snapshot-revert", "--paused", "web", s1);
    like(asked, line, "a snapshot by its path");
    like(asked, "state=2", "paused");
    free(retry);
    retry = snap_printf("--paused web %s\n", s1);
    like(asked, retry, "the path is in the command to repeat");
    run("words", "snapshot-revert", "web", "s1");
    like(err, "\n    /img/old.qcow2 (12 bytes): old\n",
         "what is left is told");
    run("", "snapshot-revert", "--dry-run", "web", "s1");
    is_str(out, "do this\nthen that\n", "a dry run prints the plan");
    run("", "snapshot-revert", "web", "s1", "/no/such.cfg");
    is_int(status, 1, "a configuration that is not there is refused");
    is_str(asked, "", "before anything is begun");
    run("not whole", "snapshot-revert", "web", "s1");
    is_int(status, 4, "not whole is 4");
    unlink(cfg);
}

static void revert_disk_only(void)
{
    AUTO_FREE char *cfg = in_dir("set.cfg");

    run("", "snapshot-revert", "--disk-only", "web", "s1");
    is_int(status, 0, "revert --disk-only");
    like(asked, "disk_only=1\n", "is without memory");
    like(asked, " --disk-only web s1\n", "in the command to repeat, too");
    like(err, "Domain 'web' was booted from the disks of snapshot 's1'; its "
         "domid is 6 now.", "says that it was a boot");
    write_file(cfg, "name='t1'\ndisk=['vdev=xvda,tag=t1']\n");
    run("", "snapshot-revert", "--json", "web", cfg);
    is_int(status, 0, "a set without memory");
    like(asked, "disk_only=1\n", "does not have to be told so");
    like(out, "\"disk_only\": true", "--json says it");
    unlink(cfg);
}

static void revert_odd_names(void)
{
    make_snapshot("-d", "odd");
    make_snapshot("a%20b", "odd");
    run("", "snapshot-revert", "a b", "odd");
    like(asked, "revert domain=a b ", "a domain with a space");
    like(asked, " 'a b' odd\n", "is quoted in the command to repeat");
    run("", "snapshot-revert", "--", "-d", "odd");
    like(asked, "revert domain=-d ", "a domain like an option");
    like(asked, " -- -d odd\n", "is kept apart in the command to repeat");
    run("", "snapshot-revert", "other", "s1");
    is_int(status, 1, "another domain's snapshot is not found by name");
    is_str(asked, "", "and nothing is begun");
    run("no xen", "snapshot-revert", "5", "s1");
    is_int(status, 1, "a domid without Xen is nobody");
    is_str(asked, "", "and nothing is begun");
}

static void revert_by_hand(void)
{
    AUTO_FREE char *cfg = in_dir("set.cfg");
    AUTO_FREE char *image = in_dir("disk.img");
    AUTO_FREE char *overlay = snap_printf("overlay=%s/disk.t1-r1.qcow2\n",
                                          dir);
    AUTO_FREE char *web = snap_printf("%s/new", store);

    write_file(cfg, "name='t1'\nmemory='m.save'\n"
               "disk=['vdev=xvda,parent=disk.img']\n");
    write_file(image, "");
    setenv("FAKE_IMAGE", image, 1);
    run("", "snapshot-revert", "new", cfg);
    is_int(status, 0, "a set made by hand");
    like(asked, "revert domain=new snapshot=t1 directory=-\n",
         "has no directory");
    like(asked, overlay, "its overlay is named after it");
    ok(!access(web, F_OK), "there is a place for the hint");
    rmdir(web);
    run("refuse", "snapshot-revert", "new", cfg);
    ok(access(web, F_OK), "but not after a refusal");
    unsetenv("FAKE_IMAGE");
    run("", "snapshot-delete", "web", cfg);
    is_int(status, 1, "it cannot be deleted");
    is_str(asked, "", "by us");
}

static void delete(void)
{
    AUTO_FREE char *broken = snap_printf("%s/web/torn", store);
    AUTO_FREE char *file = snap_printf("%s/" SNAP_MANIFEST_FILE, broken);
    AUTO_FREE char *line = snap_printf("delete domain=web directory=%s/web/"
                                       "s1 keep_layers=0 speed=0 dry=0\n",
                                       store);

    run("", "snapshot-delete", "web", "s1");
    is_int(status, 0, "delete is done");
    like(asked, line, "of the snapshot");
    like(asked, "other=s2", "the others are known");
    unlike(asked, "other=s1", "but not itself");
    run("", "snapshot-delete", "--speed", "3k", "web", "s1");
    like(asked, " speed=3072 ", "a speed is in bytes");
    run("", "snapshot-delete", "--speed=1G", "web", "s1");
    like(asked, " speed=1073741824 ", "of any size");
    run("", "snapshot-delete", "--keep-layers", "web", "s1");
    like(asked, "keep_layers=1", "layers can be kept");
    run("", "snapshot-delete", "--dry-run", "web", "s1");
    is_str(out, "do this\nthen that\n", "a dry run prints the plan");
    run("", "snapshot-delete", "--json", "web", "s1");
    ok(member_is("snapshot", "s1"), "--json has the result");
    mkdir(broken, 0700);
    write_file(file, "{");
    run("", "snapshot-delete", "web", "s1");
    is_int(status, 1, "beside a broken one it is refused");
    like(err, "'torn' is broken", "which is named");
    is_str(asked, "", "and nothing is begun");
    run("", "snapshot-delete", "db", "other");
    is_int(status, 0, "another domain's does not matter");
    like(err, "torn", "but is mentioned");
    run("", "snapshot-revert", "web", "s1");
    is_int(status, 0, "nor does it keep from reverting");
    unlink(file);
    rmdir(broken);
}

/* The snapshots that the library was asked to delete, in order. */
static const char *deleted(void)
{
    static char names[200];
    const char *at = asked;

    *names = 0;
    while ((at = strstr(at, "/fam/"))) {
        snprintf(names + strlen(names), sizeof(names) - strlen(names),
                 "%.1s ", at + strlen("/fam/"));
        at++;
    }
    return names;
}

static void delete_children(void)
{
    AUTO_FREE char *current = snap_printf("%s/fam/current", store);
    AUTO_FREE char *listed = snap_printf("%s/fam/d\n%s/fam/c\n%s/fam/b\n",
                                         store, store, store);

    make_snapshot("fam", "a");
    make_child("fam", "b", "a");
    make_child("fam", "c", "b");
    make_child("fam", "d", "b");
    make_child("fam", "e", "a");
    run("", "snapshot-delete", "--children", "fam", "b");
    is_int(status, 0, "a snapshot and what descends from it are deleted");
    is_str(deleted(), "d c b ", "children first, the others not");
    run("", "snapshot-delete", "--children-only", "fam", "a");
    is_str(deleted(), "e d c b ", "--children-only leaves itself");
    run("", "snapshot-delete", "--children-only", "fam", "c");
    is_int(status, 0, "of one without children");
    is_str(deleted(), "", "nothing is deleted");
    run("", "snapshot-delete", "--children", "--dry-run", "fam", "b");
    is_str(out, listed, "a dry run lists them");
    is_str(deleted(), "", "and does nothing");
    run("", "snapshot-delete", "--children", "--json", "fam", "b");
    like(out, "{\n    \"exit\": 0,\n    \"snapshots\": ",
         "--json prints one object");
    like(out, "\"snapshot\": \"d\"", "with the first");
    like(out, "\"snapshot\": \"b\"", "and the last");
    run("refuse", "snapshot-delete", "--children", "fam", "b");
    is_int(status, 1, "when one is refused");
    is_str(deleted(), "d ", "the rest is left alone");
    write_file(current, "c\n");
    run("", "snapshot-delete", "--children", "fam", "b");
    is_int(status, 1, "a branch that the present descends from");
    like(err, "present state of domain 'fam' descends from 'c'",
         "is not deleted");
    is_str(deleted(), "", "not even begun");
    run("", "snapshot-delete", "--children", "fam", "c");
    is_int(status, 0, "but its end is");
    unlink(current);
    make_child("fam", "b", "c");
    run("", "snapshot-delete", "--children", "fam", "b");
    make_child("fam", "b", "a");
    is_int(status, 1, "a circle is refused");
    like(err, "its own ancestor", "and named");
    run("", "snapshot-delete", "--children", "--children-only", "fam", "b");
    is_int(status, 2, "one of the two");
}

/* ---- --update-config ------------------------------------------------- */

#define CFG_OLD "name='web' # it\ndisk=['/img/old,raw,xvda,w',]"
#define CFG_NEW "name='web' # it\ndisk=['/img/n,qcow2,xvda,w',]"

static void holds(const char *path, const char *text, const char *claim)
{
    AUTO_FREE char *have = slurp(path);

    is_str(have, text, "%s", claim);
}

static void update(void)
{
    AUTO_FREE char *cfg = in_dir("u.cfg"), *link = in_dir("link.cfg");
    AUTO_FREE char *backup = in_dir("u.cfg.snapshot-backup");
    AUTO_FREE char *second = in_dir("u.cfg.snapshot-backup.2");
    struct stat st;

    write_file(cfg, CFG_OLD);
    if (chmod(cfg, 0640) || chown(cfg, 1, 2) || symlink("u.cfg", link))
        bail("cannot set up %s", cfg);
    run("words", "snapshot-create", "--update-config", link, "-n", "u1",
        "web");
    is_int(status, 0, "create with --update-config is done");
    holds(cfg, CFG_NEW, "the file has the new image");
    ok(!stat(cfg, &st) && st.st_uid == 1 && st.st_gid == 2 &&
       (st.st_mode & 07777) == 0640, "its owner, group and mode stay");
    ok(!lstat(link, &st) && S_ISLNK(st.st_mode), "the link to it, too");
    holds(backup, CFG_OLD, "the old one is beside it");
    ok(!stat(backup, &st) && st.st_uid == 1 && st.st_gid == 2 &&
       (st.st_mode & 07777) == 0640, "as it was");
    like(err, backup, "which is told");
    unlike(err, "must now have", "instead of what to change");

    run("words", "snapshot-create", "--update-config", cfg, "-n", "u1",
        "web");
    is_int(status, 0, "once more");
    like(err, "needs no change", "nothing has to change");
    ok(access(second, F_OK), "and there is no other backup");

    write_file(cfg, CFG_OLD "\n");
    run("words", "snapshot-create", "-q", "--update-config", cfg, "-n", "u1",
        "web");
    is_str(err, "", "quietly");
    holds(backup, CFG_OLD, "a backup is never overwritten");
    holds(second, CFG_OLD "\n", "there is another one");
    unlink(second);
    unlink(backup);
    unlink(link);
    unlink(cfg);
}

static void update_words(void)
{
    AUTO_FREE char *cfg = in_dir("u.cfg");
    AUTO_FREE char *backup = in_dir("u.cfg.snapshot-backup");
    AUTO_FREE char *retry = snap_printf("--update-config %s ", cfg);
    AUTO_JSON struct snap_json *j = NULL;
    struct snap_json *c;
    bool changed = false;

    write_file(cfg, CFG_OLD);
    run("words", "snapshot-create", "--update-config", cfg, "--dry-run", "-n",
        "u1", "web");
    is_str(out, "do this\nthen that\n"
           "- disk=['/img/old,raw,xvda,w',]\n"
           "+ disk=['/img/n,qcow2,xvda,w',]\n",
           "a dry run has the lines below the plan");
    holds(cfg, CFG_OLD, "and changes nothing");
    run("words", "snapshot-revert", "--update-config", cfg, "--json", "web",
        "s1", cfg);
    is_int(status, 0, "revert, where it is DOMAIN-CONFIG as well");
    holds(cfg, CFG_NEW, "changes it");
    like(asked, retry, "the command to repeat would, too");
    j = parse_out();
    c = snap_json_get(j, "config");
    is_str(snap_json_get_str(c, "path"), cfg, "JSON has the file");
    is_str(snap_json_get_str(c, "backup"), backup, "the backup");
    ok(snap_json_bool(snap_json_get(c, "changed"), &changed) && changed,
       "and that it was changed");
    like(out, "\"old_lines\": [", "and the lines");
    is_str(err, "", "and standard error is silent");
    run("undone", "snapshot-revert", "--update-config", cfg, "web", "s1");
    is_int(status, 3, "what is undone");
    unlike(err, cfg, "has no word about it");
    write_file(cfg, CFG_OLD);
    run("words", "snapshot-delete", "--update-config", cfg, "web", "s1");
    is_int(status, 0, "delete with it");
    holds(cfg, CFG_NEW, "changes it, too");
    run("words", "snapshot-create", "--json", "-n", "u1", "web");
    unlike(out, "\"config\"", "without it JSON has nothing of it");
    unlink(backup);
    unlink(cfg);
}

static void update_refused(const char *path, const char *part,
                           const char *claim)
{
    run("words", "snapshot-create", "--update-config", path, "-n", "u1",
        "web");
    is_int(status, 1, "%s is refused", claim);
    is_str(asked, "", "before anything is begun");
    like(err, part, "with the reason");
}

static void update_look(void)
{
    AUTO_FREE char *cfg = in_dir("u.cfg"), *other = in_dir("hard.cfg");
    AUTO_FREE char *fifo = in_dir("fifo");

    update_refused(dir, "regular", "a directory");
    update_refused(cfg, "No such file", "a file that is not there");
    mkfifo(fifo, 0600);
    update_refused(fifo, "regular", "a pipe");
    unlink(fifo);
    write_file(cfg, "name='db'\n");
    update_refused(cfg, "of domain 'db', not of 'web'", "another's file");
    write_file(cfg, "name='web'\ndisk=[]\ndisk=[]\n");
    update_refused(cfg, "set twice", "what cannot be edited");
    write_file(cfg, CFG_OLD);
    if (link(cfg, other)) bail("link");
    update_refused(cfg, "hard link", "a file with two names");
    unlink(other);
    unlink(cfg);
}

static void update_fails(void)
{
    static char name[251];
    AUTO_FREE char *cfg = in_dir("u.cfg"), *path = NULL;

    write_file(cfg, "name='web'\ndisk=['/c,raw,xvdc,w']\n");
    run("words", "snapshot-create", "-q", "--json", "--update-config", cfg,
        "-n", "u1", "web");
    is_int(status, 0, "a disk that is not in the file is no failure");
    like(err, "there is no disk 'xvda'", "but told, also to who wants quiet");
    like(err, "\n    format=qcow2,vdev=xvda,access=rw,target=/img/n\n",
         "with the entry to write");
    like(out, "\"reason\": \"", "and in JSON");
    holds(cfg, "name='web'\ndisk=['/c,raw,xvdc,w']\n",
          "the file is as it was");
    unlink(cfg);
    memset(name, 'n', sizeof(name) - 1);
    path = in_dir(name);
    write_file(path, CFG_OLD);
    run("words", "snapshot-create", "--update-config", path, "-n", "u1",
        "web");
    is_int(status, 0, "nor is a backup that cannot be made");
    like(err, "Warning: ", "which is told");
    holds(path, CFG_OLD, "without one the file is not changed");
    unlink(path);
}

/* ---- delete --abandoned ---------------------------------------------- */

static void abandoned(void)
{
    setenv("FAKE_ABANDONED", "1", 1);
    run("", "snapshot-delete", "--abandoned", "--dry-run", "web");
    is_int(status, 0, "what is abandoned is shown by a dry run");
    is_str(out, "   SIZE WRITTEN          ABANDONED OVERLAY\n"
           "   192K 1970-01-01 00:00 /img/b.s1-r1.qcow2\n", "with its size and "
           "its age");
    is_str(asked, "", "and nothing is done");
    run("", "snapshot-delete", "--abandoned", "--json", "web");
    is_int(status, 1, "without --yes somebody must be there to ask");
    like(err, "give --yes", "which is said");
    is_str(asked, "", "and nothing is done");
    run("", "snapshot-delete", "--abandoned", "-y", "web");
    is_int(status, 0, "with it, it is removed");
    like(out, "\nremoved /img/b.s1-r1.qcow2\n", "which is told");
    like(asked, "remove domain=web snapshots=2 of ", "the manifests are read "
         "again");
    run("", "snapshot-delete", "--abandoned", "-y", "--json", "web");
    like(out, "\"removed\": true", "JSON has it");
    run("not whole", "snapshot-delete", "--abandoned", "-y", "web");
    is_int(status, 4, "one that stays is no success");
    like(err, "stays: /img/b.s1-r1.qcow2", "and is named");
    unlike(out, "removed", "and not called removed");
    unsetenv("FAKE_ABANDONED");
    run("", "snapshot-delete", "--abandoned", "-y", "web");
    is_int(status, 1, "where images cannot be looked at it is refused");
    is_str(asked, "", "and nothing is done");
}

/* ---- check, recover -------------------------------------------------- */

static void check_disks(const char *fake, const char *disks, int want,
                        const char *claim)
{
    setenv("FAKE_DISKS", disks, 1);
    run(fake, "snapshot-check", "--json", "web");
    is_int(status, want, "check: %s", claim);
    ok(member_is_int("exit", want), "--json agrees");
    run(fake, "snapshot-check", "web");
    is_int(status, want, "text, too");
    unsetenv("FAKE_DISKS");
}

static void check(void)
{
    check_disks("", "", 0, "no disk can be snapshotted");
    check_disks("", "ier", 0, "one way is enough; read-only does not matter");
    is_str(err, "", "check is silent on standard error");
    like(out, "xvda internal ", "internal");
    like(out, "xvdb external ", "external");
    like(out, "xvdc left out ", "left out");
    like(out, "xvdb, internal: a raw image cannot\n", "why not the other");
    check_disks("", "in", 1, "one disk that cannot");
    like(out, "cannot be snapshotted", "says so");
    check_disks("paused", "i", 1, "a domain that cannot");
    like(out, "it is paused; unpause it", "says why");
    check_disks("no live", "i", 0, "no --live");
    like(out, "no --live: a PV domain", "says why");
    run("refuse", "snapshot-check", "web");
    is_int(status, 1, "check that fails is 1");
    is_str(out, "", "with nothing on standard output");
    run("", "snapshot-check", "off");
    is_int(status, 1, "of a domain that does not run, too");
}

static void check_config(void)
{
    AUTO_FREE char *cfg = in_dir("c.cfg"), *image = in_dir("a.img");
    AUTO_FREE char *text = snap_printf("name='web'\ndisk=['%s,raw,xvda,w']\n",
                                       image);

    write_file(image, "");
    write_file(cfg, text);
    setenv("FAKE_DISKS", "i", 1);
    run("", "snapshot-check", "--config", cfg);
    is_int(status, 1, "an image that the running domain has no more is bad");
    like(out, "xvda: BAD: ", "it is named");
    like(out, "\n    vdev=xvda,access=rw,target=/img/0\n",
         "with the entry that it must be");
    like(asked, "check domid=5", "the domain is that of the file");
    run("", "snapshot-check", "--config", cfg, "off");
    is_int(status, 0, "of a domain that is off it is good");
    like(out, "Domain 'off' can be started from", "which is told");
    run("no xen", "snapshot-check", "--config", cfg);
    is_int(status, 0, "without Xen, too");
    like(err, "Xen could not be asked: no Xen here", "which is told");
    run("refuse", "snapshot-check", "--config", cfg);
    like(err, "Xen could not be asked: nothing can be read",
         "as is a domain that cannot be read");
    run("", "snapshot-check", "--json", "--config", cfg);
    ok(member_is("config", cfg) && member_is_int("exit", 1), "--json has it");
    unsetenv("FAKE_DISKS");
    unlink(image);
    unlink(cfg);
}

static void recover(void)
{
    run("words", "snapshot-recover");
    is_int(status, 0, "recover is done");
    is_str(out, "a remark\n", "and prints what it did");
    like(asked, "recover domain=- dry=0 lock=60000", "for all domains");
    run("", "snapshot-recover", "5");
    like(asked, "recover domain=web ", "or for one, by its domid");
    is_str(out, "", "nothing was to be done");
    like(err, "Nothing was interrupted.", "which is told");
    run("", "snapshot-recover", "off");
    like(asked, "recover domain=off ", "one that does not run has its name");
    run("not whole", "snapshot-recover");
    is_int(status, 4, "not whole is 4");
}

static void operations(void)
{
    setenv("FAKE_OPERATIONS", "0", 1);
    run("", "snapshot-list", "-q");
    is_int(status, 0, "list is done");
    like(err, "A snapshot-create of domain 'a b' was interrupted; run `xl "
         "snapshot-recover 'a b'`.", "what was interrupted is told, also to "
         "who wants quiet");
    run("", "snapshot-list", "web");
    like(err, "domain 'web' was interrupted", "of the domain that is listed");
    setenv("FAKE_OPERATIONS", "4711", 1);
    run("", "snapshot-list");
    like(err, "A snapshot-create of domain 'a b' is at work (process 4711).",
         "and what is at work");
    run("", "snapshot-list", "-q");
    is_str(err, "", "but not to who wants quiet");
    run("", "snapshot-list", "--json");
    like(out, "\"operations\"", "JSON has it");
    like(out, "\"pid\": 4711", "with the process");
    is_str(err, "", "and standard error nothing");
    unsetenv("FAKE_OPERATIONS");
    run("", "snapshot-list", "--json");
    like(out, "\"operations\": []", "and an empty list without any");
}

int main(int argc, char **argv)
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
    create_plainly();
    create_options();
    create_parent();
    create_ends();
    create_config();
    signals();
    progress_text();
    progress_fd();
    revert();
    revert_disk_only();
    revert_odd_names();
    revert_by_hand();
    update();
    update_words();
    update_look();
    update_fails();
    delete();
    delete_children();
    abandoned();
    check();
    check_config();
    recover();
    operations();
    if (snap_run_ok(&sc, clean, 10000, NULL)) diag("%s", sc.message);
    snap_ctx_dispose(&sc);
    free(store);
    free(log_path);
    free(out);
    free(err);
    free(asked);
    return done_testing();
}
