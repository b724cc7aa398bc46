/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * The worker process: a loop around one blocking libxl call.  Requests and
 * replies are a fixed head and a text over a socket pair; both ends are ours,
 * but a reply is still bounded.
 */
#include "host/worker.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <libxl_utils.h>
#include <xenctrl.h>
#include <xentoollog.h>

#include "host/run.h"
#include "host/xen.h"

#define WORKER_MAX_TEXT (16u << 20)
/* A killed process may hang in the kernel over dead storage: then init reaps
 * it one day, and we go on to resume the guest. */
#define REAP_MS 5000

struct head {
    int32_t op_or_rc;
    uint32_t domid;
    int32_t flag;
    uint32_t len;
};

struct snap_worker {
    struct snap_ctx *sc;
    pid_t pid;
    int sock;
    bool dead;
    /* a reply that is arriving */
    struct head head;
    size_t got;             /* bytes of head and text so far */
    char *text;
};

/* ---- both sides -------------------------------------------------- */

static int write_all(int fd, const void *data, size_t len)
{
    const char *p = data;

    while (len) {
        ssize_t n = send(fd, p, len, MSG_NOSIGNAL);

        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return -1;
        p += n;
        len -= n;
    }
    return 0;
}

static int read_all(int fd, void *data, size_t len)
{
    char *p = data;

    while (len) {
        ssize_t n = read(fd, p, len);

        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return -1;
        p += n;
        len -= n;
    }
    return 0;
}

/* ---- the child --------------------------------------------------- */

struct child {
    int sock;
    int stream_fd;
    struct snap_ctx sc;
    libxl_ctx *ctx;
    char *last;             /* first error line of the current call */
};

static int do_get_config(struct child *c, uint32_t domid, char **text,
                         size_t *len)
{
    libxl_domain_config config;
    int rc;

    libxl_domain_config_init(&config);
    rc = libxl_retrieve_domain_configuration(c->ctx, domid, &config, NULL);
    if (!rc) {
        *text = libxl_domain_config_to_json(c->ctx, &config);
        if (*text)
            *len = strlen(*text);
        else
            rc = ERROR_FAIL;
    }
    libxl_domain_config_dispose(&config);
    return rc;
}

static int do_get_userdata(struct child *c, uint32_t domid, const char *id,
                           char **text, size_t *len)
{
    uint8_t *data = NULL;
    int n = 0, rc;

    rc = libxl_userdata_retrieve(c->ctx, domid, id, &data, &n);
    if (!rc && n > 0) {
        *text = snap_strndup((char *)data, n);
        *len = strlen(*text);
    }
    free(data);
    return rc;
}

static int do_set_userdata(struct child *c, uint32_t domid, const char *text,
                           size_t len)
{
    size_t id_len = strlen(text) + 1;

    return libxl_userdata_store(c->ctx, domid, text,
                                (const uint8_t *)text + id_len, len - id_len);
}

static int do_need_memory(struct child *c, const char *json, char **text,
                          size_t *len)
{
    libxl_domain_config config;
    uint64_t kb = 0;
    int rc;

    libxl_domain_config_init(&config);
    rc = libxl_domain_config_from_json(c->ctx, &config, json);
    if (!rc)
        rc = libxl_domain_need_memory(c->ctx, &config, INVALID_DOMID, &kb);
    if (!rc) {
        *text = snap_printf("%llu", (unsigned long long)kb);
        *len = strlen(*text);
    }
    libxl_domain_config_dispose(&config);
    return rc;
}

static int do_log_dirty_off(uint32_t domid)
{
    xc_interface *xch = xc_interface_open(NULL, NULL, 0);
    int rc;

    if (!xch) return ERROR_FAIL;
    rc = xc_shadow_control(xch, domid, XEN_DOMCTL_SHADOW_OP_OFF, NULL, 0);
    xc_interface_close(xch);
    return rc < 0 ? ERROR_FAIL : 0;
}

static int serve(struct child *c, const struct head *h, const char *in,
                 char **text, size_t *len)
{
    switch ((enum snap_worker_op)h->op_or_rc) {
    case SNAP_WORKER_GET_CONFIG:
        return do_get_config(c, h->domid, text, len);
    case SNAP_WORKER_SUSPEND:
        return libxl_domain_suspend(c->ctx, h->domid, c->stream_fd,
                                    h->flag ? LIBXL_SUSPEND_LIVE : 0, NULL);
    case SNAP_WORKER_RESUME:
        /* Half of it is a domain that runs and whose next shutdown xenstore
         * does not tell. */
        if (h->flag) prctl(PR_SET_PDEATHSIG, 0);
        return libxl_domain_resume(c->ctx, h->domid, 1, NULL);
    case SNAP_WORKER_PAUSE:
        return libxl_domain_pause(c->ctx, h->domid, NULL);
    case SNAP_WORKER_UNPAUSE:
        return libxl_domain_unpause(c->ctx, h->domid, NULL);
    case SNAP_WORKER_DESTROY:
        /* Half a destroy is a domain that cannot run: our parent's death must
         * not stop it. */
        prctl(PR_SET_PDEATHSIG, 0);
        return libxl_domain_destroy(c->ctx, h->domid, NULL);
    case SNAP_WORKER_GET_USERDATA:
        return do_get_userdata(c, h->domid, in, text, len);
    case SNAP_WORKER_SET_USERDATA:
        return do_set_userdata(c, h->domid, in, h->len);
    case SNAP_WORKER_NEED_MEMORY:
        return do_need_memory(c, in, text, len);
    case SNAP_WORKER_LOG_DIRTY_OFF:
        return do_log_dirty_off(h->domid);
    }
    return ERROR_INVAL;
}

static int reply(struct child *c, int rc, char *text, size_t len)
{
    struct head h = { .op_or_rc = rc };

    if (!text && c->last) {
        text = snap_strdup(c->last);
        len = strlen(text);
    }
    h.len = len;
    rc = write_all(c->sock, &h, sizeof(h));
    if (!rc && len) rc = write_all(c->sock, text, len);
    free(text);
    return rc;
}

static void child_loop(struct child *c)
{
    struct head h;

    while (!read_all(c->sock, &h, sizeof(h))) {
        AUTO_FREE char *in = NULL;
        char *text = NULL;
        size_t len = 0;
        int rc;

        if (h.len > WORKER_MAX_TEXT) return;
        in = snap_zalloc((size_t)h.len + 1);
        if (h.len && read_all(c->sock, in, h.len)) return;
        free(c->last);
        c->last = NULL;
        rc = serve(c, &h, in, &text, &len);
        if (reply(c, rc, text, len)) return;
    }
}

static void child_main(int sock, int stream_fd, pid_t parent)
{
    int keep[2] = { sock, stream_fd };
    struct child c = { .sock = sock, .stream_fd = stream_fd };
    struct xentoollog_logger *lg;
    struct sigaction ign = { .sa_handler = SIG_IGN };

    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(1);
    snap_run_clean_signals();
    sigaction(SIGPIPE, &ign, NULL);
    snap_run_null_stdio();
    snap_run_close_fds(keep, stream_fd >= 0 ? 2 : 1);
    lg = snap_xen_logger(&c.sc, &c.last);
    if (libxl_ctx_alloc(&c.ctx, LIBXL_VERSION, 0, lg)) _exit(1);
    if (!reply(&c, 0, NULL, 0))         /* "ready" */
        child_loop(&c);
    _exit(0);
}

/* ---- the parent's side ------------------------------------------- */

int snap_worker_start(struct snap_ctx *sc, int stream_fd,
                      struct snap_worker **out)
{
    struct snap_worker *w = snap_zalloc(sizeof(*w));
    pid_t parent = getpid();
    int pair[2], rc, ignored;

    *out = NULL;
    w->sc = sc;
    w->sock = -1;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair)) {
        free(w);
        return snap_fail_errno(sc, errno, "cannot start a worker process");
    }
    w->pid = fork();
    if (!w->pid) {
        close(pair[0]);
        child_main(pair[1], stream_fd, parent);
    }
    rc = errno;
    close(pair[1]);
    w->sock = pair[0];
    if (w->pid < 0) {
        close(w->sock);
        free(w);
        return snap_fail_errno(sc, rc, "cannot start a worker process");
    }
    setpgid(w->pid, w->pid);    /* both sides: no window */
    if (snap_worker_poll(w, 30000, &ignored, NULL, NULL)) {
        snap_worker_stop(w);
        return snap_fail(sc, ERROR_FAIL, "a worker process cannot reach Xen "
                         "(libxl): is xenstored well?");
    }
    *out = w;
    return 0;
}

void snap_worker_stop(struct snap_worker *w)
{
    if (!w) return;
    if (w->sock >= 0) close(w->sock);
    if (w->pid > 0) {
        kill(-w->pid, SIGKILL);
        snap_run_reap(w->pid, REAP_MS);
    }
    free(w->text);
    free(w);
}

bool snap_worker_is_dead(const struct snap_worker *w)
{
    return w->dead;
}

int snap_worker_pgid(const struct snap_worker *w)
{
    return w->pid;
}

int snap_worker_send(struct snap_worker *w, enum snap_worker_op op,
                     uint32_t domid, int flag, const char *text, size_t len)
{
    struct head h = {
        .op_or_rc = op, .domid = domid, .flag = flag, .len = len,
    };

    if (w->dead) return ERROR_FAIL;
    if (write_all(w->sock, &h, sizeof(h))
        || (len && write_all(w->sock, text, len))) {
        w->dead = true;
        return ERROR_FAIL;
    }
    return 0;
}

/* Take what has arrived; 0 complete, 1 more to come, negative dead. */
static int take(struct snap_worker *w)
{
    const size_t head_len = sizeof(w->head);
    ssize_t n;

    if (w->got < head_len) {
        n = recv(w->sock, (char *)&w->head + w->got, head_len - w->got,
                 MSG_DONTWAIT);
    } else {
        n = recv(w->sock, w->text + (w->got - head_len),
                 w->head.len - (w->got - head_len), MSG_DONTWAIT);
    }
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return 1;
    if (n <= 0) return ERROR_FAIL;
    w->got += n;
    if (w->got < head_len) return 1;
    if (w->head.len > WORKER_MAX_TEXT) return ERROR_FAIL;
    if (!w->text) w->text = snap_zalloc((size_t)w->head.len + 1);
    return w->got == head_len + w->head.len ? 0 : 1;
}

int snap_worker_poll(struct snap_worker *w, int timeout_ms, int *rc_out,
                     char **text, size_t *len)
{
    int64_t deadline = snap_now_ms() + timeout_ms;
    int rc = 1;

    if (w->dead) return ERROR_FAIL;
    while (rc == 1) {
        struct pollfd p = { .fd = w->sock, .events = POLLIN };
        int n = poll(&p, 1, snap_left_ms(deadline));

        if (n < 0 && errno != EINTR) return ERROR_FAIL;
        if (n > 0) rc = take(w);
        if (n <= 0 && !snap_left_ms(deadline)) return 1;
    }
    if (rc) {
        w->dead = true;
        return rc;
    }
    *rc_out = w->head.op_or_rc;
    if (text) {
        *text = w->text;
        if (len) *len = w->head.len;
    } else {
        free(w->text);
    }
    w->text = NULL;
    w->got = 0;
    return 0;
}

int snap_worker_call(struct snap_worker *w, enum snap_worker_op op,
                     uint32_t domid, int flag, const char *text, size_t len,
                     int timeout_ms, const char *what, char **result)
{
    AUTO_FREE char *got = NULL;
    int rc, xl_rc;

    rc = snap_worker_send(w, op, domid, flag, text, len);
    if (!rc) rc = snap_worker_poll(w, timeout_ms, &xl_rc, &got, NULL);
    if (rc < 0)
        return snap_fail(w->sc, ERROR_FAIL, "%s: the process that called "
                         "libxl died", what);
    if (rc) w->dead = true;
    if (rc)
        return snap_fail(w->sc, ERROR_TIMEDOUT, "%s: libxl did not answer "
                         "within %d s", what, timeout_ms / 1000);
    /* What is positive is an answer here, and libxl's errors are not. */
    if (xl_rc)
        return snap_fail(w->sc, xl_rc < 0 ? xl_rc : ERROR_FAIL, "%s: libxl "
                         "failed (%d): %s", what, xl_rc,
                         got && *got ? got : "no reason given");
    if (result) {
        *result = got;
        got = NULL;
    }
    return 0;
}
