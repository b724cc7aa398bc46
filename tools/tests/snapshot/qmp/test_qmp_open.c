/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * The QMP client's connection: openings that fail, sockets that others hold,
 * deadlines, and connections that end.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>

#include "client.h"

/*
 * Openings that fail
 */

static void script_say_first(int listener, const void *arg)
{
    int fd = server_accept(listener);

    server_say(fd, arg);
    server_await_end(fd);
}

static void script_close_after(int listener, const void *arg)
{
    int fd = server_accept(listener);

    server_say(fd, arg);
    close(fd);
}

static void script_refuse_capabilities(int listener, const void *arg)
{
    int fd = server_accept(listener);
    char *line;

    server_say(fd, arg);
    line = server_hear(fd);
    server_answer(fd, line, "{\"error\": {\"class\": \"CommandNotFound\", "
                  "\"desc\": \"none\"}, \"id\": $ID}");
    server_await_end(fd);
}

/* Opening fails with this code; the message has the path and this part. */
static void no_opening(const char *claim, int want, const char *part,
                       server_script *script, const char *arg)
{
    struct snap_ctx sc = SNAP_CTX_INIT;
    struct server s;
    struct snap_qmp *q = (void *)&sc;
    bool silence = want == ERROR_TIMEDOUT;

    server_start(&s, script, arg);
    start_watch();
    is_int(snap_qmp_open(&sc, s.path, silence ? 500 : LONG_MS, &q), want,
           "%s", claim);
    ok(!q, "%s: no connection is handed out", claim);
    ok(took_ms(silence ? 490 : 0, LONG_MS / 2), "%s: known in time", claim);
    ok(sc.message && strstr(sc.message, s.path) && strstr(sc.message, part),
       "%s: the message says so", claim);
    if (sc.message) note("%s", sc.message);
    snap_clear(&sc);
    server_kill(&s);
}

static const char good_greeting[] =
    "{\"QMP\": {\"version\": {\"qemu\": {\"micro\": 1, \"minor\": 2, "
    "\"major\": 3}}, \"capabilities\": []}}\r\n";

static void test_bad_greetings(void)
{
    no_opening("text instead of a greeting", ERROR_INVAL, "the greeting",
               script_say_first, "220 mail.example ESMTP\r\n");
    no_opening("a greeting without a version", ERROR_INVAL, "no version",
               script_say_first, "{\"QMP\": {\"version\": {}}}\r\n");
    no_opening("a version in strings", ERROR_INVAL, "no version",
               script_say_first, "{\"QMP\": {\"version\": {\"qemu\": "
               "{\"micro\": \"1\", \"minor\": 2, \"major\": 3}}}}\r\n");
    no_opening("a negative version", ERROR_INVAL, "no version",
               script_say_first, "{\"QMP\": {\"version\": {\"qemu\": "
               "{\"micro\": 1, \"minor\": -2, \"major\": 3}}}}\r\n");
    no_opening("a greeting that is a list", ERROR_INVAL, "no version",
               script_say_first, "{\"QMP\": []}\r\n");
    no_opening("no greeting but an end", ERROR_FAIL, "closed the connection",
               script_close_after, "");
    no_opening("an end within the greeting", ERROR_FAIL,
               "closed the connection", script_close_after, "{\"QMP\": {");
    no_opening("an end within the negotiation", ERROR_FAIL,
               "'qmp_capabilities'", script_close_after, good_greeting);
    no_opening("refused capabilities", ERROR_FAIL, "qmp_capabilities: none",
               script_refuse_capabilities, good_greeting);
    no_opening("a silent server", ERROR_TIMEDOUT, "did not greet",
               script_say_first, "");
    no_opening("silence after the greeting", ERROR_TIMEDOUT,
               "did not answer 'qmp_capabilities'", script_say_first,
               good_greeting);
}

static void test_no_socket(void)
{
    struct snap_ctx sc = SNAP_CTX_INIT;
    struct sockaddr_un at = { .sun_family = AF_UNIX };
    struct snap_qmp *q;
    char *dir = make_dir(), longer[200];
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    snprintf(at.sun_path, sizeof(at.sun_path), "%.90s/qmp", dir);
    start_watch();
    is_int(snap_qmp_open(&sc, at.sun_path, LONG_MS, &q), ERROR_NOTFOUND,
           "no socket is not found");
    ok(took_ms(0, 1000), "without waiting for one");
    like(sc.message, at.sun_path, "the message names it");
    snap_clear(&sc);
    if (bind(fd, (const struct sockaddr *)&at, sizeof(at))) bail("bind");
    start_watch();
    is_int(snap_qmp_open(&sc, at.sun_path, LONG_MS, &q), ERROR_FAIL,
           "a socket that nobody serves is a failure");
    ok(took_ms(1500, LONG_MS / 2), "found out after two seconds");
    like(sc.message, "its QEMU has ended", "the message says what that means");
    snap_clear(&sc);
    start_watch();
    is_int(snap_qmp_open(&sc, at.sun_path, 300, &q), ERROR_FAIL,
           "and sooner when there is less time");
    ok(took_ms(250, 1500), "namely then");
    snap_clear(&sc);
    memset(longer, 'x', sizeof(longer));
    longer[0] = '/';
    longer[sizeof(longer) - 1] = '\0';
    is_int(snap_qmp_open(&sc, longer, LONG_MS, &q), ERROR_INVAL,
           "a path that fits no address is refused");
    is_int(snap_qmp_open(&sc, "", LONG_MS, &q), ERROR_INVAL,
           "an empty path is refused");
    snap_clear(&sc);
    snap_qmp_close(NULL);
    close(fd);
    remove_dir(dir);
    free(dir);
}

static void script_listen_late(int listener, const void *arg)
{
    int fd;

    (void)arg;
    poll(NULL, 0, 400);
    if (listen(listener, 1)) _exit(1);
    fd = server_greet(listener);
    server_await_end(fd);
}

/* A socket that is bound but not yet listening refuses. */
static void test_starting(void)
{
    struct snap_ctx sc = SNAP_CTX_INIT;
    struct sockaddr_un at = { .sun_family = AF_UNIX };
    char *dir = make_dir();
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct snap_qmp *q = NULL;
    pid_t pid;

    snprintf(at.sun_path, sizeof(at.sun_path), "%.90s/qmp", dir);
    if (bind(fd, (const struct sockaddr *)&at, sizeof(at))) bail("bind");
    pid = fork();
    if (!pid) {
        alarm(60);
        script_listen_late(fd, NULL);
        _exit(0);
    }
    is_int(snap_qmp_open(&sc, at.sun_path, LONG_MS, &q), 0,
           "a QEMU that does not listen yet is tried again");
    snap_qmp_close(q);
    close(fd);
    stop_program(pid);
    remove_dir(dir);
    free(dir);
}

/*
 * Waiting for our turn
 */

static int connect_plainly(const char *path)
{
    struct sockaddr_un to = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    memcpy(to.sun_path, path, strlen(path));
    if (!connect(fd, (const struct sockaddr *)&to, sizeof(to))) return fd;
    close(fd);
    return -1;
}

static void script_one_after_another(int listener, const void *arg)
{
    int fd, i;

    (void)arg;
    poll(NULL, 0, 600);
    for (i = 0; i < 2; i++) {
        fd = server_accept(listener);
        server_say(fd, good_greeting);
        close(fd);
    }
    fd = server_greet(listener);
    server_await_end(fd);
}

static void test_full_backlog(void)
{
    struct snap_ctx sc = SNAP_CTX_INIT;
    struct server s;
    struct snap_qmp *q = NULL;
    int a, b, c;

    server_start(&s, script_one_after_another, NULL);
    a = connect_plainly(s.path);
    b = connect_plainly(s.path);
    c = connect_plainly(s.path);
    ok(a >= 0 && b >= 0 && c < 0 && errno == EAGAIN, "the backlog is full");
    start_watch();
    is_int(snap_qmp_open(&sc, s.path, 200, &q), ERROR_TIMEDOUT,
           "a queue that is full for too long is a timeout");
    ok(took_ms(190, 5000), "at its time");
    snap_clear(&sc);
    is_int(snap_qmp_open(&sc, s.path, LONG_MS, &q), 0,
           "a full queue is waited for");
    snap_qmp_close(q);
    close(a);
    close(b);
    ok(server_end(&s), "the others were served before");
}

static void script_serve_holder(int listener, const void *arg)
{
    int fd = server_greet(listener);

    (void)arg;
    server_await_end(fd);
    close(fd);
    fd = server_greet(listener);
    server_await_end(fd);
}

/* A process that is served and does nothing. */
static pid_t start_holder(const char *path)
{
    struct snap_ctx sc = SNAP_CTX_INIT;
    struct snap_qmp *q;
    int ends[2];
    pid_t pid;
    char c;

    if (pipe(ends)) bail("pipe");
    pid = fork();
    if (pid < 0) bail("fork");
    if (!pid) {
        alarm(60);
        if (snap_qmp_open(&sc, path, LONG_MS, &q)) _exit(1);
        if (write(ends[1], "x", 1) != 1) _exit(1);
        for (;;) pause();
    }
    if (read(ends[0], &c, 1) != 1) bail("the holder was not served");
    close(ends[0]);
    close(ends[1]);
    return pid;
}

static void test_held(void)
{
    struct snap_ctx sc = SNAP_CTX_INIT;
    struct server s;
    struct snap_qmp *q = NULL;
    char pid_text[32], *holders;
    pid_t pid;

    server_start(&s, script_serve_holder, NULL);
    holders = snap_qmp_holders(s.path);
    is_str(holders, NULL, "before anybody came nobody holds it");
    pid = start_holder(s.path);
    snprintf(pid_text, sizeof(pid_text), "(pid %ld)", (long)pid);
    start_watch();
    is_int(snap_qmp_open(&sc, s.path, 500, &q), ERROR_TIMEDOUT,
           "a socket held by another client is a timeout");
    ok(took_ms(450, 5000), "at its time");
    note("%s", sc.message);
    holders = snap_qmp_holders(s.path);
    if (holders) {
        like(sc.message, "test_qmp", "the message names the process");
        like(sc.message, pid_text, "and its pid");
    } else {
        like(sc.message, "another client holds it",
             "the kernel does not tell who: the message says what it can");
    }
    free(holders);
    snap_clear(&sc);
    stop_program(pid);
    is_int(snap_qmp_open(&sc, s.path, LONG_MS, &q), 0,
           "when the other has gone we are served");
    snap_qmp_close(q);
    ok(server_end(&s), "the server saw both");
}

/*
 * Commands that fail
 */

static void script_close_within(int listener, const void *arg)
{
    int fd = server_greet(listener);
    char *line = server_hear(fd);

    (void)line;
    server_say(fd, arg);
    close(fd);
}

static void test_closed(void)
{
    struct snap_ctx sc = SNAP_CTX_INIT;
    struct server s;
    struct snap_qmp *q;

    q = open_at(&sc, &s, script_close_within, "{\"return\": {\"n\"");
    is_int(snap_qmp_command(q, "query-x", NULL, LONG_MS, NULL), ERROR_FAIL,
           "an end within an answer is a failure");
    like(sc.message, "closed the connection", "the message says so");
    like(sc.message, "'query-x'", "it names the command");
    snap_clear(&sc);
    is_int(snap_qmp_command(q, "query-x", NULL, LONG_MS, NULL),
           ERROR_NOT_READY, "then the connection is dead");
    like(sc.message, s.path, "and the message names the socket");
    snap_clear(&sc);
    snap_qmp_close(q);
    server_end(&s);
}

static void script_close_now(int listener, const void *arg)
{
    int fd = server_greet(listener);

    (void)arg;
    close(fd);
}

static void test_broken_pipe(void)
{
    struct snap_ctx sc = SNAP_CTX_INIT;
    struct server s;
    struct snap_qmp *q = open_at(&sc, &s, script_close_now, NULL);

    server_end(&s);
    signal(SIGPIPE, SIG_DFL);
    is_int(snap_qmp_command(q, "query-x", NULL, LONG_MS, NULL), ERROR_FAIL,
           "writing to a closed connection fails and sends no signal");
    snap_clear(&sc);
    snap_qmp_close(q);
}

static void script_silent(int listener, const void *arg)
{
    int fd = server_greet(listener);
    char *line = server_hear(fd);

    (void)arg;
    poll(NULL, 0, 600);
    server_answer(fd, line, ANSWER);
    server_await_end(fd);
}

static void test_late_answer(void)
{
    struct snap_ctx sc = SNAP_CTX_INIT;
    struct server s;
    struct snap_qmp *q = open_at(&sc, &s, script_silent, NULL);

    start_watch();
    is_int(snap_qmp_command(q, "query-x", NULL, 300, NULL), ERROR_TIMEDOUT,
           "an answer that does not come is a timeout");
    ok(took_ms(290, 5000), "at its time");
    like(sc.message, "'query-x' within 0.3 s", "the message says which");
    snap_clear(&sc);
    poll(NULL, 0, 600);
    is_int(snap_qmp_command(q, "query-x", NULL, LONG_MS, NULL),
           ERROR_NOT_READY, "an answer that comes later is never taken");
    snap_clear(&sc);
    snap_qmp_close(q);
    server_end(&s);
}

/*
 * Four writers, so that the client never finds nothing.  Each piece is small
 * enough to stay one in the socket, else they would mix within lines.
 */
static void script_flood(int listener, const void *arg)
{
    static const char event[] = "{\"event\": \"X\", \"data\": {}}\r\n";
    struct snap_text t = { .data = NULL };
    int fd = server_greet(listener);

    (void)arg;
    while (t.len < 3000) snap_text_add(&t, "%s", event);
    server_hear(fd);
    (void)(fork() + fork());
    while (send(fd, t.data, t.len, MSG_NOSIGNAL) > 0) continue;
}

static void test_flood(void)
{
    struct snap_ctx sc = SNAP_CTX_INIT;
    struct server s;
    struct snap_qmp *q = open_at(&sc, &s, script_flood, NULL);

    start_watch();
    is_int(snap_qmp_command(q, "query-x", NULL, 300, NULL), ERROR_TIMEDOUT,
           "events without end do not move the deadline");
    ok(took_ms(290, 5000), "at its time");
    snap_clear(&sc);
    snap_qmp_close(q);
    server_end(&s);
}

static void no_op(int sig)
{
    (void)sig;
}

static void script_after_a_while(int listener, const void *arg)
{
    int fd;
    char *line;

    (void)arg;
    poll(NULL, 0, 200);
    fd = server_greet(listener);
    line = server_hear(fd);
    poll(NULL, 0, 200);
    server_answer(fd, line, ANSWER);
    server_await_end(fd);
}

static void test_signals(void)
{
    const struct itimerval often = { { 0, 2000 }, { 0, 2000 } };
    const struct itimerval never = { { 0, 0 }, { 0, 0 } };
    struct sigaction act = { .sa_handler = no_op };
    struct snap_ctx sc = SNAP_CTX_INIT;
    struct server s;
    struct snap_qmp *q = NULL;

    sigaction(SIGALRM, &act, NULL);
    setitimer(ITIMER_REAL, &often, NULL);
    server_start(&s, script_after_a_while, NULL);
    is_int(snap_qmp_open(&sc, s.path, LONG_MS, &q), 0,
           "signals do not end the wait for a greeting");
    is_int(snap_qmp_command(q, "query-x", NULL, LONG_MS, NULL), 0,
           "nor that for an answer");
    start_watch();
    is_int(snap_qmp_poll_event(q, "X", 200, NULL), 1,
           "nor do they lengthen one");
    ok(took_ms(190, 5000), "it ends at its time");
    setitimer(ITIMER_REAL, &never, NULL);
    snap_qmp_close(q);
    server_end(&s);
}

static void test_close_on_exec(void)
{
    struct snap_ctx sc = SNAP_CTX_INIT;
    struct server s;
    struct snap_qmp *q = open_at(&sc, &s, script_flood, NULL);
    int fd, flags, seen = 0, good = 0;
    struct stat st;

    for (fd = 3; fd < 100; fd++) {
        if (fstat(fd, &st) || !S_ISSOCK(st.st_mode)) continue;
        seen++;
        flags = fcntl(fd, F_GETFD);
        good += flags >= 0 && (flags & FD_CLOEXEC);
    }
    is_int(seen, 1, "one socket is open");
    is_int(good, 1, "children do not inherit it");
    snap_qmp_close(q);
    server_kill(&s);
}

int main(void)
{
    /* Under valgrind it would be called like that. */
    prctl(PR_SET_NAME, program_invocation_short_name);
    test_bad_greetings();
    test_no_socket();
    test_starting();
    test_full_backlog();
    test_held();
    test_closed();
    test_broken_pipe();
    test_late_answer();
    test_flood();
    test_signals();
    test_close_on_exec();
    return done_testing();
}
