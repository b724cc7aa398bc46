/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * waitlog FILE FROM REGEX COUNT SECONDS: wait until COUNT whole lines behind
 * byte FROM of a growing file match an extended regular expression.  Exits
 * with 0 when they do, with 1 when they have not in time, with 2 when asked
 * for nonsense.  A file that is not there yet is waited for; carriage returns
 * are not part of a line.
 *
 * For lib.sh: a shell that forks to look takes much of a slow machine's time.
 */
#include <fcntl.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define PAUSE_MS 40

struct watch {
    const char *path;
    off_t at;
    regex_t regex;
    long want;
    char line[65536];           /* longer ones are cut */
    size_t len;
};

static double now_s(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

static void take(struct watch *w, char c)
{
    if (c == '\r') return;
    if (c != '\n') {
        if (w->len < sizeof(w->line) - 1) w->line[w->len++] = c;
        return;
    }
    w->line[w->len] = '\0';
    w->len = 0;
    if (!regexec(&w->regex, w->line, 0, NULL, 0)) w->want--;
}

/* All that has come. */
static void look(struct watch *w)
{
    int fd = open(w->path, O_RDONLY | O_CLOEXEC);
    char buf[16384];
    ssize_t n, i;

    if (fd < 0) return;
    while ((n = pread(fd, buf, sizeof(buf), w->at)) > 0) {
        for (i = 0; i < n; i++) take(w, buf[i]);
        w->at += n;
    }
    close(fd);
}

int main(int argc, char **argv)
{
    const struct timespec pause = { .tv_nsec = PAUSE_MS * 1000000L };
    static struct watch w;
    double end;

    if (argc != 6 || regcomp(&w.regex, argv[3], REG_EXTENDED | REG_NOSUB))
        return 2;
    w.path = argv[1];
    w.at = atoll(argv[2]);
    w.want = atol(argv[4]);
    end = now_s() + atof(argv[5]);
    for (look(&w); w.want > 0; look(&w)) {
        if (now_s() > end) return 1;
        nanosleep(&pause, NULL);
    }
    return 0;
}
