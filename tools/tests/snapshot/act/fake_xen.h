/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * A Xen host made of memory, for tests of what acts on one: xenstore, domains
 * that can be suspended and resumed, and libxl's userdata.  It takes the place
 * of the functions of libxl and libxenstore that the doors call, since the
 * program's own come before those of shared libraries.  The memory is shared,
 * so workers and guardians that are forked see and change the same host.
 */
#ifndef FAKE_XEN_H
#define FAKE_XEN_H

#include "host/xen.h"

#define FAKE_UUID "00010203-0405-0607-0809-0a0b0c0d0e0f"

struct fake_host {
    /* the domain: number 7, called "web", PV, unless a test says else */
    unsigned domid;
    char name[32];
    int type;
    bool exists, paused, suspended;
    int resume_rc;              /* what libxl answers to a resume */
    int resumed, unpaused;      /* how often it was asked */
    int suspends_after;         /* looks at the domain until it suspends
                                 * itself; 0: never */
    /* what libxl_domain_suspend does: it writes a stream once the domain
     * stands (NULL: an END record alone), or does one of these */
    const char *stream;
    size_t stream_bytes;
    int save_us;                /* it takes that long */
    int suspend_rc;             /* fails with that code */
    bool suspend_hangs;
    int asked;                  /* how often it was called */
    int look_ms;                /* a look at the domain makes it that much
                                 * later, as does skew_ms by hand; not if it
                                 * is this process that looks */
    int looks_fast;
    int64_t skew_ms;
    int watch_events;           /* so many, for each process that watches */
    /* What is done is seen that much later, in real time: the guest suspends
     * itself and runs again, a destroyed domain goes. 0: at once. */
    int slow_ms;
    int64_t acks_ms, suspends_ms, runs_ms, goes_ms;     /* when; 0: never */
    bool dying;
    char userdata[65536];       /* libxl-json */
    struct {
        char path[160], value[400];
    } store[256];
    unsigned nstore;
    char unreadable[160];       /* that path of it; "": none */
};
extern struct fake_host *fake;

/* A host with the domain running and nothing in xenstore; call it first, and
 * again for a new one. */
void fake_begin(void);
/* A connection to it. */
void fake_open(struct snap_ctx *sc, struct snap_xen *x);
/* xenstore by hand; fake_get: NULL when it is not there. */
void fake_set(const char *path, const char *value);
const char *fake_get(const char *path);
/* When what is done now is seen on a slow host. */
int64_t fake_later(void);
/* Wait until all that was done on a slow host is seen. */
void fake_settle(void);
/* All paths that begin so are gone. */
void fake_unset(const char *begin);

#endif
