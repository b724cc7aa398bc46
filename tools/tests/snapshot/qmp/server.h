/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * The other side of a QMP connection, for tests: a forked child that listens
 * on a unix socket and follows a script, and a way to run real programs.  Not
 * a QEMU: it says what the script says, right or wrong.
 *
 * In the child a script that is not followed (the client says something else,
 * or nothing) ends with _exit(1) and a diagnostic; server_end() tells.
 */
#ifndef SNAP_TEST_QMP_SERVER_H
#define SNAP_TEST_QMP_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct server {
    char *dir;                  /* a new directory, for images too */
    char *path;                 /* the socket in it */
    pid_t pid;
};

/* The script; returns when it is at its end. */
typedef void server_script(int listener, const void *arg);

void server_start(struct server *s, server_script *script, const void *arg);
/* Waits for the child, removes the directory. True: the script was followed
 * to its end. */
bool server_end(struct server *s);
/* Ends a child that waits for nothing; removes the directory. */
void server_kill(struct server *s);

/*
 * For scripts
 */
int server_accept(int listener);
/* One line from the client, without its end; malloc'd. NULL: it has gone. */
char *server_hear(int fd);
/* The same, but the line must contain `part`. */
char *server_expect(int fd, const char *part);
void server_say(int fd, const char *text);
void server_say_bytes(int fd, const char *bytes, size_t len);
/* Byte by byte, each one read by the client before the next is sent. */
void server_say_slowly(int fd, const char *text);
/* `text` with every $ID replaced by the id in the client's `line`, malloc'd */
char *server_with_id(const char *text, const char *line);
void server_answer(int fd, const char *line, const char *text);
/* Greeting and negotiation; who gave up in the backlog is passed over. */
int server_greet(int listener);
/* Wait until the client has closed the connection. */
void server_await_end(int fd);

/*
 * Answers by table: for each command the first row that is not used up and
 * whose two parts it contains; the last that fits is used again and again.
 */
struct reply {
    const char *part, *part2;   /* part2 may be NULL */
    const char *answer;         /* with $ID, without line end; may be several
                                 * lines */
};
/* arg: rows up to one with part NULL. Serves one client until it closes. */
server_script server_serve_table;

/*
 * Real programs
 */
/* Runs argv, output on stderr; its exit status, or -1. */
int run_program(const char *const argv[]);
/* Starts it; its output goes to stderr too. It dies with us. */
pid_t start_program(const char *const argv[]);
/* Its standard output, malloc'd; NULL when it fails. */
char *read_program(const char *const argv[]);
bool have_program(const char *name);
bool await_path(const char *path);
void stop_program(pid_t pid);       /* kills it */
/* For one that was told to end: waits until it has, kills it after 10 s. */
bool end_program(pid_t pid);
char *make_dir(void);
void remove_dir(const char *dir);

#endif
