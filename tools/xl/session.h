/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * What the commands share: one library context with its progress and signal
 * handlers, finding the domain, and turning the library's outcome into an
 * exit status.  For the files that hold commands.
 */
#ifndef XL_SESSION_H
#define XL_SESSION_H

#include "libxl_snapshot.h"
#include "options.h"
#include "progress.h"

struct xl_session {
    const struct xl_request *rq;
    libxl_snapshot_ctx *ctx;
    struct xl_progress progress;
};

/* `cancel`: SIGINT, SIGTERM and SIGHUP make the operation undo itself and
 * end, instead of ending this process. */
void xl_session_open(struct xl_session *s, const struct xl_request *rq,
                     bool cancel);
void xl_session_close(struct xl_session *s);
/* The lock of the domain that the session's operation will be on, before its
 * snapshots are read, and those of the images of one of them, or NULL. 0, or
 * the exit status with the error printed. */
int xl_session_lock(struct xl_session *s, const char *domain,
                    const libxl_snapshot_set *set);
/* After a call that changes things failed: prints, returns the status. */
int xl_session_failed(struct xl_session *s, int rc);
/* The same for a call that only reads: the status is XL_REFUSED. */
int xl_session_refused(struct xl_session *s, int rc);

/* A domain that must run. 0, or the exit status with the error printed. */
int xl_running_domain(const struct xl_request *rq, const char *arg,
                      uint32_t *domid, char **name);
/*
 * The name of a domain that may be off.  Only what looks like a number or a
 * uuid is looked up; all else is a name.  `reader`: when Xen cannot be asked,
 * such a text is a name, too.
 */
int xl_domain_name(const struct xl_request *rq, const char *arg, bool reader,
                   char **name);

/* Notes, advice and what was left, on standard error; of a --dry-run without
 * the notes that stand in its plan. */
void xl_result_notes(const struct xl_request *rq,
                     const libxl_snapshot_result *r);
/* Standard output of a --dry-run: the plan, a step a line. */
void xl_result_plan(const libxl_snapshot_result *r);
/* The members that every result object has. */
struct snap_json *xl_result_json(const struct xl_request *rq,
                                 const char *domain,
                                 const libxl_snapshot_result *r);

#endif
