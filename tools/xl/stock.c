/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * Finding and running the distribution's xl.  See stock.h.  Its path is used
 * as found, links and all: Debian's is a wrapper that looks at its own name.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "say.h"
#include "stock.h"

#define FALLBACK "/usr/sbin/xl"
#define GUARD "XL_SNAPSHOT_FRONT"
#define GUARD_MAX 8

struct self {
    bool known;
    dev_t dev;
    ino_t ino;
};

static struct self who_am_i(const char *argv0)
{
    struct self self = { 0 };
    struct stat st;

    /* Without /proc a path in argv[0] has to do. */
    if (stat("/proc/self/exe", &st) &&
        (!argv0 || !strchr(argv0, '/') || stat(argv0, &st)))
        return self;
    self.known = true;
    self.dev = st.st_dev;
    self.ino = st.st_ino;
    return self;
}

enum verdict { ABSENT, OURSELVES, A_PROGRAM };

static enum verdict judge(const struct self *self, const char *path)
{
    struct stat st;

    if (stat(path, &st))
        return ABSENT;
    if (self->known && st.st_dev == self->dev && st.st_ino == self->ino)
        return OURSELVES;
    return S_ISREG(st.st_mode) && !access(path, X_OK) ? A_PROGRAM : ABSENT;
}

/* The first program after the last link to ourselves: a second copy of this
 * program further on then does the same, and nobody looks back. */
static char *search_path(const struct self *self)
{
    const char *path = getenv("PATH");
    char *found = NULL;

    while (path && *path) {
        size_t n = strcspn(path, ":");
        AUTO_FREE char *dir = snap_strndup(path, n);
        char *xl = snap_printf("%s/xl", dir);
        /* Relative directories are no place to run a root's program from. */
        enum verdict v = dir[0] == '/' ? judge(self, xl) : ABSENT;

        if (v == OURSELVES) {
            free(found);
            found = NULL;
        }
        if (v == A_PROGRAM && !found)
            found = xl;
        else
            free(xl);
        path += n + (path[n] == ':');
    }
    return found;
}

static char *from_environment(const struct self *self, const char *path,
                              char **why)
{
    AUTO_FREE char *full = xl_absolute(path);

    switch (judge(self, full)) {
    case A_PROGRAM:
        return snap_strdup(full);
    case OURSELVES:
        *why = snap_printf("XL_STOCK=%s is this program itself; set it to "
                           "the distribution's xl", path);
        return NULL;
    case ABSENT:
        break;
    }
    *why = snap_printf("XL_STOCK=%s is not a program that can be run", path);
    return NULL;
}

char *xl_stock_find(const char *argv0, char **why)
{
    struct self self = who_am_i(argv0);
    const char *env = getenv("XL_STOCK");
    char *found;

    *why = NULL;
    if (env && *env)
        return from_environment(&self, env, why);
    found = search_path(&self);
    if (!found && judge(&self, FALLBACK) == A_PROGRAM)
        found = snap_strdup(FALLBACK);
    if (!found)
        *why = snap_strdup("the distribution's xl was not found: there is "
                           "none on PATH after this one, nor " FALLBACK
                           "; install it (Debian: xen-utils-common) or set "
                           "XL_STOCK=");
    return found;
}

/* Two programs that each take the other for the stock xl would exec each
 * other for ever.  exec keeps the process id, which tells this from scripts
 * that call xl. */
static bool going_round(void)
{
    const char *env = getenv(GUARD);
    AUTO_FREE char *now = NULL;
    int pid = 0, count = 0;

    if (!env || sscanf(env, "%d:%d", &pid, &count) != 2 ||
        pid != (int)getpid())
        count = 0;
    if (count >= GUARD_MAX) return true;
    now = snap_printf("%d:%d", (int)getpid(), count + 1);
    setenv(GUARD, now, 1);
    return false;
}

int xl_stock_exec(char **argv)
{
    AUTO_FREE char *why = NULL;
    AUTO_FREE char *path = xl_stock_find(argv[0], &why);

    if (path && going_round()) {
        why = snap_printf("'%s' hands over to this program again, and so on "
                          "for ever; set XL_STOCK= to the distribution's xl",
                          path);
    } else if (path) {
        execv(path, argv);
        why = snap_printf("'%s' cannot be run: %s", path, strerror(errno));
    }
    xl_message("Error: %s", why);
    return 1;
}

int xl_stock_run(char **argv)
{
    int status;
    pid_t pid;

    fflush(NULL);
    pid = fork();
    if (pid < 0) {
        xl_message("Error: fork: %s", strerror(errno));
        return 1;
    }
    if (!pid)
        _exit(xl_stock_exec(argv));
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR) return 1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
