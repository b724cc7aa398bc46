/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * xl's monitor: the process that `xl create` leaves behind, which restarts or
 * cleans up its domain.  On Xen before 4.20 it exits when its domain
 * suspends, so it is held (SIGSTOP) around a snapshot; at a revert it is held
 * and then ended, because it would make a second domain.  Known by the last
 * "Waiting for domain … (domid N)" line of the xl log that is its standard
 * output, never by its name alone.
 */
#ifndef SNAP_MONITOR_H
#define SNAP_MONITOR_H

#include "host/process.h"

struct snap_monitor {
    int pid;                /* 0: the domain has no monitor */
    uint64_t start_time;    /* field 22 of /proc/PID/stat: same process? */
    char *log;
};
void snap_monitor_dispose(struct snap_monitor *m);

/* Which domid a monitor's log says it waits for; -1: not waiting. Pure. */
long snap_monitor_log_domid(const char *tail, size_t len, long *pid);

/* Find the monitor of a domain. 0 with pid 0 when there is none; ERROR_FAIL
 * when that cannot be told. */
int snap_monitor_find(struct snap_ctx *sc, uint32_t domid,
                      struct snap_monitor *out);
/* Does a monitor of a domain of this name stand between a destroy and a
 * create (its log's last line is not a wait)? *pid is its, or 0. */
int snap_monitor_between(struct snap_ctx *sc, const char *domain_name,
                         int *pid);

/* Stop it, when it sleeps and owns no lock; else waits up to timeout_ms. */
int snap_monitor_hold(struct snap_ctx *sc, const struct snap_monitor *m,
                      int timeout_ms);
/* Let it go on. Idempotent; a process that is gone is fine. */
void snap_monitor_release(const struct snap_monitor *m);
/* End it (it is held) and wait until it is gone. */
int snap_monitor_end(struct snap_ctx *sc, const struct snap_monitor *m,
                     int timeout_ms);
/* Is this very process still there? */
bool snap_monitor_alive(const struct snap_monitor *m);

#endif
