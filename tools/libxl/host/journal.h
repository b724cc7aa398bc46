/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * The lock and the journal of a domain: one file,
 * <dir>/<encoded domain name>.journal, locked with flock for as long as an
 * operation runs.  Empty or absent: nothing was interrupted.  JSON lines: a
 * head, every step of the plan, then "intend" and "done" marks, each synced
 * before the act it speaks of.
 */
#ifndef SNAP_JOURNAL_H
#define SNAP_JOURNAL_H

#include "format/json.h"
#include "host/lock.h"

#define SNAP_JOURNAL_DIR SNAP_LOCK_DIR
#define SNAP_JOURNAL_SUFFIX ".journal"

struct snap_journal {
    int fd;                 /* locked; close-on-exec */
    char *path;
    bool open;              /* it has content that somebody must finish */
    /* what it has cost: fsyncs, and all the time spent on it */
    unsigned syncs;
    int64_t spent_us;
};

/* The directory: SNAP_JOURNAL_DIR, whatever the store is. */
char *snap_journal_path(const char *domain_name);

/*
 * Take the domain's lock, waiting up to timeout_ms, then ERROR_LOCK_FAIL
 * naming the process that holds it. j->open says whether an interrupted
 * operation's journal is in there.
 */
int snap_journal_lock(struct snap_ctx *sc, const char *domain_name,
                      int timeout_ms, struct snap_journal *j);
/* Unlock; removes the file when nothing is open. */
void snap_journal_unlock(struct snap_journal *j);

/* Add one JSON object as a line; sync: fsync before returning. */
int snap_journal_add(struct snap_ctx *sc, struct snap_journal *j,
                     const struct snap_json *line, bool sync);
/* The operation is over: empty the file. */
int snap_journal_close(struct snap_ctx *sc, struct snap_journal *j);
/* The lines from the last head on, as an array; a torn last line is left out.
 * Lines of an object with "journal" are heads. */
int snap_journal_load(struct snap_ctx *sc, const struct snap_journal *j,
                      struct snap_json **lines);
/* Before lines are added to a dead run's: a torn last one goes. */
int snap_journal_mend(struct snap_ctx *sc, struct snap_journal *j);
/* Names of domains (from the heads) that have an open journal. */
int snap_journal_list(struct snap_ctx *sc, struct snap_strings *domains);
/* Look at a domain's journal without its lock: true when it is open; then
 * *what (malloc'd, of its head) and who holds the lock, 0 for nobody. */
bool snap_journal_peek(const char *domain_name, char **what, int *pid);

#endif
