/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * --update-config: the user's xl.cfg names the domain's new images.  The text
 * is cfgedit.c's; here are the file, its copy, and what is said about them.
 */
#ifndef XL_UPDATE_H
#define XL_UPDATE_H

#include "cfgedit.h"
#include "libxl_snapshot.h"
#include "options.h"

struct xl_update {
    char *real;                 /* the file, links followed; NULL: not known */
    bool changed;
    char *backup;               /* the file as it was; NULL: not made */
    char *reason;               /* why it was not changed; NULL: it was, or
                                 * nothing has to change */
    struct xl_cfg_edit edit;
};

/* Before anything is begun: could the file be changed?  0 also when none was
 * given, or the exit status with the error printed. */
int xl_update_look(const struct xl_request *rq, const char *domain);

/* Change it as the result's advice says.  A failure is no failure of the
 * operation, which is done: it goes to u->reason. */
void xl_update_config(const struct xl_request *rq, const char *domain,
                      const libxl_snapshot_result *r, struct xl_update *u);
/* What became of it: on standard error; with --dry-run the lines on standard
 * output, below the plan. */
void xl_update_say(const struct xl_request *rq, const struct xl_update *u,
                   const libxl_snapshot_result *r);
/* Into the result object, as "config". */
void xl_update_json(const struct xl_request *rq, const struct xl_update *u,
                    struct snap_json *o);
void xl_update_dispose(struct xl_update *u);

#endif
