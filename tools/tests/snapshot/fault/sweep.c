/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * The sweep: every call of the library that leaves the process fails once, and
 * kills the process once, in each scene that comes by it.  Afterwards recover
 * is run, and the host is as before the operation or as after it: never a
 * third state; the guest runs, on images that fit its RAM, and the toolstack
 * has the right words.
 *
 * sweep [-a] [SCENE...]
 *
 * Each point is tried in one of the scenes that come by it; with -a in each.
 * FAULT_JOBS: how many scenes at a time (default: 2).  FAULT_UNNAMED=1 shows
 * the messages that do not name the fault, FAULT_EXCUSED=1 the points that no
 * scene came by.
 */
#include "fault/sweep.h"

#include <sys/prctl.h>

#include "tap.h"

#define RUN_SECONDS 120

static const char *const mode_names[] = { "none", "error", "kill" };

/* What a process says of the operation that it ran. */
struct words {
    int outcome;                /* -1: it was killed, as was to be */
    int signal;                 /* it died of another */
    int status;                 /* it gave up with that, and has said why */
    char hint[256], message[1024];
};
static struct words *words;

struct tally {
    unsigned runs, old, new, again, bad;
    unsigned failed, named;     /* operations; messages that name the fault */
};

/* ---- one run ----------------------------------------------------- */

enum command { FIRST, AGAIN, RECOVER };

static void run(const struct scene *s, enum command command)
{
    pid_t pid;
    int status;

    *words = (struct words){ .outcome = -1 };
    pid = fork();
    if (pid < 0) bail("fork: %s", strerror(errno));
    if (!pid) {
        libxl_snapshot_ctx *sc = libxl_snapshot_ctx_alloc(NULL);
        int outcome;

        alarm(RUN_SECONDS);
        if (command != RECOVER) fake->looks_fast = getpid();
        scene_again = command == AGAIN;
        outcome = command == RECOVER ? scene_recover(sc) : s->run(s, sc);
        snprintf(words->hint, sizeof(words->hint), "%s",
                 libxl_snapshot_hint(sc) ? libxl_snapshot_hint(sc) : "");
        snprintf(words->message, sizeof(words->message), "%s",
                 libxl_snapshot_error(sc) ? libxl_snapshot_error(sc) : "");
        libxl_snapshot_ctx_free(sc);
        words->outcome = outcome;
        _exit(0);
    }
    while (waitpid(pid, &status, 0) < 0) continue;
    words->status = WIFEXITED(status) ? WEXITSTATUS(status) : 0;
    if (!WIFSIGNALED(status)) return;
    /* A crash, or SIGALRM: it hung. */
    if (WTERMSIG(status) != SIGKILL || control->mode != FAULT_KILL)
        words->signal = WTERMSIG(status);
}

/* The first processes that are not of the host; malloc'd, or NULL. */
static char *strays(void)
{
    AUTO_FREE char *path = snap_printf("/proc/self/task/%d/children",
                                       getpid());
    int tries;

    for (tries = 0; tries < 300; tries++) {
        FILE *f = fopen(path, "re");
        struct snap_text t = { 0 };
        int pid;

        while (waitpid(-1, NULL, WNOHANG) > 0) continue;
        while (f && fscanf(f, "%d", &pid) == 1)
            if (pid != host->qemu && pid != host->monitor && !kill(pid, 0))
                snap_text_add(&t, " %d", pid);
        if (f) fclose(f);
        if (!t.data) return NULL;
        if (tries == 299) return t.data;
        free(t.data);
        usleep(10000);
    }
    return NULL;
}

struct expected {
    char *before, *after;
    bool disorder;              /* before */
    bool kept;                  /* or the snapshot of the present is there */
};

/* The present was kept, and the domain goes on, in overlays of any name. */
static bool is_kept(const char *now)
{
    return strstr(now, "/store/s1/snapshot.json full")
           && strstr(now, "/store/s2/snapshot.json full")
           && !strstr(now, ".journal\n") && !strstr(now, ".new\n")
           && strstr(now, "domain: runs\n");
}

/* The lines of a that are not in b; malloc'd. */
static char *only_in(const char *a, const char *b)
{
    AUTO_FREE char *copy = snap_strdup(a);
    char *line, *rest = copy;
    struct snap_text t = { 0 };

    while ((line = strsep(&rest, "\n"))) {
        AUTO_FREE char *whole = snap_printf("%s\n", line);

        if (*line && !strstr(b, whole)) snap_text_add(&t, "  %s\n", line);
    }
    return t.data ? t.data : snap_strdup("  nothing\n");
}

static char *third_state(const struct expected *e, const char *now)
{
    AUTO_FREE char *new_b = only_in(now, e->before);
    AUTO_FREE char *lost_b = only_in(e->before, now);
    AUTO_FREE char *new_a = only_in(now, e->after);
    AUTO_FREE char *lost_a = only_in(e->after, now);

    return snap_printf("this is not as it should be\nbut for 'before', new:\n"
                       "%slacking:\n%sbut for 'after', new:\n%slacking:\n%s",
                       new_b, lost_b, new_a, lost_a);
}

/* NULL: it is one of the two, and all is in order. */
static char *judge(const struct expected *e, bool may_be_old, bool may_be_new)
{
    AUTO_FREE char *now = scene_look();
    char *wrong;

    if (!(may_be_old && !strcmp(now, e->before))
        && !(may_be_new && !strcmp(now, e->after))
        && !(e->kept && is_kept(now)))
        return third_state(e, now);
    wrong = strays();
    /* An interrupted run that was not begun to be recovered is in disorder. */
    if (wrong || (e->disorder && !strcmp(now, e->before))) return wrong;
    return fake->exists ? host_disorder() : NULL;
}

/* After a run that was hit: NULL, or what is wrong. */
static char *settle(const struct scene *s, const struct expected *e,
                    struct tally *t)
{
    int outcome = words->outcome;
    AUTO_FREE char *stray = NULL;
    char *wrong, *now;
    bool again;

    if (words->signal)
        return snap_printf("it died of signal %d", words->signal);
    if (words->status)
        return snap_printf("it gave up with %d", words->status);
    if (outcome > 0 && !words->message[0])
        return snap_printf("outcome %d without a message", outcome);
    if (outcome == LIBXL_SNAPSHOT_NOT_WHOLE && !words->hint[0])
        return snap_strdup("not whole, and no hint");
    if (outcome >= 0 && outcome != LIBXL_SNAPSHOT_NOT_WHOLE) {
        wrong = judge(e, outcome != LIBXL_SNAPSHOT_DONE,
                      outcome == LIBXL_SNAPSHOT_DONE);
        if (wrong) return wrong;
    }
    /* The hint is the command to give. Where no journal is kept, who saw it
     * killed gives it again. */
    again = !strcmp(words->hint, SCENE_AGAIN)
            || (s->no_journal && outcome < 0);
    if (!again) {
        run(s, RECOVER);
        again = words->outcome == LIBXL_SNAPSHOT_NOT_WHOLE
                && !strcmp(words->hint, SCENE_AGAIN);
    }
    if (again) {
        run(s, AGAIN);
        t->again++;
        if (words->outcome || words->signal)
            return snap_printf("once more it came to %d: %s", words->outcome,
                               words->message);
        run(s, RECOVER);
    }
    if (words->outcome || words->signal)
        return snap_printf("recover came to %d: %s", words->outcome,
                           words->message);
    wrong = judge(e, outcome != LIBXL_SNAPSHOT_DONE && !s->dies_in,
                  outcome <= 0 || outcome == LIBXL_SNAPSHOT_NOT_WHOLE
                  || s->dies_in);
    if (wrong) return wrong;
    now = scene_look();
    if (!strcmp(now, e->before))
        t->old++;
    else
        t->new++;
    run(s, RECOVER);
    stray = scene_look();
    wrong = strcmp(now, stray) ? snap_strdup("recovering again changed "
                                             "something") : NULL;
    free(now);
    return wrong;
}

/* Is the fault what the message is about? */
static bool is_named(const struct fault_point *p)
{
    if (strstr(words->message, strerror(control->errnoval))) return true;
    if (!strncmp(p->call, "xs_", 3)) return strstr(words->message, "xenstore");
    return !strncmp(p->call, "libxl_", 6) && strstr(words->message, "libxl");
}

static void note_message(const struct scene *s, const struct fault_point *p,
                         struct tally *t)
{
    t->failed++;
    if (is_named(p))
        t->named++;
    else if (getenv("FAULT_UNNAMED"))
        diag("%s: %s in %s: it came to %d: %s", s->name, p->call, p->function,
             words->outcome, words->message);
}

/* What comes by a point here does not come by it in the scene. */
static void set_stage(const struct scene *s)
{
    control->recording = false;
    scene_set(s);
    control->recording = true;
}

static void try_point(const struct scene *s, const struct expected *e,
                      unsigned number, enum fault_mode mode, struct tally *t)
{
    const struct fault_point *p = fault_point(number);
    AUTO_FREE char *wrong = NULL, *first = NULL;

    set_stage(s);
    control->armed = number;
    control->skip = 0;
    control->fired = false;
    control->mode = mode;
    run(s, FIRST);
    control->mode = FAULT_NONE;
    if (!control->fired) return;        /* it was not come by this time */
    t->runs++;
    if (mode == FAULT_ERROR && words->outcome > 0) note_message(s, p, t);
    first = snap_printf("it came to %d: %s", words->outcome, words->message);
    wrong = settle(s, e, t);
    if (!wrong) return;
    t->bad++;
    diag("%s, %s of %s in %s (%s:%d): %s\n%s", s->name, mode_names[mode],
         p->call, p->function, p->file, p->line, first, wrong);
}

/* ---- a scene ----------------------------------------------------- */

/* Without a fault; which points it comes by goes into visited. False: something
 * is wrong, and said. */
static bool rehearse(const struct scene *s, struct expected *e,
                     unsigned char *visited)
{
    AUTO_FREE char *wrong = NULL;

    memset(control->visited, 0, sizeof(control->visited));
    set_stage(s);
    e->before = scene_look();
    e->disorder = s->dies_in;
    e->kept = s->keep;
    run(s, FIRST);
    memcpy(visited, control->visited, sizeof(control->visited));
    e->after = scene_look();
    wrong = judge(e, true, true);
    if (words->outcome || wrong)
        diag("%s came to %d: %s\n%s", s->name, words->outcome, words->message,
             wrong ? wrong : "all is in order");
    return !words->outcome && !wrong;
}

/* ---- all scenes, some at a time ---------------------------------- */

/* Shared: what the process of each scene found out. */
struct part {
    unsigned char visited[FAULT_MAX_POINTS];
    unsigned char mine[FAULT_MAX_POINTS];   /* to be tried in this scene */
    unsigned char later[FAULT_MAX_POINTS];  /* visited when others failed */
    bool chosen, in_order;
    struct tally tally[FAULT_KILL + 1];
};
static struct part *parts;
static bool loops;              /* there are some */

/* A process of a scene has a directory and a host of its own. */
static void set_up(const char *dir)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    snprintf(scene_dir, sizeof(scene_dir), "%s/s", dir);
    snprintf(fault_run_dir, sizeof(fault_run_dir), "%s/run", dir);
    snprintf(fault_lock_dir, sizeof(fault_lock_dir), "%s/journal", dir);
    if (mkdir(fault_run_dir, 0700)) bail("%s", strerror(errno));
    fault_begin();
    words = fault_share(sizeof(*words));
}

static void rehearsal(unsigned i)
{
    struct expected e;

    parts[i].in_order = rehearse(&scenes[i], &e, parts[i].visited);
}

static void performance(unsigned i)
{
    static unsigned char ignored[FAULT_MAX_POINTS];
    struct part *part = &parts[i];
    struct expected e;
    enum fault_mode mode;
    unsigned k;

    part->in_order = rehearse(&scenes[i], &e, ignored);
    for (mode = FAULT_ERROR; part->in_order && mode <= FAULT_KILL; mode++)
        for (k = 0; k < fault_count(); k++)
            if (part->mine[k])
                try_point(&scenes[i], &e, k, mode, &part->tally[mode]);
    memcpy(part->later, control->visited, sizeof(part->later));
}

/* In a process: what it has to say goes into a file, for others talk too. */
static pid_t begin(unsigned i, void (*what)(unsigned), FILE *out)
{
    char dir[] = "/tmp/snap-fault-XXXXXX";
    AUTO_FREE char *command = NULL;
    pid_t pid;

    fflush(NULL);
    pid = fork();
    if (pid) return pid;
    dup2(fileno(out), 1);
    dup2(fileno(out), 2);
    if (!mkdtemp(dir)) bail("%s: %s", dir, strerror(errno));
    set_up(dir);
    what(i);
    scene_clear();
    fflush(NULL);
    command = snap_printf("rm -rf %s", dir);
    _exit(system(command) != 0);
}

static void end(FILE *out, unsigned i, int status)
{
    char line[4096];

    rewind(out);
    while (fgets(line, sizeof(line), out))
        printf("%s%s", *line == '#' ? "" : "# ", line);
    fclose(out);
    if (!status) return;
    parts[i].in_order = false;
    diag("%s: its process ended with %d", scenes[i].name, status);
}

static void each_scene(void (*what)(unsigned), unsigned jobs)
{
    pid_t pids[nscenes];
    FILE *outs[nscenes];
    unsigned next = 0, running = 0, k;
    int status;

    memset(pids, 0, sizeof(pids));
    while (next < nscenes || running) {
        pid_t pid;

        if (next < nscenes && running < jobs) {
            if (parts[next].chosen) {
                outs[next] = tmpfile();
                pids[next] = begin(next, what, outs[next]);
                running++;
            }
            next++;
            continue;
        }
        pid = waitpid(-1, &status, 0);
        for (k = 0; k < nscenes && pids[k] != pid; k++) continue;
        if (k == nscenes) continue;
        running--;
        end(outs[k], k, status);
    }
}

/* Each point that is not tried everywhere to the scene that has fewest. */
static void deal_out(bool all)
{
    unsigned *n = snap_zalloc(nscenes * sizeof(*n));
    unsigned i, k, best;

    for (k = 0; k < fault_count(); k++) {
        best = nscenes;
        for (i = 0; i < nscenes; i++) {
            if (!parts[i].in_order || !parts[i].visited[k]) continue;
            if (all)
                parts[i].mine[k] = 1;
            else if (best == nscenes || n[i] < n[best])
                best = i;
        }
        if (all || best == nscenes) continue;
        parts[best].mine[k] = 1;
        n[best]++;
    }
    free(n);
}

/* ---- the result -------------------------------------------------- */

static void report(void)
{
    enum fault_mode mode;
    unsigned i;

    for (i = 0; i < nscenes; i++) {
        if (!parts[i].chosen) continue;
        ok(parts[i].in_order, "%s: without a fault it is done, and all is in "
           "order", scenes[i].name);
        for (mode = FAULT_ERROR; mode <= FAULT_KILL; mode++) {
            const struct tally *t = &parts[i].tally[mode];

            diag("%-22s %-5s %4u points: %4u as before, %4u as after, %u of "
                 "them by the command once more; %u bad", scenes[i].name,
                 mode_names[mode], t->runs, t->old, t->new, t->again, t->bad);
            if (t->failed)
                diag("%-22s       %4u failed, %u messages name the fault",
                     scenes[i].name, t->failed, t->named);
            ok(!t->bad, "%s: %s at any point is survived", scenes[i].name,
               mode_names[mode]);
        }
    }
}

static bool was_visited(unsigned k)
{
    unsigned i;

    for (i = 0; i < nscenes; i++)
        if (parts[i].visited[k] || parts[i].later[k]) return true;
    return false;
}

/* The excuse of a point that no scene can come by, or NULL. */
static const char *excuse(const struct fault_point *p)
{
    const struct excuse *e;

    for (e = excuses; e->function; e++)
        if ((!e->block || !loops) && !strcmp(e->function, p->function)
            && (!e->call || !strcmp(e->call, p->call)))
            return e->why;
    return NULL;
}

static void count_visits(void)
{
    unsigned k, visited = 0, excused = 0, missed = 0;

    for (k = 0; k < fault_count(); k++) {
        const struct fault_point *p = fault_point(k);

        if (was_visited(k)) {
            visited++;
        } else if (excuse(p)) {
            excused++;
            if (getenv("FAULT_EXCUSED"))
                diag("nobody comes by %s in %s: %s", p->call, p->function,
                     excuse(p));
        } else {
            missed++;
            diag("nobody comes by %s in %s (%s:%d)", p->call, p->function,
                 p->file, p->line);
        }
    }
    diag("%u points: %u visited, %u with an excuse", fault_count(), visited,
         excused);
    ok(!missed, "no point is missed");
}

static bool is_chosen(const struct scene *s, char **names)
{
    if (!*names) return true;
    for (; *names; names++)
        if (!strcmp(*names, s->name)) return true;
    return false;
}

int main(int argc, char **argv)
{
    const char *jobs = getenv("FAULT_JOBS");
    bool all = argc > 1 && !strcmp(argv[1], "-a");
    char **names = argv + 1 + all;
    unsigned i;

    setvbuf(stdout, NULL, _IOLBF, 0);
    if (geteuid()) {
        printf("1..0 # SKIP the library works for root alone\n");
        return 0;
    }
    parts = fault_share(nscenes * sizeof(*parts));
    loops = loops_work();
    for (i = 0; i < nscenes; i++) {
        parts[i].chosen = is_chosen(&scenes[i], names);
        if (!parts[i].chosen || !scenes[i].block || loops) continue;
        parts[i].chosen = false;
        diag("%s is left out: no loop devices here", scenes[i].name);
    }
    each_scene(rehearsal, jobs ? atoi(jobs) : 2);
    deal_out(all);
    each_scene(performance, jobs ? atoi(jobs) : 2);
    report();
    if (!*names) count_visits();
    return done_testing();
}
