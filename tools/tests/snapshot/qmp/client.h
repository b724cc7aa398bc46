/* SPDX-License-Identifier: LGPL-2.1-only */
/* What the tests of the QMP client share: a connection, and a watch. */
#ifndef QMP_CLIENT_H
#define QMP_CLIENT_H

#include "../tap.h"
#include "libxl_qmp.h"
#include "server.h"

#define ANSWER "{\"return\": {\"n\": 7}, \"id\": $ID}"
#define LONG_MS 60000           /* more than anything here needs */

static int64_t started_ms;

static inline void start_watch(void)
{
    started_ms = snap_now_ms();
}

/* Loose at the top: the machine may be busy. */
static inline bool took_ms(int64_t least, int64_t most)
{
    int64_t took = snap_now_ms() - started_ms;

    if (took < least || took > most) diag("it took %lld ms", (long long)took);
    return took >= least && took <= most;
}

/* Open to a script that greets; a failure ends the program. */
static inline struct snap_qmp *open_at(struct snap_ctx *sc, struct server *s,
                                       server_script *script, const void *arg)
{
    struct snap_qmp *q;

    server_start(s, script, arg);
    if (snap_qmp_open(sc, s->path, LONG_MS, &q)) {
        bail("the greeting: %s", sc->message);
    }
    return q;
}

#endif
