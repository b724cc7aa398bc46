/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * The fault points of fault/points.h in a whole xl, for the lab: what the
 * environment names fails, or kills the process, once.
 *
 *   FAULT=MODE:FUNCTION:CALL:N   MODE error or kill, at the Nth coming by (0:
 *                                the first) of CALL in FUNCTION
 *   FAULT_FIRED=PATH             a file that is made then
 *
 * Each process counts for itself from what its parent had counted.
 */
#include "fault/points.h"

char fault_run_dir[64] = "/var/run/xen";
char fault_lock_dir[64] = "/var/lib/xen/snapshots/.journal";

static struct {
    bool kill;
    char function[64], call[64];
    int left;                   /* -1: nothing (more) to come */
} armed = { .left = -1 };

__attribute__((constructor)) static void arm(void)
{
    const char *say = getenv("FAULT");
    char mode[8];
    int n;

    if (!say) return;
    if (sscanf(say, "%7[^:]:%63[^:]:%63[^:]:%d", mode, armed.function,
               armed.call, &n) != 4) {
        fprintf(stderr, "FAULT: '%s' is not MODE:FUNCTION:CALL:N\n", say);
        exit(2);
    }
    armed.kill = !strcmp(mode, "kill");
    armed.left = n;
}

bool fault_here(const struct fault_point *p, int errnoval)
{
    const char *fired = getenv("FAULT_FIRED");
    int fd;

    if (armed.left < 0 || strcmp(p->function, armed.function)
        || strcmp(p->call, armed.call) || armed.left-- > 0)
        return false;
    fd = fired ? open(fired, O_WRONLY | O_CREAT | O_CLOEXEC, 0600) : -1;
    if (fd >= 0) close(fd);
    if (armed.kill) raise(SIGKILL);
    errno = errnoval;
    return true;
}

int fault_access(const char *path, int mode)
{
    return access(path, mode);
}

int fault_execve(const char *path, char *const argv[], char *const env[])
{
    return execve(path, argv, env);
}

int fault_openat(int dir, const char *path, int flags, mode_t mode)
{
    return openat(dir, path, flags, mode);
}

ssize_t fault_copy_file_range(int in, off64_t *in_at, int out,
                              off64_t *out_at, size_t len, unsigned flags)
{
    return copy_file_range(in, in_at, out, out_at, len, flags);
}

int fault_poll(struct pollfd *fds, nfds_t n, int timeout_ms)
{
    return poll(fds, n, timeout_ms);
}

int fault_renameat2(int from_dir, const char *from, int to_dir,
                    const char *to, unsigned flags)
{
    return renameat2(from_dir, from, to_dir, to, flags);
}

int fault_close_range(unsigned first, unsigned last, int flags)
{
    return close_range(first, last, flags);
}
