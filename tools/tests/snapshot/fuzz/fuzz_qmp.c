/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * What a QEMU says.  The input is lines; each answers one command of the
 * client, $ID in it becomes the command's id, and behind the last line the
 * connection ends.  The greeting is a right one, unless the input begins with
 * '!'.
 */
#include "libxl_qmp.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "fuzz.h"
#include "snap_internal.h"

#define TIMEOUT_MS 100
#define PATIENCE_US 2000        /* for a client that may wait for more */
#define GREETING \
    "{\"QMP\": {\"version\": {\"qemu\": {\"micro\": 22, \"minor\": 2, " \
    "\"major\": 7}, \"package\": \"\"}, \"capabilities\": []}}\n" \
    "{\"return\": {}, \"id\": \"$ID\"}\n"

static int listener = -1;
static struct sockaddr_un address = { .sun_family = AF_UNIX };
static char dir[] = "/tmp/fuzz-qmp-XXXXXX";
static char *input;

/* ---- the server's side ------------------------------------------- */

static void say(int fd, const char *p, size_t n)
{
    while (n) {
        ssize_t sent = send(fd, p, n, MSG_NOSIGNAL);

        if (sent <= 0) return;
        p += sent;
        n -= sent;
    }
}

/* A line for a command with that id. */
static void answer(int fd, const char *line, size_t n, const char *id)
{
    const char *at;

    while ((at = memmem(line, n, "$ID", 3))) {
        say(fd, line, at - line);
        say(fd, id, strlen(id));
        n -= at + 3 - line;
        line = at + 3;
    }
    say(fd, line, n);
}

/* The id in the next command, if there is one soon; false: the client has
 * gone. */
static bool hear(FILE *in, char *id, size_t size)
{
    AUTO_FREE char *line = NULL;
    char *from, *to;
    size_t cap = 0;

    if (getline(&line, &cap, in) < 0) {
        if (feof(in)) return false;
        clearerr(in);
        return true;
    }
    from = strstr(line, "\"id\"");
    from = from ? strchr(from + 4, '"') : NULL;
    to = from ? strchr(from + 1, '"') : NULL;
    *id = 0;
    if (to) snprintf(id, size, "%.*s", (int)(to - from - 1), from + 1);
    return true;
}

static void *serve(void *arg)
{
    int fd = accept(listener, NULL, NULL);
    struct timeval patience = { .tv_usec = PATIENCE_US };
    FILE *in = fdopen(fd, "r");
    const char *p = input;
    char id[64] = "";

    (void)arg;
    must(in);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    while (*p) {
        const char *end = strchr(p, '\n');
        size_t n = end ? (size_t)(end + 1 - p) : strlen(p);

        answer(fd, p, n, id);
        p += n;
        if (*p && !hear(in, id, sizeof(id))) break;
    }
    fclose(in);
    return NULL;
}

/* ---- the client's ------------------------------------------------ */

static void leave(void)
{
    unlink(address.sun_path);
    rmdir(dir);
}

static void listen_once(void)
{
    must(mkdtemp(dir));
    must(!atexit(leave));
    snprintf(address.sun_path, sizeof(address.sun_path), "%s/qmp", dir);
    listener = socket(AF_UNIX, SOCK_STREAM, 0);
    must(listener >= 0);
    must(!bind(listener, (struct sockaddr *)&address, sizeof(address)));
    must(!listen(listener, 1));
}

static void talk(struct snap_ctx *sc)
{
    AUTO_QMP struct snap_qmp *q = NULL;
    struct snap_qmp_disks disks;

    if (snap_qmp_open(sc, address.sun_path, TIMEOUT_MS, &q)) return;
    if (!snap_qmp_query_blocks(q, TIMEOUT_MS, &disks))
        snap_qmp_disks_dispose(&disks);
    snap_clear(sc);
    if (!snap_qmp_query_disks(q, TIMEOUT_MS, &disks))
        snap_qmp_disks_dispose(&disks);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct snap_ctx sc = SNAP_CTX_INIT;
    bool own = size && data[0] == '!';
    pthread_t server;

    if (listener < 0) listen_once();
    input = own ? snap_strndup((const char *)data + 1, size - 1)
                : snap_printf(GREETING "%.*s", (int)size, (const char *)data);
    must(!pthread_create(&server, NULL, serve, NULL));
    talk(&sc);
    pthread_join(server, NULL);
    free(input);
    snap_clear(&sc);
    return 0;
}
