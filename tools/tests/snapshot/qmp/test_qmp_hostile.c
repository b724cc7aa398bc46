/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * The QMP client and everything a QEMU could answer that it should not.
 */
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "client.h"

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

int main(void)
{
    size_t i;

    test_error_answer();
    for (i = 0; i < sizeof(hostile) / sizeof(hostile[0]); i++) {
        test_hostile(&hostile[i]);
    }
    test_sizes();
    return done_testing();
}
