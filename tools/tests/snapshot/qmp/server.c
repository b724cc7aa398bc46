/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * The scripted QMP server and the helpers for real programs; see server.h.
 */
#include "server.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../tap.h"

#define GREETING \
    "{\"QMP\": {\"version\": {\"qemu\": {\"micro\": 22, \"minor\": 2, " \
    "\"major\": 7}, \"package\": \"\"}, \"capabilities\": [\"oob\"]}}\r\n"
#define MAX_LINE (64u << 20)
#define PATIENCE_S 60           /* no script takes longer */

static void *need(void *p)
{
    if (!p) bail("no memory");
    return p;
}

static void __attribute__((noreturn)) unfollowed(const char *why)
{
    fprintf(stderr, "# server: %s\n", why);
    _exit(1);
}

/*
 * Directories and processes
 */

char *make_dir(void)
{
    const char *tmp = getenv("TMPDIR");
    char *dir;

    if (asprintf(&dir, "%s/qmp-test-XXXXXX", tmp ? tmp : "/tmp") < 0) {
        bail("no memory");
    }
    if (!mkdtemp(dir)) bail("%s: %s", dir, strerror(errno));
    return dir;
}

void remove_dir(const char *dir)
{
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    const struct dirent *e;

    if (!d) return;
    while ((e = readdir(d))) unlinkat(fd, e->d_name, 0);
    closedir(d);
    rmdir(dir);
}

static int await_child(pid_t pid)
{
    int status;

    while (waitpid(pid, &status, 0) < 0) {
        if (errno != EINTR) return -1;
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static pid_t spawn(const char *const argv[], int out)
{
    pid_t pid = fork();

    if (pid < 0) bail("fork: %s", strerror(errno));
    if (pid) return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    dup2(out, STDOUT_FILENO);
    execvp(argv[0], (char *const *)argv);
    _exit(127);
}

int run_program(const char *const argv[])
{
    return await_child(spawn(argv, STDERR_FILENO));
}

pid_t start_program(const char *const argv[])
{
    return spawn(argv, STDERR_FILENO);
}

char *read_program(const char *const argv[])
{
    char *text = need(calloc(1, 1 << 20));
    size_t len = 0;
    ssize_t got;
    int ends[2];
    pid_t pid;

    if (pipe2(ends, O_CLOEXEC)) bail("pipe: %s", strerror(errno));
    pid = spawn(argv, ends[1]);
    close(ends[1]);
    do {
        got = read(ends[0], text + len, (1 << 20) - 1 - len);
        if (got > 0) len += (size_t)got;
    } while (got > 0 || (got < 0 && errno == EINTR));
    close(ends[0]);
    if (!await_child(pid)) return text;
    free(text);
    return NULL;
}

bool have_program(const char *name)
{
    char *path = need(strdup(getenv("PATH") ? getenv("PATH") : "/usr/bin"));
    char *rest = path, *dir, *file;
    bool have = false;

    while (!have && (dir = strsep(&rest, ":"))) {
        if (asprintf(&file, "%s/%s", dir, name) < 0) bail("no memory");
        have = !access(file, X_OK);
        free(file);
    }
    free(path);
    return have;
}

bool await_path(const char *path)
{
    int i;

    for (i = 0; i < 1000; i++) {
        if (!access(path, F_OK)) return true;
        poll(NULL, 0, 10);
    }
    return false;
}

void stop_program(pid_t pid)
{
    kill(pid, SIGKILL);
    await_child(pid);
}

bool end_program(pid_t pid)
{
    int i, status;

    for (i = 0; i < 1000; i++) {
        if (waitpid(pid, &status, WNOHANG) == pid) return true;
        poll(NULL, 0, 10);
    }
    stop_program(pid);
    return false;
}

/*
 * The server
 */

static int listen_at(const char *path)
{
    struct sockaddr_un at = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (strlen(path) >= sizeof(at.sun_path)) bail("'%s' is too long", path);
    memcpy(at.sun_path, path, strlen(path));
    if (fd < 0 || bind(fd, (const struct sockaddr *)&at, sizeof(at))
        || listen(fd, 1)) {
        bail("%s: %s", path, strerror(errno));
    }
    return fd;
}

void server_start(struct server *s, server_script *script, const void *arg)
{
    int listener;

    s->dir = make_dir();
    if (asprintf(&s->path, "%s/qmp", s->dir) < 0) bail("no memory");
    listener = listen_at(s->path);
    s->pid = fork();
    if (s->pid < 0) bail("fork: %s", strerror(errno));
    if (!s->pid) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        signal(SIGPIPE, SIG_IGN);
        signal(SIGALRM, SIG_DFL);
        alarm(PATIENCE_S);
        script(listener, arg);
        _exit(0);
    }
    close(listener);
}

static void forget(struct server *s)
{
    remove_dir(s->dir);
    free(s->dir);
    free(s->path);
    *s = (struct server){ .pid = -1 };
}

bool server_end(struct server *s)
{
    bool followed = !await_child(s->pid);

    forget(s);
    return followed;
}

void server_kill(struct server *s)
{
    stop_program(s->pid);
    forget(s);
}

int server_accept(int listener)
{
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

    if (fd < 0) unfollowed("nobody came");
    return fd;
}

char *server_hear(int fd)
{
    size_t cap = 256, len = 0;
    char *line = need(malloc(cap));

    for (;;) {
        ssize_t got = read(fd, line + len, 1);

        if (got <= 0) break;
        if (line[len] == '\n') {
            line[len] = '\0';
            return line;
        }
        if (++len == cap) {
            cap *= 2;
            if (cap > MAX_LINE) unfollowed("a command is endless");
            line = need(realloc(line, cap));
        }
    }
    free(line);
    return NULL;
}

char *server_expect(int fd, const char *part)
{
    char *line = server_hear(fd);

    if (!line) unfollowed("the client has gone");
    if (!strstr(line, part)) {
        fprintf(stderr, "# server: heard %s\n", line);
        unfollowed("that was another command");
    }
    return line;
}

void server_say_bytes(int fd, const char *bytes, size_t len)
{
    ssize_t put;

    while (len) {
        put = send(fd, bytes, len, MSG_NOSIGNAL);
        if (put < 0) return;            /* the client may have had enough */
        bytes += put;
        len -= (size_t)put;
    }
}

void server_say(int fd, const char *text)
{
    server_say_bytes(fd, text, strlen(text));
}

/* SIOCOUTQ of a unix socket: what its peer has not read. */
static void await_read(int fd)
{
    const struct timespec moment = { .tv_nsec = 20000 };
    int unread = 0;

    while (!ioctl(fd, SIOCOUTQ, &unread) && unread) nanosleep(&moment, NULL);
}

void server_say_slowly(int fd, const char *text)
{
    for (; *text; text++) {
        server_say_bytes(fd, text, 1);
        await_read(fd);
    }
}

/* The value of the last "id", with its quotes: arguments may have one too. */
static char *id_of(const char *line)
{
    const char *id = NULL, *next = line, *end;

    while ((next = strstr(next, "\"id\""))) id = next++;
    id = id ? strchr(id + 4, '"') : NULL;
    end = id ? strchr(id + 1, '"') : NULL;
    if (!end) unfollowed("the command has no id");
    return need(strndup(id, (size_t)(end + 1 - id)));
}

char *server_with_id(const char *text, const char *line)
{
    char *id = id_of(line), *whole = NULL;
    size_t len;
    FILE *f = need(open_memstream(&whole, &len));

    while (*text) {
        if (!strncmp(text, "$ID", 3)) {
            fputs(id, f);
            text += 3;
        } else {
            putc(*text++, f);
        }
    }
    fclose(f);
    free(id);
    return need(whole);
}

void server_answer(int fd, const char *line, const char *text)
{
    char *whole = server_with_id(text, line);

    server_say(fd, whole);
    server_say(fd, "\r\n");
    free(whole);
}

int server_greet(int listener)
{
    char *line;
    int fd;

    for (;;) {
        fd = server_accept(listener);
        server_say(fd, GREETING);
        line = server_hear(fd);
        if (line) break;
        close(fd);
    }
    if (!strstr(line, "\"qmp_capabilities\"")) unfollowed("no negotiation");
    server_answer(fd, line, "{\"return\": {}, \"id\": $ID}");
    free(line);
    return fd;
}

void server_await_end(int fd)
{
    char c;
    ssize_t got;

    do {
        got = read(fd, &c, 1);
    } while (got > 0 || (got < 0 && errno == EINTR));
}

static const char *find_answer(const struct reply *rows, bool *used,
                               const char *line)
{
    const char *last = NULL;
    size_t i;

    for (i = 0; rows[i].part; i++) {
        if (!strstr(line, rows[i].part)) continue;
        if (rows[i].part2 && !strstr(line, rows[i].part2)) continue;
        last = rows[i].answer;
        if (used[i]) continue;
        used[i] = true;
        return last;
    }
    return last;
}

void server_serve_table(int listener, const void *arg)
{
    int fd = server_greet(listener);
    bool used[256] = { false };
    const char *answer;
    char *line;

    while ((line = server_hear(fd))) {
        answer = find_answer(arg, used, line);
        if (!answer) fprintf(stderr, "# server: no answer for %s\n", line);
        server_answer(fd, line, answer ? answer
                      : "{\"error\": {\"class\": \"GenericError\", "
                        "\"desc\": \"not in the table\"}, \"id\": $ID}");
        free(line);
    }
}
