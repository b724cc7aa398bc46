/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * The door to Xen for reading: libxl calls that answer at once, and xenstore.
 * Whatever can wait (suspend, resume, destroy, retrieving a configuration) is
 * the worker's.  The few xenstore writes of a snapshot are here too.
 */
#ifndef SNAP_XEN_H
#define SNAP_XEN_H

#include "snap_internal.h"

struct xs_handle;

struct snap_xen {
    struct snap_ctx *sc;
    libxl_ctx *ctx;
    struct xs_handle *xs;
    struct xentoollog_logger *lg;
    char *last_log;         /* the last error line that libxl logged */
    int read_errno;         /* of a snap_xen_read() that failed and not for
                             * absence; 0: none since it was set to 0 */
};

/* "must be root in dom0 of a running Xen" when it cannot. */
int snap_xen_open(struct snap_ctx *sc, struct snap_xen **out);
/* xenstore alone, for a process that only watches: false when it does not
 * answer.  Ends with the process. */
bool snap_xen_open_xenstore(struct snap_ctx *sc, struct snap_xen *x);
void snap_xen_close(struct snap_xen *x);            /* NULL is fine */
static inline void snap_auto_xen(struct snap_xen **x) { snap_xen_close(*x); }
#define AUTO_XEN __attribute__((cleanup(snap_auto_xen)))

/* Make the logger that keeps the last error line; for the worker too. */
struct xentoollog_logger *snap_xen_logger(struct snap_ctx *sc,
                                          char **last_line);

struct snap_dominfo {
    uint32_t domid;
    char *name, *uuid;
    bool paused, shutdown, dying, suspended;
    int shutdown_reason;
    uint64_t current_kb, max_kb;
    const char *type;       /* "pv", "pvh", "hvm" */
};
void snap_dominfo_dispose(struct snap_dominfo *i);
/* ERROR_DOMAIN_NOTFOUND without a message when there is none; any other error,
 * with one, when that is not known. */
int snap_xen_domain(struct snap_xen *x, uint32_t domid,
                    struct snap_dominfo *out);
/* Wait until there is none; ERROR_TIMEDOUT without a message when it stays,
 * any other error when that is not known. */
int snap_xen_await_gone(struct snap_xen *x, uint32_t domid, int timeout_ms);
/* Does it stand suspended? By one hypercall, for asking often. */
bool snap_xen_is_suspended(struct snap_xen *x, uint32_t domid);
/* By name alone, and by name, number or uuid; errors as above. */
int snap_xen_by_name(struct snap_xen *x, const char *name, uint32_t *domid);
int snap_xen_find(struct snap_xen *x, const char *text, uint32_t *domid);

/* xenstore; NULL when it is not there, or cannot be read. malloc'd. Where that
 * makes a difference, set read_errno to 0 first, and ask of all reads at once:
 * 0, or an error with a message if one failed. `what`: "the disks". */
char *snap_xen_read(struct snap_xen *x, const char *fmt, ...)
    SNAP_PRINTF(2, 3);
int snap_xen_all_read(struct snap_xen *x, const char *what, uint32_t domid);
/* The process of a domain's QEMU, as libxl noted it; 0: there is none. */
int snap_xen_qemu_pid(struct snap_xen *x, uint32_t domid, int *pid);
/* Names in a directory; empty when it is not there. */
int snap_xen_dir(struct snap_xen *x, struct snap_strings *out,
                 const char *fmt, ...) SNAP_PRINTF(3, 4);

/* A vbd as the toolstack has it in xenstore and as libxl reports it. */
struct snap_vbd {
    int devid;
    char *vdev;             /* xvda */
    char *backend;          /* "qdisk", "vbd" (phy), "vbd3", ... */
    uint32_t backend_domid;
    char *backend_path;     /* xenstore */
    char *params;           /* "qcow2:/path" or a path */
    char *mode;             /* "w", "r" */
    char *device_type;      /* "disk", "cdrom" */
    int backend_state, frontend_state;      /* 4: connected */
};
struct snap_vbds {
    struct snap_vbd *data;
    size_t len;
};
void snap_vbds_dispose(struct snap_vbds *v);
int snap_xen_vbds(struct snap_xen *x, uint32_t domid, struct snap_vbds *out);
/* The path part of params ("qcow2:/p" -> "/p"); points into it. */
const char *snap_vbd_path(const char *params);

/* Every disk of every domain, in any state, named in xenstore. */
struct snap_claim {
    uint32_t domid;
    char *domain;           /* its name, or "?" */
    char *vdev;
    char *path;
    bool qcow2;             /* its params say so */
};
struct snap_claims {
    struct snap_claim *data;
    size_t len;
};
void snap_claims_dispose(struct snap_claims *c);
int snap_xen_claims(struct snap_xen *x, struct snap_claims *out);

/*
 * Point both copies of `params` of one vbd at another image, in one xenstore
 * transaction; only if they now say old_params (else ERROR_FAIL), or already
 * say new_params.
 */
int snap_xen_set_params(struct snap_xen *x, uint32_t domid, int devid,
                        const char *backend_path, const char *old_params,
                        const char *new_params);

/* Withdraw an unanswered suspend request: 0 withdrawn, 1 none was pending. */
int snap_xen_withdraw_suspend(struct snap_xen *x, uint32_t domid);

/*
 * Watch a domain's suspend request from before it is made, to know later
 * whether it ever was: a guest that answered one suspends in its own time.
 * was_asked says true when it cannot tell (a guest with a suspend event
 * channel is asked another way).
 */
void snap_xen_watch_suspend(struct snap_xen *x, uint32_t domid);
bool snap_xen_suspend_was_asked(struct snap_xen *x, uint32_t domid);

struct snap_host {
    char *xen_version;      /* "4.17.7" */
    int xen_major, xen_minor;
    bool pv_log_dirty;      /* live save of PV is possible */
    bool hap;
    bool dom0_balloons;     /* no dom0_mem= on Xen's command line */
    uint64_t free_kb;
};
void snap_host_dispose(struct snap_host *h);
int snap_xen_host(struct snap_xen *x, struct snap_host *out);

#endif
