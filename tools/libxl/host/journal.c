/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * The journal file is its own lock, so that neither outlives the other.
 */
#include "host/journal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "host/fs.h"
#include "host/lock.h"

#define JOURNAL_MAX_BYTES (16u << 20)

char *snap_journal_path(const char *domain_name)
{
    AUTO_FREE char *encoded = snap_fs_encode_name(domain_name);

    return snap_printf("%s/%s%s", SNAP_JOURNAL_DIR, encoded,
                       SNAP_JOURNAL_SUFFIX);
}

/* ---- the lock ---------------------------------------------------- */

int snap_journal_lock(struct snap_ctx *sc, const char *domain_name,
                      int timeout_ms, struct snap_journal *j)
{
    AUTO_FREE char *path = snap_journal_path(domain_name);
    AUTO_FREE char *what = snap_printf("domain '%s'", domain_name);
    struct snap_lock lock;
    struct stat st;
    int rc, err;

    *j = (struct snap_journal){ .fd = -1 };
    rc = snap_fs_make_dir(sc, SNAP_JOURNAL_DIR);
    if (!rc) rc = snap_lock_take(sc, path, false, timeout_ms, what, &lock,
                                 NULL);
    if (rc) return rc;
    j->fd = lock.fd;
    j->path = lock.path;
    if (!fstat(j->fd, &st)) {
        j->open = st.st_size > 0;
        return 0;
    }
    err = errno;
    snap_journal_unlock(j);
    return snap_fail_errno(sc, err, "cannot look at the journal of %s", what);
}

void snap_journal_unlock(struct snap_journal *j)
{
    struct snap_lock lock = { .fd = j->fd, .path = j->path };

    /* One that is open has content, and stays. */
    snap_lock_drop(&lock);
    *j = (struct snap_journal){ .fd = -1 };
}

/* ---- the content ------------------------------------------------- */

/* The first time with its name, which the power may take away otherwise. */
static int sync_journal(struct snap_ctx *sc, struct snap_journal *j)
{
    j->syncs++;
    if (fdatasync(j->fd))
        return snap_fail_errno(sc, errno, "cannot sync the journal '%s'",
                               j->path);
    if (j->syncs > 1) return 0;
    j->syncs++;
    return snap_fs_sync_dir(sc, SNAP_JOURNAL_DIR);
}

/* One write: a reader sees the line whole or torn at the end; and what is torn
 * now must not have the next line glued to it. */
static int write_journal(struct snap_ctx *sc, struct snap_journal *j,
                         const char *text)
{
    size_t len = strlen(text);
    struct stat st;
    int err;

    if (fstat(j->fd, &st)) st.st_size = -1;
    errno = 0;
    if (write(j->fd, text, len) == (ssize_t)len) {
        j->open = true;
        return 0;
    }
    err = errno;
    if (st.st_size >= 0 && ftruncate(j->fd, st.st_size)) j->open = true;
    return snap_fail_errno(sc, err ? err : ENOSPC,
                           "cannot write the journal '%s'", j->path);
}

int snap_journal_add(struct snap_ctx *sc, struct snap_journal *j,
                     const struct snap_json *line, bool sync)
{
    AUTO_FREE char *json = snap_json_print(line);
    AUTO_FREE char *text = snap_printf("%s\n", json);
    int64_t began_us = snap_now_us();
    int rc = write_journal(sc, j, text);

    if (!rc && sync) rc = sync_journal(sc, j);
    j->spent_us += snap_now_us() - began_us;
    return rc;
}

int snap_journal_close(struct snap_ctx *sc, struct snap_journal *j)
{
    int64_t began_us = snap_now_us();

    if (ftruncate(j->fd, 0) || fdatasync(j->fd))
        return snap_fail_errno(sc, errno, "cannot empty the journal '%s'",
                               j->path);
    j->open = false;
    j->spent_us += snap_now_us() - began_us;
    snap_log(sc, SNAP_LOG_DEBUG, "journal: %u syncs, %lld us", j->syncs + 1,
             (long long)j->spent_us);
    return 0;
}

static int load_fd(struct snap_ctx *sc, int fd, const char *path,
                   struct snap_json **lines)
{
    AUTO_FREE char *buf = NULL;
    AUTO_JSON struct snap_json *all = snap_json_new_array();
    struct stat st;
    char *p, *nl;
    ssize_t n;

    if (fstat(fd, &st)) return snap_fail_errno(sc, errno, "journal '%s'", path);
    if (!S_ISREG(st.st_mode) || st.st_size > JOURNAL_MAX_BYTES)
        return snap_fail(sc, ERROR_INVAL, "journal '%s' cannot be read",
                         path);
    buf = snap_zalloc(st.st_size + 1);
    n = pread(fd, buf, st.st_size, 0);
    if (n < 0) return snap_fail_errno(sc, errno, "journal '%s'", path);
    buf[n] = 0;
    for (p = buf; (nl = strchr(p, '\n')); p = nl + 1) {
        struct snap_json *j;
        int rc = snap_json_parse(sc, path, p, nl - p, &j);

        if (rc) return rc;
        /* An operation that takes over from another has a head of its own;
         * what is before it is history. */
        if (snap_json_get(j, "journal") && snap_json_len(all)) {
            snap_json_free(all);
            all = snap_json_new_array();
        }
        snap_json_append(all, j);
    }
    *lines = all;
    all = NULL;
    return 0;
}

int snap_journal_load(struct snap_ctx *sc, const struct snap_journal *j,
                      struct snap_json **lines)
{
    return load_fd(sc, j->fd, j->path, lines);
}

int snap_journal_mend(struct snap_ctx *sc, struct snap_journal *j)
{
    off_t end = lseek(j->fd, 0, SEEK_END);
    ssize_t n = 1;
    char last;

    for (; end > 0 && n == 1; end--) {
        n = pread(j->fd, &last, 1, end - 1);
        if (n == 1 && last == '\n') break;
    }
    if (end >= 0 && n == 1 && !ftruncate(j->fd, end)) return 0;
    return snap_fail_errno(sc, errno, "cannot cut the journal '%s' to whole "
                           "lines", j->path);
}

/* A string of the head of the journal at this path: *text, malloc'd, or NULL;
 * and who holds its lock. What is no journal has none; an error when it cannot
 * be read. */
static int peek(struct snap_ctx *sc, const char *path, const char *key,
                char **text, int *pid)
{
    AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW
                             | O_NONBLOCK);
    struct snap_ctx quiet = SNAP_CTX_INIT;
    AUTO_JSON struct snap_json *lines = NULL;
    int rc;

    *text = NULL;
    if (pid) *pid = fd >= 0 ? snap_lock_holder(fd) : 0;
    if (fd < 0 && (errno == ENOENT || errno == ELOOP)) return 0;
    if (fd < 0) return snap_fail_errno(sc, errno, "journal '%s'", path);
    rc = load_fd(&quiet, fd, path, &lines);
    if (!rc)
        *text = snap_strdup(snap_json_get_str(snap_json_at(lines, 0), key));
    /* ERROR_INVAL: whatever is written there, no command of ours did. */
    if (rc && rc != ERROR_INVAL)
        rc = snap_fail(sc, rc, "%s", quiet.message);
    else
        rc = 0;
    snap_ctx_dispose(&quiet);
    return rc;
}

bool snap_journal_peek(const char *domain_name, char **what, int *pid)
{
    AUTO_FREE char *path = snap_journal_path(domain_name);
    struct snap_ctx quiet = SNAP_CTX_INIT;

    peek(&quiet, path, "what", what, pid);
    snap_ctx_dispose(&quiet);
    return *what;
}

/* The domain of one entry of the directory, if it is a journal that is open. */
static int list_one(struct snap_ctx *sc, const char *entry,
                    struct snap_strings *domains)
{
    size_t n = strlen(entry), s = strlen(SNAP_JOURNAL_SUFFIX);
    AUTO_FREE char *path = NULL;
    char *name;
    int rc;

    if (n <= s || strcmp(entry + n - s, SNAP_JOURNAL_SUFFIX)) return 0;
    path = snap_printf("%s/%s", SNAP_JOURNAL_DIR, entry);
    rc = peek(sc, path, "domain", &name, NULL);
    if (name) snap_strings_take(domains, name);
    return rc;
}

int snap_journal_list(struct snap_ctx *sc, struct snap_strings *domains)
{
    DIR *d = opendir(SNAP_JOURNAL_DIR);
    struct dirent *e;
    int rc = 0, err;

    memset(domains, 0, sizeof(*domains));
    while (d && !rc && (errno = 0, e = readdir(d)))
        rc = list_one(sc, e->d_name, domains);
    err = errno;
    if (d) closedir(d);
    if (rc || !err || (!d && err == ENOENT)) return rc;
    return snap_fail_errno(sc, err, "cannot see which runs were interrupted: "
                           "'%s'", SNAP_JOURNAL_DIR);
}
