/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * The QMP client: lines, ids, events, deadlines (libxl_qmp_open.c connects).
 * It knows nothing about disks (libxl_qmp_block.c does) and nothing about
 * locks of libxl's own monitor socket (who opens the path does).  For facts
 * and the disk steps.
 *
 * The socket is non-blocking, every wait is a poll() with a monotonic
 * deadline.  Whatever makes the state of the conversation unknown (a timeout,
 * the end of the stream, something that is not QMP) kills the connection, so
 * that no answer can be taken for that of another command.
 */
#include "libxl_qmp_conn.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#define RECEIVE_BYTES (64u << 10)
#define MAX_EVENT_BYTES (1u << 20)
#define MAX_DESC_CHARS 1000
#define HELD_BYTES 2            /* the last brace and the newline */

_Static_assert(SNAP_QMP_MAX_LINE == 8u << 20, "named in a message");

/* Commands on their way: call i has the id first_id + i. */
struct batch {
    struct snap_qmp_call *calls;
    size_t n;
    size_t answered;
    uint64_t first_id;
};

/*
 * Failing
 */

int snap_qmp_conn_die(struct snap_qmp *q, int rc)
{
    q->dead = true;
    return rc;
}

static int die_errno(struct snap_qmp *q, int errnoval)
{
    snap_fail_errno(q->sc, errnoval, "QEMU at '%s': waiting for %s", q->path,
                    q->doing);
    return snap_qmp_conn_die(q, ERROR_FAIL);
}

static int die_closed(struct snap_qmp *q)
{
    snap_fail(q->sc, ERROR_FAIL, "QEMU at '%s' closed the connection instead "
              "of answering %s; see its log in /var/log/xen", q->path,
              q->doing);
    return snap_qmp_conn_die(q, ERROR_FAIL);
}

int snap_qmp_conn_not_qmp(struct snap_qmp *q, const char *why)
{
    snap_fail(q->sc, ERROR_INVAL, "QEMU at '%s', waiting for %s: %s", q->path,
              q->doing, why);
    return snap_qmp_conn_die(q, ERROR_INVAL);
}

static int die_late(struct snap_qmp *q, int timeout_ms)
{
    snap_fail(q->sc, ERROR_TIMEDOUT, "QEMU at '%s' did not answer %s within "
              "%d.%d s", q->path, q->doing, timeout_ms / 1000,
              timeout_ms % 1000 / 100);
    return snap_qmp_conn_die(q, ERROR_TIMEDOUT);
}

int64_t snap_qmp_conn_deadline(int timeout_ms)
{
    return snap_now_ms() + (timeout_ms > 0 ? timeout_ms : 0);
}

/* Foreign text for a message: one line, bounded, nothing a terminal obeys. */
static char *tame(const char *s)
{
    char *t = snap_strndup(s, MAX_DESC_CHARS);
    size_t i;

    for (i = 0; t[i]; i++) {
        if ((unsigned char)t[i] < ' ' || t[i] == 0x7f) t[i] = '?';
    }
    return t;
}

/*
 * Bytes
 */

/* Room behind what is left over, which is part of one line at most. */
static void make_room(struct snap_qmp *q)
{
    if (q->start) {
        memmove(q->in, q->in + q->start, q->end - q->start);
        q->scanned -= q->start;
        q->end -= q->start;
        q->start = 0;
    }
    if (q->cap - q->end < RECEIVE_BYTES) {
        q->cap = q->cap ? 2 * q->cap : 2 * RECEIVE_BYTES;
        q->in = snap_realloc(q->in, q->cap);
    }
}

static int receive_some(struct snap_qmp *q)
{
    ssize_t got;

    make_room(q);
    got = recv(q->fd, q->in + q->end, RECEIVE_BYTES, 0);
    if (got < 0) {
        if (errno == EAGAIN || errno == EINTR) return 0;
        if (errno == ECONNRESET) return die_closed(q);
        return die_errno(q, errno);
    }
    if (!got) return die_closed(q);
    q->end += (size_t)got;
    return 0;
}

static int send_some(struct snap_qmp *q)
{
    ssize_t put;

    put = send(q->fd, q->out.data + q->sent, q->out.len - q->sent,
               MSG_NOSIGNAL);
    if (put < 0) {
        if (errno == EAGAIN || errno == EINTR) return 0;
        if (errno == EPIPE || errno == ECONNRESET) return die_closed(q);
        return die_errno(q, errno);
    }
    q->sent += (size_t)put;
    return 0;
}

/* Move what can be moved. 1: the deadline has passed; negative: dead. */
static int pump(struct snap_qmp *q, int64_t deadline_ms)
{
    struct pollfd p = { .fd = q->fd, .events = POLLIN };
    int left = snap_left_ms(deadline_ms);
    int rc;

    if (!left) return 1;
    if (q->sent < q->out.len) p.events |= POLLOUT;
    switch (poll(&p, 1, left)) {
    case -1:
        return errno == EINTR ? 0 : die_errno(q, errno);
    case 0:
        return 1;
    }
    if (p.revents & POLLOUT) {
        rc = send_some(q);
        if (rc) return rc;
    }
    if (p.revents & (POLLIN | POLLHUP | POLLERR)) return receive_some(q);
    return 0;
}

/*
 * Messages
 */

/* The next whole line: true and [*line, *line + *len) until the next pump. */
static bool take_line(struct snap_qmp *q, const char **line, size_t *len)
{
    char *newline;

    if (q->scanned == q->end) return false;
    newline = memchr(q->in + q->scanned, '\n', q->end - q->scanned);
    if (!newline) {
        q->scanned = q->end;
        return false;
    }
    *line = q->in + q->start;
    *len = (size_t)(newline - *line);
    q->start = q->scanned = (size_t)(newline + 1 - q->in);
    return true;
}

static bool is_blank(const char *line, size_t len)
{
    while (len && strchr(" \t\r", *line)) {
        if (!*line) return false;       /* strchr finds the NUL, too */
        line++;
        len--;
    }
    return !len;
}

static int parse_line(struct snap_qmp *q, const char *line, size_t len,
                      struct snap_json **out)
{
    AUTO_FREE char *what = snap_printf("what QEMU at '%s' sent instead of %s",
                                       q->path, q->doing);
    int rc;

    rc = snap_json_parse(q->sc, what, line, len, out);
    if (rc) return snap_qmp_conn_die(q, rc);
    if (snap_json_type(*out) == SNAP_JSON_OBJECT) return 0;
    snap_json_free(*out);
    *out = NULL;
    return snap_qmp_conn_not_qmp(q, "its line of JSON is not an object");
}

static int die_endless(struct snap_qmp *q)
{
    return snap_qmp_conn_not_qmp(q, "a line of more than 8 MiB was sent");
}

/* A message (*bytes: how long it was), or 1 when none came in time. */
int snap_qmp_conn_next(struct snap_qmp *q, int64_t deadline_ms,
                        struct snap_json **out, size_t *bytes)
{
    const char *line;
    int rc;

    for (;;) {
        while (take_line(q, &line, bytes)) {
            if (*bytes > SNAP_QMP_MAX_LINE) return die_endless(q);
            if (is_blank(line, *bytes)) continue;
            return parse_line(q, line, *bytes, out);
        }
        if (q->end - q->start > SNAP_QMP_MAX_LINE) return die_endless(q);
        rc = pump(q, deadline_ms);
        if (rc) return rc;
    }
}

/*
 * Events
 */

void snap_qmp_conn_drop_event(struct snap_qmp *q, size_t i)
{
    struct snap_qmp_event *e = &q->events[i];

    q->event_bytes -= e->bytes;
    free(e->name);
    snap_json_free(e->message);
    q->nevents--;
    memmove(e, e + 1, (q->nevents - i) * sizeof(*e));
}

/* Takes message. What is too much is forgotten, oldest first. */
static void keep_event(struct snap_qmp *q, struct snap_json *message,
                       size_t bytes)
{
    struct snap_qmp_event *e;

    if (bytes > MAX_EVENT_BYTES) {
        snap_json_free(message);
        return;
    }
    while (q->nevents >= SNAP_QMP_MAX_EVENTS
           || q->event_bytes + bytes > MAX_EVENT_BYTES) {
        snap_qmp_conn_drop_event(q, 0);
    }
    if (!q->events) {
        q->events = snap_zalloc(SNAP_QMP_MAX_EVENTS * sizeof(*q->events));
    }
    e = &q->events[q->nevents++];
    e->name = snap_strdup(snap_json_get_str(message, "event"));
    e->message = message;
    e->bytes = bytes;
    q->event_bytes += bytes;
}

/* Takes the message if it is an event. */
bool snap_qmp_conn_event(struct snap_qmp *q, struct snap_json *message,
                       size_t bytes)
{
    if (!snap_json_get_str(message, "event")) return false;
    keep_event(q, message, bytes);
    return true;
}

static bool find_event(struct snap_qmp *q, const char *event,
                       struct snap_json **data)
{
    size_t i;

    for (i = 0; i < q->nevents; i++) {
        if (strcmp(q->events[i].name, event)) continue;
        if (data) {
            struct snap_json *d = snap_json_get(q->events[i].message, "data");

            *data = d ? snap_json_copy(d) : NULL;
        }
        snap_qmp_conn_drop_event(q, i);
        return true;
    }
    return false;
}

bool snap_qmp_conn_is_answer(const struct snap_json *message)
{
    return !snap_json_get(message, "return")
           != !snap_json_get(message, "error");
}

static int refuse_dead(struct snap_qmp *q)
{
    return snap_fail(q->sc, ERROR_NOT_READY, "QEMU at '%s': not asked for %s: "
                     "the connection has failed before", q->path, q->doing);
}

int snap_qmp_poll_event(struct snap_qmp *q, const char *event, int timeout_ms,
                        struct snap_json **data)
{
    int64_t deadline_ms = snap_qmp_conn_deadline(timeout_ms);
    AUTO_FREE char *doing = snap_printf("event %s", event);
    struct snap_json *message;
    size_t bytes;
    int rc;

    if (data) *data = NULL;
    q->doing = doing;
    while (!find_event(q, event, data)) {
        if (q->dead) return refuse_dead(q);
        rc = snap_qmp_conn_next(q, deadline_ms, &message, &bytes);
        if (rc) return rc;
        if (snap_qmp_conn_event(q, message, bytes)) continue;
        rc = snap_qmp_conn_is_answer(message) ? 0
             : snap_qmp_conn_not_qmp(q, "this is not QMP");
        snap_json_free(message);
        if (rc) return rc;
    }
    return 0;
}

int snap_qmp_wait_event(struct snap_qmp *q, const char *event, int timeout_ms,
                        struct snap_json **data)
{
    int rc = snap_qmp_poll_event(q, event, timeout_ms, data);

    if (rc <= 0) return rc;
    return snap_fail(q->sc, ERROR_TIMEDOUT, "QEMU at '%s' sent no event %s "
                     "within %d.%d s", q->path, event, timeout_ms / 1000,
                     timeout_ms % 1000 / 100);
}

/*
 * Commands
 */

static void queue_call(struct snap_qmp *q, const struct snap_qmp_call *call)
{
    AUTO_JSON struct snap_json *message = snap_json_new_object();
    AUTO_FREE char *id = snap_printf("%s%" PRIu64, q->id_prefix, q->next_id++);
    AUTO_FREE char *text = NULL;

    snap_json_set_str(message, "execute", call->command);
    if (call->arguments) {
        snap_json_set(message, "arguments", snap_json_copy(call->arguments));
    }
    snap_json_set_str(message, "id", id);
    text = snap_json_print(message);
    snap_text_add_bytes(&q->out, text, strlen(text));
    snap_text_add_bytes(&q->out, "\n", 1);
}

/* The call that waits for an answer with this id, or NULL. */
static struct snap_qmp_call *find_call(struct snap_qmp *q, struct batch *b,
                                       const char *id)
{
    size_t prefix_len = strlen(q->id_prefix);
    struct snap_qmp_call *call;
    uint64_t number;
    char *end;

    if (!id || strncmp(id, q->id_prefix, prefix_len)) return NULL;
    number = strtoull(id + prefix_len, &end, 10);
    if (*end || number < b->first_id || number - b->first_id >= b->n) {
        return NULL;
    }
    call = &b->calls[number - b->first_id];
    return call->result || call->error ? NULL : call;
}

static int file_error(struct snap_qmp *q, struct batch *b,
                      struct snap_qmp_call *call,
                      const struct snap_json *error)
{
    const char *desc = snap_json_get_str(error, "desc");

    if (!desc) return snap_qmp_conn_not_qmp(q, "its error has no description");
    call->error = tame(desc);
    b->answered++;
    return 0;
}

/* An answer to one of ours, to somebody else's, or something else. */
static int file_answer(struct snap_qmp *q, struct batch *b,
                       const struct snap_json *message)
{
    const struct snap_json *result = snap_json_get(message, "return");
    const struct snap_json *error = snap_json_get(message, "error");
    const struct snap_json *id = snap_json_get(message, "id");
    struct snap_qmp_call *call = find_call(q, b, snap_json_str(id));

    if (!result == !error) return snap_qmp_conn_not_qmp(q, "this is not QMP");
    /* Without an id it is about a line that QEMU could not read: ours, since
     * it forgets what a former client left unfinished. */
    if (error && !id) {
        const char *desc = snap_json_get_str(error, "desc");
        AUTO_FREE char *why = tame(desc ? desc : "an error without a reason");

        return snap_qmp_conn_not_qmp(q, why);
    }
    if (!call) return 0;
    if (error) return file_error(q, b, call, error);
    call->result = snap_json_copy(result);
    b->answered++;
    return 0;
}

static int exchange(struct snap_qmp *q, struct batch *b, int timeout_ms)
{
    int64_t deadline_ms = snap_qmp_conn_deadline(timeout_ms);
    struct snap_json *message;
    size_t bytes;
    int rc;

    while (b->answered < b->n) {
        rc = snap_qmp_conn_next(q, deadline_ms, &message, &bytes);
        if (rc > 0) return die_late(q, timeout_ms);
        if (rc) return rc;
        if (snap_qmp_conn_event(q, message, bytes)) continue;
        rc = file_answer(q, b, message);
        snap_json_free(message);
        if (rc) return rc;
    }
    return 0;
}

/* May a new command be sent? */
static int check_free(struct snap_qmp *q)
{
    if (q->dead) return refuse_dead(q);
    if (!q->held) return 0;
    return snap_fail(q->sc, ERROR_NOT_READY, "QEMU at '%s': not asked for %s: "
                     "'%s' is held back", q->path, q->doing, q->held);
}

int snap_qmp_calls(struct snap_qmp *q, struct snap_qmp_call *calls, size_t n,
                   int timeout_ms)
{
    struct batch b = { .calls = calls, .n = n, .first_id = q->next_id };
    AUTO_FREE char *doing = NULL;
    size_t i;
    int rc;

    if (!n) return 0;
    doing = snap_printf("'%s'", calls[0].command);
    q->doing = doing;
    rc = check_free(q);
    if (rc) return rc;
    q->out.len = q->sent = 0;
    for (i = 0; i < n; i++) queue_call(q, &calls[i]);
    return exchange(q, &b, timeout_ms);
}

void snap_qmp_calls_dispose(struct snap_qmp_call *calls, size_t n)
{
    size_t i;

    for (i = 0; i < n; i++) {
        snap_json_free(calls[i].arguments);
        snap_json_free(calls[i].result);
        free(calls[i].error);
        calls[i] = (struct snap_qmp_call){ 0 };
    }
}

/* What came of a single call; disposes of it. */
static int conclude(struct snap_qmp *q, int rc, struct snap_qmp_call *call,
                    struct snap_json **result)
{
    if (!rc && call->error) {
        rc = snap_fail(q->sc, ERROR_FAIL, "QEMU at '%s': %s: %s", q->path,
                       call->command, call->error);
    }
    if (!rc && result) {
        *result = call->result;
        call->result = NULL;
    }
    snap_qmp_calls_dispose(call, 1);
    return rc;
}

int snap_qmp_command(struct snap_qmp *q, const char *command,
                     const struct snap_json *arguments, int timeout_ms,
                     struct snap_json **result)
{
    struct snap_qmp_call call = {
        .command = command,
        .arguments = arguments ? snap_json_copy(arguments) : NULL,
    };

    if (result) *result = NULL;
    return conclude(q, snap_qmp_calls(q, &call, 1, timeout_ms), &call,
                    result);
}

/*
 * Holding a command back
 */

int snap_qmp_hold(struct snap_qmp *q, const char *command,
                  const struct snap_json *arguments, int timeout_ms)
{
    int64_t deadline_ms = snap_qmp_conn_deadline(timeout_ms);
    struct snap_qmp_call call = {
        .command = command,
        .arguments = arguments ? snap_json_copy(arguments) : NULL,
    };
    AUTO_FREE char *doing = snap_printf("the beginning of '%s'", command);
    int rc;

    q->doing = doing;
    rc = check_free(q);
    if (!rc) {
        q->out.len = q->sent = 0;
        q->held = snap_strdup(command);
        q->held_id = q->next_id;
        queue_call(q, &call);
        q->out.len -= HELD_BYTES;       /* they stay where they are */
    }
    while (!rc && q->sent < q->out.len) rc = pump(q, deadline_ms);
    snap_qmp_calls_dispose(&call, 1);
    return rc > 0 ? die_late(q, timeout_ms) : rc;
}

int snap_qmp_release(struct snap_qmp *q, int timeout_ms,
                     struct snap_json **result)
{
    AUTO_FREE char *command = q->held;
    struct snap_qmp_call call = { .command = command };
    struct batch b = { .calls = &call, .n = 1, .first_id = q->held_id };
    AUTO_FREE char *doing = snap_printf("'%s'", command ? command : "?");

    if (result) *result = NULL;
    q->doing = doing;
    q->held = NULL;
    if (q->dead) return refuse_dead(q);
    if (!command) {
        return snap_fail(q->sc, ERROR_NOT_READY, "QEMU at '%s': no command "
                         "is held back", q->path);
    }
    q->out.len += HELD_BYTES;
    return conclude(q, exchange(q, &b, timeout_ms), &call, result);
}

bool snap_qmp_holds(const struct snap_qmp *q)
{
    return q->held && !q->dead;
}

const char *snap_qmp_version(const struct snap_qmp *q)
{
    return q->version;
}

const char *snap_qmp_path(const struct snap_qmp *q)
{
    return q->path;
}

struct snap_ctx *snap_qmp_ctx(const struct snap_qmp *q)
{
    return q->sc;
}
