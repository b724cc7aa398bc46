/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * The QMP client against a server that follows scripts: connecting, framing,
 * ids, events, deadlines, and everything a QEMU could say that it should not.
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
#include <time.h>

#include "../tap.h"
#include "libxl_qmp.h"
#include "server.h"

#define ANSWER "{\"return\": {\"n\": 7}, \"id\": $ID}"
#define LONG_MS 60000           /* more than anything here needs */

static int64_t started_ms;

static void start_watch(void)
{
    started_ms = snap_now_ms();
}

/* Loose at the top: the machine may be busy. */
static bool took_ms(int64_t least, int64_t most)
{
    int64_t took = snap_now_ms() - started_ms;

    if (took < least || took > most) diag("it took %lld ms", (long long)took);
    return took >= least && took <= most;
}

/* Open to a script that greets; a failure ends the program. */
static struct snap_qmp *open_at(struct snap_ctx *sc, struct server *s,
                                server_script *script, const void *arg)
{
    struct snap_qmp *q;

    server_start(s, script, arg);
    if (snap_qmp_open(sc, s->path, LONG_MS, &q)) {
        bail("the greeting: %s", sc->message);
    }
    return q;
}

/*
 * What should happen
 */

static void script_one_command(int listener, const void *arg)
{
    int fd = server_greet(listener);
    char *line = server_expect(fd, "\"query-x\"");

    (void)arg;
    if (!strstr(line, "\"arguments\"") || !strstr(line, "\"deep\"")) _exit(1);
    server_answer(fd, line, ANSWER);
    server_await_end(fd);
}

static void test_command(void)
{
    struct snap_ctx sc = SNAP_CTX_INIT;
    struct server s;
    struct snap_qmp *q = open_at(&sc, &s, script_one_command, NULL);
    struct snap_json *arguments = snap_json_new_object();
    struct snap_json *result = NULL;
    int64_t n = 0;
    int rc;

    is_str(snap_qmp_version(q), "7.2.22", "the greeting names the version");
    is_str(snap_qmp_path(q), s.path, "the path is kept for messages");
    ok(snap_qmp_ctx(q) == &sc, "the context is kept");
    snap_json_set_str(arguments, "level", "deep");
    rc = snap_qmp_command(q, "query-x", arguments, LONG_MS, &result);
    is_int(rc, 0, "a command with arguments is answered");
    ok(snap_json_int(snap_json_get(result, "n"), &n) && n == 7,
       "its result is the value of 'return'");
    is_str(snap_json_get_str(arguments, "level"), "deep",
           "the arguments stay the caller's");
    snap_json_free(arguments);
    snap_json_free(result);
    snap_qmp_close(q);
    ok(server_end(&s), "the server heard greeting, command, arguments, end");
    is_str(sc.message, NULL, "no error was recorded");
}

static void script_split(int listener, const void *arg)
{
    int fd = server_accept(listener);
    char *line, *text;
    int i;

    (void)arg;
    server_say_slowly(fd, "{\"QMP\": {\"version\": {\"qemu\": {\"micro\": 1, "
                      "\"minor\": 0, \"major\": 10}, \"package\": \"v\"}, "
                      "\"capabilities\": []}}\r\n");
    for (i = 0; i < 3; i++) {
        line = server_hear(fd);
        text = server_with_id("{\"event\": \"E\", \"data\": {}}\r\n\r\n \n"
                              ANSWER "\r\n", line);
        server_say_slowly(fd, text);
        free(text);
        free(line);
    }
    server_await_end(fd);
}

static void test_split_at_every_byte(void)
{
    struct snap_ctx sc = SNAP_CTX_INIT;
    struct server s;
    struct snap_qmp *q = open_at(&sc, &s, script_split, NULL);
    struct snap_json *result = NULL;
    int rc, i;

    is_str(snap_qmp_version(q), "10.0.1", "a greeting in single bytes");
    for (i = 0; i < 2; i++) {
        rc = snap_qmp_command(q, "query-x", NULL, LONG_MS, &result);
        ok(!rc && snap_json_len(result) == 1, "an answer in single bytes");
        snap_json_free(result);
    }
    snap_qmp_close(q);
    ok(server_end(&s), "every byte was read alone");
}

static void script_glued(int listener, const void *arg)
{
    int fd = server_greet(listener);
    char *line = server_hear(fd), *text;

    (void)arg;
    text = server_with_id("{\"event\": \"A\"}\r\n" ANSWER
                          "\r\n{\"event\": \"B\", \"data\": {\"k\": 1}}\r\n",
                          line);
    server_say(fd, text);
    server_await_end(fd);
}

static void test_glued(void)
{
    struct snap_ctx sc = SNAP_CTX_INIT;
    struct server s;
    struct snap_qmp *q = open_at(&sc, &s, script_glued, NULL);
    struct snap_json *data = NULL;

    is_int(snap_qmp_command(q, "query-x", NULL, LONG_MS, NULL), 0,
           "an answer between two events in one piece is found");
    is_int(snap_qmp_wait_event(q, "B", LONG_MS, &data), 0,
           "the event behind it is found");
    is_uint(snap_json_len(data), 1, "with its data");
    snap_json_free(data);
    is_int(snap_qmp_wait_event(q, "A", LONG_MS, &data), 0,
           "the event before it was kept");
    ok(!data, "an event without data has none");
    snap_qmp_close(q);
    server_end(&s);
}

static void script_calls(int listener, const void *arg)
{
    int fd = server_greet(listener);
    char *lines[30];
    int i;

    (void)arg;
    for (i = 0; i < 30; i++) lines[i] = server_hear(fd);
    for (i = 29; i >= 0; i--) {
        server_answer(fd, lines[i], i % 3 ? ANSWER
                      : "{\"error\": {\"class\": \"GenericError\", "
                        "\"desc\": \"no\"}, \"id\": $ID}");
    }
    server_await_end(fd);
}

static void test_calls(void)
{
    struct snap_ctx sc = SNAP_CTX_INIT;
    struct server s;
    struct snap_qmp *q = open_at(&sc, &s, script_calls, NULL);
    struct snap_qmp_call calls[30] = { { 0 } };
    int i, good = 0;

    for (i = 0; i < 30; i++) calls[i].command = "qom-get";
    is_int(snap_qmp_calls(q, calls, 30, LONG_MS), 0,
           "thirty commands at once are answered, in any order");
    for (i = 0; i < 30; i++) {
        if (i % 3)
            good += calls[i].result && !calls[i].error;
        else
            good += !calls[i].result && calls[i].error;
    }
    is_int(good, 30, "each has its own answer, a result or an error");
    is_str(calls[0].error, "no", "an error is its description");
    is_str(sc.message, NULL, "an error in one of them is not recorded");
    snap_qmp_calls_dispose(calls, 30);
    is_int(snap_qmp_calls(q, NULL, 0, LONG_MS), 0, "no commands are answered");
    snap_qmp_close(q);
    ok(server_end(&s), "all were sent before the first answer");
}

/* Both sides full: the server sends 4 MiB before it reads 4 MiB. */
static void script_full(int listener, const void *arg)
{
    int fd = server_greet(listener);
    char *line;
    int i;

    (void)arg;
    for (i = 0; i < 100000; i++) {
        server_say(fd, "{\"event\": \"SOME_EVENT_OR_OTHER\"}\r\n");
    }
    line = server_hear(fd);
    if (strlen(line) < (4u << 20)) _exit(1);
    server_answer(fd, line, ANSWER);
    server_await_end(fd);
}

static void test_both_full(void)
{
    struct snap_ctx sc = SNAP_CTX_INIT;
    struct server s;
    struct snap_json *arguments;
    struct snap_qmp *q;
    char *big;

    if (getenv("VALGRIND")) {
        skip("valgrind makes the server too slow for the deadline");
        return;
    }
    q = open_at(&sc, &s, script_full, NULL);
    arguments = snap_json_new_object();
    big = snap_zalloc((4u << 20) + 1);
    memset(big, 'x', 4u << 20);
    snap_json_set_str(arguments, "big", big);
    is_int(snap_qmp_command(q, "query-x", arguments, LONG_MS, NULL), 0,
           "a big command is sent while many events are read");
    snap_json_free(arguments);
    free(big);
    snap_qmp_close(q);
    ok(server_end(&s), "the server has read all of it");
}

static void script_id(int listener, const void *arg)
{
    int i, fd;
    char *line;

    (void)arg;
    for (i = 0; i < 2; i++) {
        fd = server_greet(listener);
        line = server_hear(fd);
        server_answer(fd, line, "{\"return\": $ID, \"id\": $ID}");
        free(line);
        server_await_end(fd);
        close(fd);
    }
}

static void test_ids_differ(void)
{
    struct snap_ctx sc = SNAP_CTX_INIT;
    struct server s;
    struct snap_qmp *q = open_at(&sc, &s, script_id, NULL);
    struct snap_json *a = NULL, *b = NULL;

    snap_qmp_command(q, "query-x", NULL, LONG_MS, &a);
    snap_qmp_close(q);
    if (snap_qmp_open(&sc, s.path, LONG_MS, &q)) bail("%s", sc.message);
    snap_qmp_command(q, "query-x", NULL, LONG_MS, &b);
    ok(a && b && !snap_json_equal(a, b),
       "two connections never use the same id");
    snap_json_free(a);
    snap_json_free(b);
    snap_qmp_close(q);
    server_end(&s);
}

/*
 * Commands that are held back
 */

/* All that comes until nothing has come for a while. */
static size_t hear_bytes(int fd, char *buf, size_t size)
{
    struct pollfd p = { .fd = fd, .events = POLLIN };
    size_t n = 0;

    while (n < size - 1 && poll(&p, 1, 300) > 0) {
        ssize_t got = read(fd, buf + n, size - 1 - n);

        if (got <= 0) _exit(1);
        n += (size_t)got;
    }
    buf[n] = '\0';
    return n;
}

static bool is_json(const char *text)
{
    struct snap_ctx sc = SNAP_CTX_INIT;
    struct snap_json *j = NULL;
    bool is = !snap_json_parse(&sc, "test", text, strlen(text), &j);

    snap_json_free(j);
    snap_ctx_dispose(&sc);
    return is;
}

static void script_held_back(int listener, const void *arg)
{
    int fd = server_greet(listener);
    char line[4096], rest[16];
    size_t n;

    (void)arg;
    n = hear_bytes(fd, line, sizeof(line) - 2);
    if (!strstr(line, "query-x") || is_json(line)) _exit(1);
    server_say(fd, "{\"event\": \"HEARD\"}\r\n");
    if (hear_bytes(fd, rest, sizeof(rest)) != 2 || strcmp(rest, "}\n"))
        _exit(1);
    strcpy(line + n, "}");
    if (!is_json(line)) _exit(1);
    server_answer(fd, line, ANSWER);
    server_await_end(fd);
}

static void test_held_back(void)
{
    struct snap_ctx sc = SNAP_CTX_INIT;
    struct server s;
    struct snap_qmp *q = open_at(&sc, &s, script_held_back, NULL);
    struct snap_json *result = NULL;

    is_int(snap_qmp_release(q, LONG_MS, NULL), ERROR_NOT_READY,
           "nothing is held back at first");
    snap_clear(&sc);
    is_int(snap_qmp_hold(q, "query-x", NULL, LONG_MS), 0,
           "a command is sent but for its end");
    ok(snap_qmp_holds(q), "it is held back");
    is_int(snap_qmp_wait_event(q, "HEARD", LONG_MS, NULL), 0,
           "events come meanwhile");
    is_int(snap_qmp_command(q, "query-y", NULL, LONG_MS, NULL),
           ERROR_NOT_READY, "another command is refused");
    like(sc.message, "'query-x' is held back", "with the reason");
    snap_clear(&sc);
    is_int(snap_qmp_release(q, LONG_MS, &result), 0,
           "its end is sent, and it is answered");
    ok(result && !snap_qmp_holds(q), "nothing is held back any more");
    snap_json_free(result);
    snap_qmp_close(q);
    ok(server_end(&s), "its end was one byte and a newline");
}

static void script_short(int listener, const void *arg)
{
    int fd = server_greet(listener);
    char *line = server_hear(fd);

    (void)arg;
    if (strlen(line) > strlen("{\"execute\":\"query-x\",\"id\":\"\"}") + 10)
        _exit(1);
    server_answer(fd, line, ANSWER);
    free(line);
    server_await_end(fd);
}

/* QEMU reads them one by one, while a guest stands. */
static void test_few_bytes(void)
{
    struct snap_ctx sc = SNAP_CTX_INIT;
    struct server s;
    struct snap_qmp *q = open_at(&sc, &s, script_short, NULL);

    is_int(snap_qmp_command(q, "query-x", NULL, LONG_MS, NULL), 0,
           "a short command is answered");
    snap_qmp_close(q);
    ok(server_end(&s), "its id has ten bytes at most");
}

/*
 * Events
 */

static void script_events(int listener, const void *arg)
{
    int fd = server_greet(listener);
    char *line = server_hear(fd);

    (void)arg;
    server_say(fd, "{\"event\": \"STOP\", \"data\": {\"n\": 1}}\r\n"
               "{\"event\": \"RESUME\"}\r\n"
               "{\"event\": \"STOP\", \"data\": {\"n\": 2, \"m\": 0}}\r\n");
    server_answer(fd, line, ANSWER);
    free(line);
    line = server_hear(fd);
    server_answer(fd, line, ANSWER);
    poll(NULL, 0, 100);
    server_say(fd, "{\"event\": \"LATER\", \"data\": {}}\r\n");
    server_await_end(fd);
}

static void test_events(void)
{
    struct snap_ctx sc = SNAP_CTX_INIT;
    struct server s;
    struct snap_qmp *q = open_at(&sc, &s, script_events, NULL);
    struct snap_json *data = NULL;
    int i;

    is_int(snap_qmp_command(q, "query-x", NULL, LONG_MS, NULL), 0,
           "events before an answer do not disturb it");
    for (i = 1; i <= 2; i++) {
        snap_qmp_wait_event(q, "STOP", LONG_MS, &data);
        is_uint(snap_json_len(data), (unsigned int)i,
                "kept event %d comes with its own data, in order", i);
        snap_json_free(data);
        data = NULL;
    }
    start_watch();
    is_int(snap_qmp_poll_event(q, "STOP", 200, &data), 1,
           "an event that was taken is no longer kept");
    ok(took_ms(190, 5000), "polling waits as long as it should");
    is_str(sc.message, NULL, "polling in vain records no error");
    is_int(snap_qmp_wait_event(q, "STOP", 100, NULL), ERROR_TIMEDOUT,
           "waiting in vain is a timeout");
    like(sc.message, "STOP", "the message names the event");
    like(sc.message, s.path, "the message names the socket");
    snap_clear(&sc);
    is_int(snap_qmp_command(q, "query-x", NULL, LONG_MS, NULL), 0,
           "after an event in vain the connection is alive");
    is_int(snap_qmp_wait_event(q, "LATER", LONG_MS, NULL), 0,
           "an event that comes later is waited for");
    is_int(snap_qmp_poll_event(q, "RESUME", 0, NULL), 0,
           "what was kept needs no time");
    snap_qmp_close(q);
    server_end(&s);
}

static void script_many_events(int listener, const void *arg)
{
    int fd = server_greet(listener);
    char *line = server_hear(fd), *big = snap_zalloc(2u << 20);
    char text[64];
    int i;

    (void)arg;
    for (i = 0; i < 1500; i++) {
        snprintf(text, sizeof(text), "{\"event\": \"E%d\"}\r\n", i);
        server_say(fd, text);
    }
    memset(big, 'x', (2u << 20) - 1);
    server_say(fd, "{\"event\": \"BIG\", \"data\": \"");
    server_say(fd, big);
    server_say(fd, "\"}\r\n");
    server_answer(fd, line, ANSWER);
    server_await_end(fd);
}

static void test_many_events(void)
{
    struct snap_ctx sc = SNAP_CTX_INIT;
    struct server s;
    struct snap_qmp *q = open_at(&sc, &s, script_many_events, NULL);

    is_int(snap_qmp_command(q, "query-x", NULL, LONG_MS, NULL), 0,
           "1500 events before the answer are read over");
    is_int(snap_qmp_poll_event(q, "E499", 1, NULL), 1,
           "the oldest events are forgotten");
    is_int(snap_qmp_poll_event(q, "E500", 1, NULL), 0,
           "the last thousand are kept");
    is_int(snap_qmp_poll_event(q, "E1499", 1, NULL), 0, "up to the newest");
    is_int(snap_qmp_poll_event(q, "BIG", 1, NULL), 1,
           "an event of 2 MiB is not kept");
    snap_qmp_close(q);
    server_end(&s);
}

static void script_heavy_events(int listener, const void *arg)
{
    int fd = server_greet(listener);
    char *line = server_hear(fd), *pad = snap_zalloc(100001);
    char text[64];
    int i;

    (void)arg;
    memset(pad, 'x', 100000);
    for (i = 0; i < 50; i++) {
        snprintf(text, sizeof(text), "{\"event\": \"E%d\", \"data\": \"", i);
        server_say(fd, text);
        server_say(fd, pad);
        server_say(fd, "\"}\r\n");
    }
    server_answer(fd, line, ANSWER);
    server_await_end(fd);
}

static void test_heavy_events(void)
{
    struct snap_ctx sc = SNAP_CTX_INIT;
    struct server s;
    struct snap_qmp *q = open_at(&sc, &s, script_heavy_events, NULL);

    is_int(snap_qmp_command(q, "query-x", NULL, LONG_MS, NULL), 0,
           "5 MB of events before the answer are read over");
    is_int(snap_qmp_poll_event(q, "E39", 1, NULL), 1,
           "more than 1 MiB of them is not kept");
    is_int(snap_qmp_poll_event(q, "E40", 1, NULL), 0, "the newest are");
    snap_qmp_close(q);
    server_end(&s);
}

/*
 * Answers that are not ours
 */

static void script_foreign(int listener, const void *arg)
{
    int fd = server_accept(listener);
    char *line;

    (void)arg;
    server_say(fd, "{\"return\": {}, \"id\": \"snap-1-1.000000001-3\"}\r\n"
               "{\"event\": \"EARLY\"}\r\n"
               "{\"QMP\": {\"version\": {\"qemu\": {\"micro\": 1, \"minor\": "
               "2, \"major\": 3}}}}\r\n");
    line = server_expect(fd, "qmp_capabilities");
    server_say(fd, "{\"return\": 1, \"id\": 1}\r\n"
               "{\"return\": 2, \"id\": {\"a\": []}}\r\n"
               "{\"return\": 3}\r\n"
               "{\"return\": 4, \"id\": \"\"}\r\n"
               "{\"error\": {\"class\": \"x\", \"desc\": \"y\"}, "
               "\"id\": \"snap-\"}\r\n");
    server_answer(fd, line, "{\"return\": {}, \"id\": $ID}");
    /* The one before once more, then ours. */
    server_answer(fd, line, "{\"return\": \"again\", \"id\": $ID}");
    free(line);
    line = server_hear(fd);
    line[strlen(line) - 3] ^= 1;        /* the last digit of the id */
    server_answer(fd, line, "{\"return\": \"wrong\", \"id\": $ID}");
    line[strlen(line) - 3] ^= 1;
    server_answer(fd, line, "{\"return\": \"right\", \"id\": $ID}");
    server_await_end(fd);
}

static void test_foreign_ids(void)
{
    struct snap_ctx sc = SNAP_CTX_INIT;
    struct server s;
    struct snap_qmp *q = open_at(&sc, &s, script_foreign, NULL);
    struct snap_json *result = NULL;

    ok(q, "answers to others before the greeting are skipped");
    is_int(snap_qmp_command(q, "query-x", NULL, LONG_MS, &result), 0,
           "answers with other ids are skipped");
    is_str(snap_json_str(result), "right", "ours is taken");
    is_int(snap_qmp_poll_event(q, "EARLY", 1, NULL), 0,
           "an event before the greeting is kept");
    snap_json_free(result);
    snap_qmp_close(q);
    server_end(&s);
}

static void script_errors(int listener, const void *arg)
{
    int fd = server_greet(listener);
    char *line = server_hear(fd);

    (void)arg;
    server_answer(fd, line, "{\"error\": {\"class\": \"GenericError\", "
                  "\"desc\": \"Device 'x' is \\u001b[31m\\nbusy\"}, "
                  "\"id\": $ID}");
    free(line);
    line = server_hear(fd);
    server_answer(fd, line, ANSWER);
    server_await_end(fd);
}

static void test_error_answer(void)
{
    struct snap_ctx sc = SNAP_CTX_INIT;
    struct server s;
    struct snap_qmp *q = open_at(&sc, &s, script_errors, NULL);
    struct snap_json *result = snap_json_new_str("untouched");
    struct snap_json *const before = result;
    int rc;

    rc = snap_qmp_command(q, "transaction", NULL, LONG_MS, &result);
    is_int(rc, ERROR_FAIL, "an error answer is a failure");
    ok(!result, "and has no result");
    snap_json_free(before);
    like(sc.message, "transaction: Device 'x' is ",
         "the message is QEMU's, behind the command");
    like(sc.message, s.path, "it names the socket");
    like(sc.message, "is ?[31m?busy", "control characters are tamed");
    is_int(sc.rc, ERROR_FAIL, "the code is recorded");
    snap_clear(&sc);
    is_int(snap_qmp_command(q, "query-x", NULL, LONG_MS, NULL), 0,
           "after an error answer the connection is alive");
    snap_qmp_close(q);
    server_end(&s);
}

/*
 * What is not QMP
 */

struct hostile {
    const char *claim;
    const char *bytes;          /* instead of an answer; $ID is replaced */
    const char *message;        /* part of ours */
};

static const struct hostile hostile[] = {
    { "text", "HTTP/1.1 400 Bad Request\r\n", "" },
    { "half a value", "{\"return\": {}, \r\n", "" },
    { "two values on a line", "{\"return\": {}, \"id\": $ID} {}\r\n", "" },
    { "an array", "[{\"return\": {}, \"id\": $ID}]\r\n", "not an object" },
    { "a number", "17\r\n", "not an object" },
    { "null", "null\r\n", "not an object" },
    { "an object of no meaning", "{\"id\": $ID}\r\n", "not QMP" },
    { "a second greeting", "{\"QMP\": {}}\r\n", "not QMP" },
    { "an event whose name is a number", "{\"event\": 5}\r\n", "not QMP" },
    { "an answer that is both", "{\"return\": {}, \"error\": {\"desc\": "
      "\"x\"}, \"id\": $ID}\r\n", "not QMP" },
    { "an error without a description",
      "{\"error\": {\"class\": \"x\"}, \"id\": $ID}\r\n", "no description" },
    { "an error that is a string",
      "{\"error\": \"x\", \"id\": $ID}\r\n", "no description" },
    { "an error whose description is a list",
      "{\"error\": {\"desc\": []}, \"id\": $ID}\r\n", "no description" },
    { "an error about a line it could not read",
      "{\"error\": {\"class\": \"GenericError\", \"desc\": \"JSON parse "
      "error, stray\\u0007 x\"}}\r\n", "JSON parse error, stray? x" },
    { "the same key twice",
      "{\"return\": 1, \"return\": 2, \"id\": $ID}\r\n", "" },
    { "bytes that are no UTF-8",
      "{\"return\": \"\xff\xfe\", \"id\": $ID}\r\n", "" },
};

static void script_hostile(int listener, const void *arg)
{
    const struct hostile *h = arg;
    int fd = server_greet(listener);
    char *line = server_hear(fd), *text = server_with_id(h->bytes, line);

    server_say(fd, text);
    server_await_end(fd);
}

static void test_hostile(const struct hostile *h)
{
    struct snap_ctx sc = SNAP_CTX_INIT;
    struct server s;
    struct snap_qmp *q = open_at(&sc, &s, script_hostile, h);
    struct snap_json *result = NULL;

    start_watch();
    is_int(snap_qmp_command(q, "query-x", NULL, LONG_MS, &result),
           ERROR_INVAL, "%s is refused", h->claim);
    ok(!result && took_ms(0, LONG_MS / 2), "%s is refused at once", h->claim);
    ok(sc.message && strstr(sc.message, s.path)
       && strstr(sc.message, "'query-x'") && strstr(sc.message, h->message),
       "%s: the message names socket, command and reason", h->claim);
    if (sc.message) note("%s", sc.message);
    snap_clear(&sc);
    is_int(snap_qmp_command(q, "query-x", NULL, LONG_MS, NULL),
           ERROR_NOT_READY, "%s: the connection is dead", h->claim);
    is_int(snap_qmp_poll_event(q, "X", 1, NULL), ERROR_NOT_READY,
           "%s: dead for events too", h->claim);
    snap_clear(&sc);
    snap_qmp_close(q);
    server_end(&s);
}

static void script_nul(int listener, const void *arg)
{
    static const char text[] = "{\"event\": \"A\0B\"}\r\n";
    int fd = server_greet(listener);

    (void)arg;
    server_hear(fd);
    server_say_bytes(fd, text, sizeof(text) - 1);
    server_await_end(fd);
}

static void script_endless(int listener, const void *arg)
{
    int fd = server_greet(listener);
    char *piece = snap_zalloc(65537);

    (void)arg;
    server_hear(fd);
    memset(piece, ' ', 65536);
    /* send() fails once the client has had enough. */
    while (send(fd, piece, 65536, MSG_NOSIGNAL) > 0) continue;
}

static void script_long_line(int listener, const void *arg)
{
    int fd = server_greet(listener);
    size_t len = *(const size_t *)arg;
    char *line = server_hear(fd), *big = snap_zalloc(len + 1);

    memset(big, 'x', len);
    server_say(fd, "{\"return\": \"");
    server_say(fd, big);
    server_answer(fd, line, "\", \"id\": $ID}");
    server_await_end(fd);
}

static void script_deep(int listener, const void *arg)
{
    int fd = server_greet(listener);
    char *line = server_hear(fd), *deep = snap_zalloc(100001);

    (void)arg;
    memset(deep, '[', 100000);
    server_say(fd, "{\"return\": ");
    server_say(fd, deep);
    memset(deep, ']', 100000);
    server_say(fd, deep);
    server_answer(fd, line, ", \"id\": $ID}");
    server_await_end(fd);
}

static void refuses(const char *claim, server_script *script, const void *arg)
{
    struct snap_ctx sc = SNAP_CTX_INIT;
    struct server s;
    struct snap_qmp *q = open_at(&sc, &s, script, arg);

    is_int(snap_qmp_command(q, "query-x", NULL, LONG_MS, NULL), ERROR_INVAL,
           "%s is refused", claim);
    if (sc.message) note("%s", sc.message);
    snap_clear(&sc);
    is_int(snap_qmp_command(q, "query-x", NULL, LONG_MS, NULL),
           ERROR_NOT_READY, "%s: the connection is dead", claim);
    snap_clear(&sc);
    snap_qmp_close(q);
    server_end(&s);
}

static void test_sizes(void)
{
    const size_t fits = 7u << 20, too_long = 8u << 20;
    struct snap_ctx sc = SNAP_CTX_INIT;
    struct server s;
    struct snap_qmp *q;
    struct snap_json *result = NULL;

    refuses("a NUL byte", script_nul, NULL);
    refuses("a line without an end", script_endless, NULL);
    refuses("an answer of more than 8 MiB", script_long_line, &too_long);
    refuses("an answer nested 100000 times", script_deep, NULL);
    q = open_at(&sc, &s, script_long_line, &fits);
    is_int(snap_qmp_command(q, "query-x", NULL, LONG_MS, &result), 0,
           "an answer of 7 MiB is taken");
    is_uint(result ? strlen(snap_json_str(result)) : 0, fits, "all of it");
    snap_json_free(result);
    snap_qmp_close(q);
    server_end(&s);
}

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
    size_t i;

    /* Under valgrind it would be called like that. */
    prctl(PR_SET_NAME, program_invocation_short_name);
    test_command();
    test_split_at_every_byte();
    test_glued();
    test_calls();
    test_both_full();
    test_ids_differ();
    test_held_back();
    test_few_bytes();
    test_events();
    test_many_events();
    test_heavy_events();
    test_foreign_ids();
    test_error_answer();
    for (i = 0; i < sizeof(hostile) / sizeof(hostile[0]); i++) {
        test_hostile(&hostile[i]);
    }
    test_sizes();
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
