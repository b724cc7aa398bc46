/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * The door to child programs.  argv arrays, never a shell; a clean
 * environment (PATH fixed to the system's, LC_ALL=C, HOME, nothing of the
 * caller's except a short list), clean signal mask and dispositions, every
 * descriptor above 2 closed except those named; output bounded; a deadline,
 * after which the child's process group is killed and reaped.
 *
 * argv[0] without a slash is looked for in the fixed PATH alone. stdin is
 * /dev/null, the umask 022, the working directory ours. Nothing else may reap
 * our children meanwhile (SIGCHLD ignored, a libxl context in its default
 * mode): the status would be lost, which is a failure.
 */
#ifndef SNAP_RUN_H
#define SNAP_RUN_H

#include "snap_internal.h"

struct snap_run_opts {
    int timeout_ms;             /* required */
    size_t max_output;          /* bytes of stdout kept; more is a failure */
    const int *keep_fds;        /* descriptors to keep open (same numbers), */
    size_t nkeep_fds;           /* with FD_CLOEXEC cleared in the child */
    bool (*go_on)(void *arg);   /* called about every 100 ms; false: kill */
    void *go_on_arg;
    int stdin_fd;               /* 0: /dev/null */
    /* setsid; for programs that leave a daemon behind: once the child itself
     * has exited, what the pipes hold is taken and nobody waited for. Without
     * it, others in its group get 1 s to finish talking, and are killed. */
    bool new_session;
    /* 0: none. A lock that is held until the program has ended, also when we
     * die meanwhile: a process in between has it open, the program (and what
     * it leaves behind) has not. */
    int lock_fd;
};
struct snap_run_result {
    int status;                 /* as of waitpid */
    char *out;                  /* stdout, NUL-terminated, malloc'd */
    size_t out_len;
    char *err;                  /* the end of stderr, at most 4 KiB; text */
};
void snap_run_result_dispose(struct snap_run_result *r);

/* For go_on, with a struct snap_ctx: until it is cancelled. */
bool snap_run_not_cancelled(void *sc);

/* Run to the end. 0 when the program ran and was waited for, whatever its
 * status; ERROR_TIMEDOUT, ERROR_ABORTED (go_on said so), ERROR_INVAL (bad
 * opts), ERROR_FAIL (not started, too much output, status lost): *out is then
 * empty. sc->cancelled is not looked at: go_on may. */
int snap_run(struct snap_ctx *sc, const char *const *argv,
             const struct snap_run_opts *opts, struct snap_run_result *out);

/* Run and demand exit status 0: a failure's message has the program, its
 * status and the last line of its stderr. Default bounds: 60 s, 4 MiB.
 * *out (may be NULL) gets stdout. */
int snap_run_ok(struct snap_ctx *sc, const char *const *argv, int timeout_ms,
                char **out);

/* The same clean-up that run gives its children, for code that forks by
 * itself and stays (workers, the guardian): signal mask and dispositions to
 * default, descriptors above 2 closed except keep[0..n), any order. */
void snap_run_null_stdio(void);     /* 0, 1, 2 become /dev/null */
/* Reap a child of ours within timeout_ms, or leave it. */
void snap_run_reap(int pid, int timeout_ms);
void snap_run_clean_signals(void);
void snap_run_close_fds(const int *keep, size_t n);

#endif
