/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * Merging layers with the real qemu-img: the disk reads the same, whichever way
 * it goes, also when it was killed in the middle and given again.
 */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "host/image.h"
#include "host/image_merge.h"
#include "host/run.h"
#include "tap.h"

/* True: it did what was asked, and said nothing. */
#define RUN(...) quietly((const char *const[]){ __VA_ARGS__, NULL })

static struct snap_ctx sc = SNAP_CTX_INIT;
static char dir[] = "/tmp/snap-merge-XXXXXX";
static char bottom[64], base[64], top[64];

static bool quietly(const char *const *argv)
{
    AUTO_FREE char *said = NULL;

    if (!snap_run_ok(&sc, argv, 60000, &said)) return !*said;
    snap_clear(&sc);
    return false;
}

#define MUST(...) do { if (!RUN(__VA_ARGS__)) bail("set-up"); } while (0)

static void put(const char *path, const char *command)
{
    MUST("qemu-io", "-f", "qcow2", "-c", command, path);
}

/* bottom <- base <- top, with something in each that the others have not. */
static void make(void)
{
    unlink(top);
    MUST("qemu-img", "create", "-q", "-f", "qcow2", bottom, "64M");
    put(bottom, "write -q -P 1 0 8M");
    MUST("qemu-img", "create", "-q", "-f", "qcow2", "-b", bottom, "-F",
         "qcow2", base);
    put(base, "write -q -P 2 4M 8M");
    MUST("qemu-img", "create", "-q", "-f", "qcow2", "-b", base, "-F", "qcow2",
         top);
    put(top, "write -q -P 3 10M 8M");
    put(top, "write -q -z 1M 1M");
}

/* What a disk reads, region by region. */
static bool reads(const char *path)
{
    static const char *const regions[] = {
        "read -q -P 1 0 1M", "read -q -P 0 1M 1M", "read -q -P 1 2M 2M",
        "read -q -P 2 4M 6M", "read -q -P 3 10M 8M", "read -q -P 0 18M 46M",
    };
    size_t i;

    for (i = 0; i < sizeof(regions) / sizeof(regions[0]); i++)
        if (!RUN("qemu-io", "-r", "-f", "qcow2", "-c", regions[i], path))
            return false;
    return RUN("qemu-img", "check", "-q", "-f", "qcow2", path);
}

/* The layers of a disk, as "top base bottom"; static. */
static const char *layers(const char *path)
{
    static char text[128];
    struct snap_chain c;
    size_t i, len = 0;

    *text = '\0';
    if (snap_image_chain(&sc, path, "qcow2", &c)) return sc.message;
    for (i = 0; i < c.len; i++)
        len += snprintf(text + len, sizeof(text) - len, "%s%s", i ? " " : "",
                        strrchr(c.data[i].path, '/') + 1);
    snap_chain_dispose(&c);
    return text;
}

/* Both layers have another name meanwhile, and the top does not know that of
 * the base; names may have commas. */
static void test_commit(void)
{
    char base2[80], top2[80];

    make();
    snprintf(base2, sizeof(base2), "%s,x=y", base);
    snprintf(top2, sizeof(top2), "%s,file.filename=z", top);
    rename(base, base2);
    rename(top, top2);
    is_int(snap_image_commit(&sc, 0, top2, base2, "qcow2", 0), 0,
           "the top goes down, whatever the two are called");
    is_str(layers(base2), "base,x=y bottom", "what it went into stands where "
           "it stood");
    ok(reads(base2), "and reads the same then");
    is_int(snap_image_commit(&sc, 0, top2, base2, "qcow2", 0), 0, "once more");
    ok(reads(base2), "changes nothing");
    rename(base2, base);
    rename(top2, top);
    ok(reads(top), "the top, which is there still, reads the same, too");
    ok(snap_image_commit(&sc, 0, top, base, "raw", 0) < 0,
       "not as another format than the top says");
    like(sc.message, "does not stand on an image of the format raw",
         "which is said");
    snap_clear(&sc);
    ok(snap_image_commit(&sc, 0, bottom, base, "qcow2", 0) < 0,
       "nor what stands on nothing");
    snap_clear(&sc);
}

static int up(void)
{
    return snap_image_rebase(&sc, 0, top, base, "qcow2", bottom, "qcow2");
}

static int back(void)
{
    return snap_image_rebase_back(&sc, top, base, "qcow2");
}

static void test_rebase(void)
{
    make();
    is_int(up(), 0, "the top gets what it needs");
    is_str(layers(top), "top bottom", "and stands on what is below");
    ok(reads(top), "it reads the same");
    is_int(back(), 0, "it can be put on the base again");
    is_str(layers(top), "top base bottom", "and stands there");
    ok(reads(top), "and reads the same");
    is_int(up(), 0, "and up once more");
    ok(up() < 0, "but not from where it does not stand");
    like(sc.message, "does not stand on", "which is said");
    snap_clear(&sc);
    unlink(base);
    ok(reads(top), "what was between is not needed");
}

/* A qemu-img that changes the name in the header and copies nothing, as one
 * whose last flush failed: in its place, for this process. */
static bool install_liar(void)
{
    static const char real[] = "/usr/bin/qemu-img";
    AUTO_FREE char *copy = snap_printf("%s/qemu-img", dir);
    AUTO_FREE char *liar = snap_printf("%s/liar", dir);
    FILE *f;

    if (unshare(CLONE_NEWNS)
        || mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL))
        return false;
    MUST("cp", real, copy);
    f = fopen(liar, "w");
    if (!f || fprintf(f, "#!/bin/sh\nverb=$1\nshift\n"
                      "[ $verb != rebase ] || set -- -u \"$@\"\n"
                      "exec %s $verb \"$@\"\n", copy) < 0 || fclose(f)
        || chmod(liar, 0755))
        bail("%s: %s", liar, strerror(errno));
    return !mount(liar, real, NULL, MS_BIND, NULL);
}

static void test_proof(void)
{
    make();
    if (!install_liar()) {
        skip("no mount of our own over qemu-img");
        return;
    }
    ok(up() < 0, "a qemu-img that copies nothing is found out");
    ok(!reads(top), "the disk does not read the same");
    snap_clear(&sc);
    is_int(back(), 0, "it is put on the base again");
    ok(reads(top), "where nothing is lost");
}

/* In a process that is killed, with the qemu-img that it runs. */
static void kill_in_the_middle(int (*merge)(void), unsigned us)
{
    pid_t pid = fork();

    if (!pid) {
        setpgid(0, 0);
        _exit(merge() != 0);
    }
    setpgid(pid, pid);
    usleep(us);
    kill(pid, SIGKILL);
    kill(-pid, SIGKILL);
    waitpid(pid, NULL, 0);
    /* What it ran is in a group of its own; it ends with its pipe or works on
     * to its end: wait for that. */
    usleep(300000);
}

static int down(void)
{
    return snap_image_commit(&sc, 0, top, base, "qcow2", 0);
}

static void test_killed(void)
{
    unsigned us, good_down = 0, good_up = 0, tries = 0;

    for (us = 1000; us < 130000; us = us * 3 + 1000, tries++) {
        make();
        kill_in_the_middle(down, us);
        good_down += reads(top) && !down() && reads(base);
        make();
        kill_in_the_middle(up, us);
        good_up += !back() && reads(top) && !up() && reads(top)
                   && !strcmp(layers(top), "top bottom");
    }
    is_uint(good_down, tries, "killed at any moment, going down, the disk reads "
            "the same, and it can be given again");
    is_uint(good_up, tries, "going up, it does once it is put on its base "
            "again");
}

static void test_cancelled(void)
{
    make();
    sc.cancelled = 1;
    is_int(snap_image_commit(&sc, 0, top, base, "qcow2", 0), ERROR_ABORTED, "a "
           "signal ends it");
    sc.cancelled = 0;
    snap_clear(&sc);
    ok(reads(top), "and the disk reads the same");
}

int main(void)
{
    if (!mkdtemp(dir)) bail("%s: %s", dir, strerror(errno));
    snprintf(bottom, sizeof(bottom), "%s/bottom", dir);
    snprintf(base, sizeof(base), "%s/base", dir);
    snprintf(top, sizeof(top), "%s/top", dir);
    test_commit();
    test_rebase();
    test_killed();
    test_cancelled();
    test_proof();
    MUST("rm", "-rf", dir);
    return done_testing();
}
