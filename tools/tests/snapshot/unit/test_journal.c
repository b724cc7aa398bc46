/* SPDX-License-Identifier: LGPL-2.1-only */
/* The journal, which is its own lock. Its place is fixed, so it gets a mount
 * namespace of its own. */
#include "host/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "namespace.h"
#include "tap.h"

static struct snap_ctx sc = SNAP_CTX_INIT;

static void add(struct snap_journal *j, const char *key, const char *value)
{
    AUTO_JSON struct snap_json *line = snap_json_new_object();

    snap_json_set_str(line, key, value);
    if (snap_journal_add(&sc, j, line, true)) bail("add: %s", sc.message);
}

/* A journal with the head of an operation. */
static void begin(struct snap_journal *j, const char *domain)
{
    AUTO_JSON struct snap_json *head = snap_json_new_object();

    if (snap_journal_lock(&sc, domain, 0, j)) bail("lock: %s", sc.message);
    snap_json_set_str(head, "what", "create");
    snap_json_set_str(head, "domain", domain);
    if (snap_journal_add(&sc, j, head, true)) bail("add: %s", sc.message);
}

static void test_lock(void)
{
    AUTO_FREE char *who = snap_printf("(process %d, ", getpid());
    struct snap_journal a, b;

    is_int(snap_journal_lock(&sc, "a b/c", 0, &a), 0, "a domain is locked");
    ok(!a.open, "nothing was interrupted there");
    is_int(snap_journal_lock(&sc, "a b/c", 100, &b), ERROR_LOCK_FAIL,
           "once at a time");
    like(sc.message, "domain 'a b/c': another snapshot command works on it",
         "which is what it says");
    like(sc.message, who, "with who has it");
    snap_clear(&sc);
    is_int(snap_journal_lock(&sc, "other", 0, &b), 0, "another one is free");
    snap_journal_unlock(&b);
    snap_journal_unlock(&a);
    ok(access(SNAP_JOURNAL_DIR "/other.journal", F_OK) < 0, "nothing stays "
       "where nothing was written");
    is_int(snap_journal_lock(&sc, "a b/c", 0, &a), 0, "it is free again");
    snap_journal_unlock(&a);
}

/* The last user removes the file: who waited has locked what has no name. */
static void test_waiting(void)
{
    struct snap_journal a, b;
    int status;
    pid_t pid;

    if (snap_journal_lock(&sc, "web", 0, &a)) bail("lock: %s", sc.message);
    pid = fork();
    if (!pid) {
        close(a.fd);
        _exit(snap_journal_lock(&sc, "web", 10000, &b)
              || access(SNAP_JOURNAL_DIR "/web.journal", F_OK));
    }
    poll(NULL, 0, 200);
    snap_journal_unlock(&a);
    ok(pid > 0 && waitpid(pid, &status, 0) == pid && !status,
       "who waits gets the lock of the file that has the name");
    unlink(SNAP_JOURNAL_DIR "/web.journal");
}

static void test_content(void)
{
    AUTO_JSON struct snap_json *lines = NULL;
    struct snap_journal j;
    int fd;

    begin(&j, "web");
    add(&j, "step", "one");
    snap_journal_unlock(&j);
    fd = open(SNAP_JOURNAL_DIR "/web.journal", O_WRONLY | O_APPEND);
    if (fd < 0 || write(fd, "{\"step\":\"tw", 12) != 12)
        bail("journal: %s", strerror(errno));
    close(fd);
    is_int(snap_journal_lock(&sc, "web", 0, &j), 0, "it can be locked again");
    ok(j.open, "what was written there is open");
    is_int(snap_journal_load(&sc, &j, &lines), 0, "and can be read");
    is_int(snap_json_len(lines), 2, "without the line that is torn");
    is_str(snap_json_get_str(snap_json_at(lines, 1), "step"), "one",
           "each line is whole");
    is_int(snap_journal_close(&sc, &j), 0, "it is closed");
    ok(!j.open, "and not open any more");
    snap_journal_unlock(&j);
    ok(access(SNAP_JOURNAL_DIR "/web.journal", F_OK) < 0, "nor there");
}

/* As snapshot-revert --keep does. */
static void test_mend(void)
{
    AUTO_JSON struct snap_json *lines = NULL;
    struct snap_journal j;

    begin(&j, "torn");
    if (write(j.fd, "{\"step\": 1, \"ki", 16) != 16) bail("cannot write");
    is_int(snap_journal_mend(&sc, &j), 0, "a torn last line is cut off");
    add(&j, "more", "x");
    is_int(snap_journal_load(&sc, &j, &lines), 0, "so that more can be added");
    is_uint(snap_json_len(lines), 2, "and nothing else is missing");
    is_int(snap_journal_mend(&sc, &j), 0, "a whole last line");
    snap_json_free(lines);
    snap_journal_load(&sc, &j, &lines);
    is_uint(snap_json_len(lines), 2, "stays");
    snap_journal_close(&sc, &j);
    is_int(snap_journal_mend(&sc, &j), 0, "of nothing nothing is cut off");
    snap_journal_unlock(&j);
}

static void test_takeover(void)
{
    AUTO_JSON struct snap_json *head = snap_json_new_object();
    AUTO_JSON struct snap_json *lines = NULL;
    AUTO_FREE char *what = NULL;
    struct snap_journal j;
    int pid;

    begin(&j, "web");
    add(&j, "step", "one");
    snap_json_set_int(head, "journal", 1);
    snap_json_set_str(head, "what", "revert");
    snap_json_set_str(head, "domain", "web");
    if (snap_journal_add(&sc, &j, head, true)) bail("add: %s", sc.message);
    add(&j, "step", "two");
    snap_journal_load(&sc, &j, &lines);
    is_int(snap_json_len(lines), 2, "what an operation took over from is "
           "history");
    is_str(snap_json_get_str(snap_json_at(lines, 0), "what"), "revert",
           "its own head comes first");
    snap_journal_peek("web", &what, &pid);
    is_str(what, "revert", "and is what others see");
    snap_journal_close(&sc, &j);
    snap_journal_unlock(&j);
}

static void test_peek(void)
{
    AUTO_FREE char *none = NULL, *what = NULL, *again = NULL;
    struct snap_strings names = { 0 };
    struct snap_journal j;
    int pid = -1;

    ok(!snap_journal_peek("web", &none, &pid), "where no journal is, there is "
       "nothing to see");
    begin(&j, "a b");
    ok(snap_journal_peek("a b", &what, &pid), "an open one is seen");
    is_str(what, "create", "with what it is about");
    is_int(pid, getpid(), "and who works on it");
    snap_journal_unlock(&j);
    ok(snap_journal_peek("a b", &again, &pid) && !pid, "or that nobody does");
    if (snap_journal_list(&sc, &names)) bail("%s", sc.message);
    is_int(names.len, 1, "all are found");
    is_str(names.data[0], "a b", "by the domain's name");
    snap_strings_dispose(&names);
}

/* Not by name, and never through what somebody put there. */
static void test_hostile(void)
{
    struct snap_strings names = { 0 };
    struct snap_journal j;

    if (symlink("/etc/passwd", SNAP_JOURNAL_DIR "/evil.journal")
        || mkfifo(SNAP_JOURNAL_DIR "/fifo.journal", 0600))
        bail("journal: %s", strerror(errno));
    ok(snap_journal_lock(&sc, "evil", 0, &j) < 0, "a link is not followed");
    snap_clear(&sc);
    if (snap_journal_list(&sc, &names)) bail("%s", sc.message);
    is_int(names.len, 1, "nor read when all are looked for, and a pipe holds "
           "nobody up");
    snap_strings_dispose(&names);
}

int main(void)
{
    if (geteuid() || !own_namespace() || mkdir("/var/lib/xen", 0755))
        skip_all("no mount namespace can be had here");
    test_lock();
    test_waiting();
    test_content();
    test_mend();
    test_takeover();
    test_peek();
    test_hostile();
    snap_ctx_dispose(&sc);
    return done_testing();
}
