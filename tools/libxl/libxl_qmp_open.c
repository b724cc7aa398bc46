/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * Opening and closing a QMP connection: whose turn it is on a socket that
 * serves one client at a time, the greeting, the capabilities.  What is said
 * over it is libxl_qmp.c's.
 */
#include "libxl_qmp_conn.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#define REFUSED_RETRY_MS 2000
#define REFUSED_PAUSE_MS 50
#define MAX_VERSION_PART 100000

/* Our turn has not come: say whose it is. */
static int fail_silent(struct snap_qmp *q, int timeout_ms)
{
    AUTO_FREE char *holders = snap_qmp_holders(q->path);
    int seconds = timeout_ms / 1000, tenths = timeout_ms % 1000 / 100;

    if (holders) {
        return snap_fail(q->sc, ERROR_TIMEDOUT, "QEMU at '%s' serves one "
                         "client at a time and was held for %d.%d s by %s: "
                         "end it and try again", q->path, seconds, tenths,
                         holders);
    }
    return snap_fail(q->sc, ERROR_TIMEDOUT, "QEMU at '%s' did not greet "
                     "within %d.%d s: another client holds it (xentop and "
                     "other users of libxenstat do), or QEMU does not answer",
                     q->path, seconds, tenths);
}

/*
 * One try, on a socket that still blocks: so the kernel wakes us, in turn,
 * when the backlog has room (SO_SNDTIMEO limits that wait, with EAGAIN).
 */
static int try_connect(struct snap_qmp *q, const struct sockaddr_un *to,
                       int left_ms)
{
    struct timeval wait = {
        .tv_sec = left_ms / 1000,
        .tv_usec = left_ms % 1000 * 1000,
    };

    if (setsockopt(q->fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait))) {
        return errno;
    }
    if (connect(q->fd, (const struct sockaddr *)to, sizeof(*to))) return errno;
    if (fcntl(q->fd, F_SETFL, O_NONBLOCK)) return errno;
    return 0;
}

/* Name the reason of a connect that failed for good. */
static int fail_connect(struct snap_qmp *q, int errnoval)
{
    if (errnoval == ENOENT) {
        return snap_fail(q->sc, ERROR_NOTFOUND, "no QMP socket '%s': the "
                         "domain has no QEMU, or it has ended", q->path);
    }
    if (errnoval == ECONNREFUSED) {
        return snap_fail(q->sc, ERROR_FAIL, "nobody serves the QMP socket "
                         "'%s': its QEMU has ended", q->path);
    }
    snap_fail_errno(q->sc, errnoval, "cannot connect to QEMU at '%s'",
                    q->path);
    return ERROR_FAIL;
}

static int connect_until(struct snap_qmp *q, int64_t deadline_ms,
                         int timeout_ms)
{
    struct sockaddr_un to = { .sun_family = AF_UNIX };
    int64_t refused_until_ms = snap_qmp_conn_deadline(REFUSED_RETRY_MS);
    size_t len = strlen(q->path);
    int errnoval = 0, left_ms;

    if (!len || len >= sizeof(to.sun_path)) {
        return snap_fail(q->sc, ERROR_INVAL, "'%s' is no path of a socket: it "
                         "has %zu characters, 1 to %zu are possible", q->path,
                         len, sizeof(to.sun_path) - 1);
    }
    memcpy(to.sun_path, q->path, len);
    q->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (q->fd < 0) return fail_connect(q, errno);
    while ((left_ms = snap_left_ms(deadline_ms))) {
        errnoval = try_connect(q, &to, left_ms);
        if (!errnoval) return 0;
        if (errnoval == EINTR || errnoval == EAGAIN) continue;
        if (errnoval != ECONNREFUSED || !snap_left_ms(refused_until_ms)) {
            return fail_connect(q, errnoval);
        }
        poll(NULL, 0, left_ms < REFUSED_PAUSE_MS ? left_ms
                                                 : REFUSED_PAUSE_MS);
    }
    if (errnoval == ECONNREFUSED) return fail_connect(q, errnoval);
    return fail_silent(q, timeout_ms);
}

static bool version_part(const struct snap_json *version, const char *key,
                         int64_t *out)
{
    return snap_json_int(snap_json_get(version, key), out)
           && *out >= 0 && *out < MAX_VERSION_PART;
}

static int read_greeting(struct snap_qmp *q, const struct snap_json *greeting)
{
    const struct snap_json *version;
    int64_t major, minor, micro;

    version = snap_json_get(snap_json_get(greeting, "version"), "qemu");
    if (!version_part(version, "major", &major)
        || !version_part(version, "minor", &minor)
        || !version_part(version, "micro", &micro)) {
        return snap_qmp_conn_not_qmp(q, "it names no version of QEMU");
    }
    q->version = snap_printf("%" PRId64 ".%" PRId64 ".%" PRId64, major, minor,
                             micro);
    return 0;
}

/* What a former client left unread may come before the greeting. */
static int greet(struct snap_qmp *q, int64_t deadline_ms, int timeout_ms)
{
    struct snap_json *message;
    const struct snap_json *greeting;
    size_t bytes;
    int rc;

    q->doing = "the greeting";
    do {
        rc = snap_qmp_conn_next(q, deadline_ms, &message, &bytes);
        if (rc > 0) return snap_qmp_conn_die(q, fail_silent(q, timeout_ms));
        if (rc) return rc;
        if (snap_qmp_conn_event(q, message, bytes)) continue;
        greeting = snap_json_get(message, "QMP");
        if (greeting)
            rc = read_greeting(q, greeting);
        else if (!snap_qmp_conn_is_answer(message))
            rc = snap_qmp_conn_not_qmp(q, "this is not QMP");
        snap_json_free(message);
    } while (!rc && !q->version);
    return rc;
}

/*
 * Ids nobody else uses on this socket, before or after us: 36 random bits.
 * Short, because QEMU's monitor reads its socket byte by byte
 * (monitor_can_read in monitor/monitor.c of QEMU 7.2 offers room for one),
 * each at the cost of a turn of its loop, and some of our commands are sent
 * while a guest stands.
 */
static int new_id_prefix(struct snap_qmp *q)
{
    static const char letters[] = "0123456789abcdefghijklmnopqrstuvwxyz"
                                  "ABCDEFGHIJKLMNOPQRSTUVWXYZ_.";
    unsigned char random[SNAP_QMP_ID_CHARS];
    size_t i;

    if (getrandom(random, sizeof(random), 0) != sizeof(random)) {
        return snap_fail_errno(q->sc, errno, "no random numbers");
    }
    for (i = 0; i < SNAP_QMP_ID_CHARS; i++) {
        q->id_prefix[i] = letters[random[i] & 63];
    }
    q->id_prefix[SNAP_QMP_ID_CHARS] = '-';
    return 0;
}

int snap_qmp_open(struct snap_ctx *sc, const char *path, int timeout_ms,
                  struct snap_qmp **out)
{
    int64_t deadline_ms = snap_qmp_conn_deadline(timeout_ms);
    struct snap_qmp *q = snap_zalloc(sizeof(*q));
    int rc;

    *out = NULL;
    q->sc = sc;
    q->fd = -1;
    q->next_id = 1;
    q->path = snap_strdup(path);
    rc = new_id_prefix(q);
    if (rc) goto out;
    rc = connect_until(q, deadline_ms, timeout_ms);
    if (rc) goto out;
    rc = greet(q, deadline_ms, timeout_ms);
    if (rc) goto out;
    rc = snap_qmp_command(q, "qmp_capabilities", NULL,
                          snap_left_ms(deadline_ms), NULL);
    if (rc) goto out;
    *out = q;
    return 0;

out:
    snap_qmp_close(q);
    return rc;
}

void snap_qmp_close(struct snap_qmp *q)
{
    if (!q) return;
    while (q->nevents) snap_qmp_conn_drop_event(q, q->nevents - 1);
    free(q->events);
    if (q->fd >= 0) close(q->fd);
    free(q->path);
    free(q->version);
    free(q->in);
    free(q->out.data);
    free(q->held);
    free(q);
}
