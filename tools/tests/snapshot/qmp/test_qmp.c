/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * The QMP client against a server that follows scripts: framing, ids, events.
 */
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "client.h"

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

int main(void)
{
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
    return done_testing();
}
