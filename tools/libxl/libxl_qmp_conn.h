/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * The inside of a QMP connection, for the files that make up the client:
 * libxl_qmp_open.c opens and closes it, libxl_qmp.c talks over it.  Everybody
 * else includes libxl_qmp.h.
 */
#ifndef LIBXL_QMP_CONN_H
#define LIBXL_QMP_CONN_H

#include "libxl_qmp.h"

#define SNAP_QMP_ID_CHARS 6

struct snap_qmp_event {
    char *name;
    struct snap_json *message;
    size_t bytes;               /* of its line: what keeping it costs */
};

struct snap_qmp {
    struct snap_ctx *sc;
    char *path;
    char *version;              /* NULL until greeted */
    /* Ours alone: late answers carry others'. */
    char id_prefix[SNAP_QMP_ID_CHARS + 2];
    uint64_t next_id;
    const char *doing;          /* what is waited for, for messages */
    int fd;
    bool dead;

    char *in;                   /* received, not yet taken: [start, end) */
    size_t start, end, cap;
    size_t scanned;             /* no newline in [start, scanned) */

    struct snap_text out;       /* to send: [sent, out.len) */
    size_t sent;

    char *held;                 /* the command sent but for its end, or NULL */
    uint64_t held_id;

    struct snap_qmp_event *events;  /* oldest first */
    size_t nevents;
    size_t event_bytes;
};

/* Every later command fails; returns rc. */
int snap_qmp_conn_die(struct snap_qmp *q, int rc);
/* The same, with the message that what was sent is not QMP, and why. */
int snap_qmp_conn_not_qmp(struct snap_qmp *q, const char *why);
int64_t snap_qmp_conn_deadline(int timeout_ms);
/* A message (*bytes: how long it was), or 1 when none came in time. */
int snap_qmp_conn_next(struct snap_qmp *q, int64_t deadline_ms,
                       struct snap_json **out, size_t *bytes);
/* Takes the message if it is an event. */
bool snap_qmp_conn_event(struct snap_qmp *q, struct snap_json *message,
                         size_t bytes);
void snap_qmp_conn_drop_event(struct snap_qmp *q, size_t i);
bool snap_qmp_conn_is_answer(const struct snap_json *message);

#endif
