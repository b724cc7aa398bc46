/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * The commands over a fake library: what it is asked for, what is printed
 * where, exit statuses, signals, progress.  Those that want a snapshot are in
 * test_snapshots.c.
 */
#include <poll.h>

#include "commands_run.h"

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
    make_snapshot("web", "s1");
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

static void test(void)
{
    create_plainly();
    create_options();
    create_parent();
    create_ends();
    create_config();
    signals();
    progress_text();
    progress_fd();
    check();
    check_config();
    recover();
    operations();
}

int main(int argc, char **argv)
{
    return commands_main(argc, argv, test);
}
