/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * The tables of commands and options, and what is made from them: parsing
 * with getopt_long, --help, the list for `xl help`.  Looks at the world only
 * as far as an option's value needs it (is that descriptor open?).
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <string.h>

#include "commands.h"
#include "options.h"
#include "say.h"
#include "store.h"

#define BIT(c) (1u << CMD_##c)
#define ALL ((1u << CMD_COUNT) - 1)

#define LOCK_TIMEOUT_S 60
#define LOCK_TIMEOUT_MAX_S 86400
#define DESCRIPTION_MAX_BYTES 4096
#define DISKS_MAX 1024

static const struct xl_command commands[] = {
    [CMD_CREATE] = {
        "snapshot-create", xl_snapshot_create,
        "Snapshot a running domain: memory and disks",
        "DOMAIN [SNAPSHOT-CONFIG]", 1, 2, true,
        "Saves the memory of a running domain and snapshots its disks, all "
        "at one instant; then the domain goes on. Without options the name "
        "is made from the UTC time, and each disk is snapshotted inside its "
        "qcow2 image where that can be done, else by a new overlay. Prints "
        "the snapshot's directory."
    },
    [CMD_REVERT] = {
        "snapshot-revert", xl_snapshot_revert,
        "Put a domain back to a snapshot",
        "DOMAIN SNAPSHOT [DOMAIN-CONFIG]", 2, 3, true,
        "Destroys the domain if it runs, puts its disks back to the "
        "snapshot, and starts it from the saved memory. What the domain did "
        "since the snapshot is lost, except in an overlay that it wrote: "
        "that stays and is named. Everything needed is checked before "
        "anything is destroyed. DOMAIN-CONFIG is an xl.cfg with other "
        "bridges, actions or targets of disks that were left out; with "
        "--disk-only the domain is booted as it says."
    },
    [CMD_LIST] = {
        "snapshot-list", xl_snapshot_list,
        "List the snapshots of a domain, or of all",
        "[DOMAIN]", 0, 1, false,
        "Lists what is in the store, oldest first. '*' marks the snapshot "
        "that the domain's present state descends from. PARENT is what the "
        "snapshot's manifest says, or else what its images show. SIZE is "
        "what the snapshot's own directory takes on the disk, not the "
        "images."
    },
    [CMD_INFO] = {
        "snapshot-info", xl_snapshot_info,
        "Show everything about a snapshot",
        "DOMAIN SNAPSHOT", 2, 2, false,
        "Shows what is recorded about a snapshot, with its disks as entries "
        "for the disk= list of an xl.cfg."
    },
    [CMD_DELETE] = {
        "snapshot-delete", xl_snapshot_delete,
        "Delete a snapshot",
        "DOMAIN SNAPSHOT", 2, 2, true,
        "Removes the disks' internal snapshots and the snapshot's directory. "
        "The domain may run meanwhile. The frozen base of an external disk is "
        "merged with the image that stands on it when nothing else needs it, "
        "by copying the smaller of the two; else it stays as a layer, and it "
        "is said why. What the domain's xl.cfg must name then is printed."
    },
    [CMD_CHECK] = {
        "snapshot-check", xl_snapshot_check,
        "Say whether a domain can be snapshotted",
        "[DOMAIN]", 0, 1, true,
        "Says for the domain and for each of its disks whether it can be "
        "snapshotted, and if not, why not and what to change. Changes "
        "nothing. The exit status is 0 when snapshot-create without options "
        "would be possible, else 1. With --config it looks at an xl.cfg, for "
        "which the domain need not run: DOMAIN is then the one that the file "
        "names, unless it is given."
    },
    [CMD_VERIFY] = {
        "snapshot-verify", xl_snapshot_verify,
        "Say whether a snapshot is whole and unharmed",
        "DOMAIN SNAPSHOT", 2, 2, false,
        "Looks at everything that the snapshot needs: that nobody else can "
        "read its directory, the memory image to its end, each disk's image "
        "with what is below it, its tag, and that a frozen base was not "
        "written since. Images that nobody has open are read through by "
        "qemu-img check, which can take long. Changes nothing without "
        "--repair. The exit status is 0 when all is good, else 1."
    },
    [CMD_RECOVER] = {
        "snapshot-recover", xl_snapshot_recover,
        "Finish or undo an interrupted snapshot command",
        "[DOMAIN]", 0, 1, true,
        "Looks for snapshot commands that were interrupted (killed, or by a "
        "power cut), of one domain or of all, and finishes or undoes them: a "
        "domain that was left suspended goes on. Nothing is done to a domain "
        "whose command still runs."
    },
    [CMD_ADOPT] = {
        "snapshot-adopt", xl_snapshot_adopt,
        "Adopt a snapshot that was made by hand",
        "DOMAIN NAME [VDEV=WHAT...]", 2, 2 + DISKS_MAX, true,
        "Writes down what a snapshot consists of that xl save, qemu-img or "
        "libvirt made, so that the other commands work on it. WHAT is "
        "tag:TAG, an internal snapshot in the disk's image, or base:PATH, a "
        "layer below it that nobody writes any more. A disk that is not named "
        "has the tag NAME. The images stay as they are. Prints the snapshot's "
        "directory."
    },
};

static const struct xl_option options[] = {
    { OPT_NAME, 'n', "name", "NAME",
      "the snapshot's name (default: from the UTC time)",
      BIT(CREATE), false },
    { OPT_DESCRIPTION, 'd', "description", "TEXT",
      "a text to keep with the snapshot",
      BIT(CREATE) | BIT(ADOPT), false },
    { OPT_LIVE, 'l', "live", NULL,
      "write most of the memory while the domain runs; it then stands still "
      "for a shorter time (not for PV domains)",
      BIT(CREATE), false },
    { OPT_INTERNAL, 'i', "internal", NULL,
      "snapshot every disk inside its image, or refuse",
      BIT(CREATE), false },
    { OPT_EXTERNAL, 'e', "external", NULL,
      "freeze every disk's image and give the domain a new overlay, or "
      "refuse",
      BIT(CREATE), false },
    { OPT_PATH, 0, "path", "DIR",
      "the snapshot's directory itself, instead of one in the store; it must "
      "not exist",
      BIT(CREATE) | BIT(ADOPT), false },
    { OPT_PATH, 0, "path", "DIR",
      "list the snapshots in this directory, instead of those of the store",
      BIT(LIST), false },
    { OPT_TREE, 't', "tree", NULL,
      "show which snapshot descends from which",
      BIT(LIST), false },
    { OPT_LONG, 'l', "long", NULL,
      "also show how each disk was snapshotted, how long the domain stood "
      "still, and the description",
      BIT(LIST), false },
    { OPT_ROOTS, 0, "roots", NULL,
      "only those that descend from none",
      BIT(LIST), false },
    { OPT_LEAVES, 0, "leaves", NULL,
      "only those that none descends from",
      BIT(LIST), false },
    { OPT_DISKS, 0, "disks", NULL,
      "the images of this domain instead of its snapshots: each layer and each "
      "tag, and what it is for",
      BIT(LIST), false },
    { OPT_KEEP, 0, "keep", "NAME",
      "first snapshot the present state of the running domain under this "
      "name; if the domain cannot be built any more, it goes back there",
      BIT(REVERT), false },
    { OPT_KEEP_LAYERS, 0, "keep-layers", NULL,
      "do not merge the frozen bases of external disks with what stands on "
      "them",
      BIT(DELETE), false },
    { OPT_KEEP_MEMORY, 0, "keep-memory", NULL,
      "leave the memory image in the snapshot's directory; its path is printed",
      BIT(DELETE), false },
    { OPT_SPEED, 0, "speed", "RATE",
      "copy at most so many bytes a second when layers are merged; with k, M or "
      "G for a multiple of 1024",
      BIT(DELETE), false },
    { OPT_DISK_ONLY, 0, "disk-only", NULL,
      "put back the disks only and boot the domain from them, as after a "
      "power cut",
      BIT(REVERT), false },
    { OPT_CHILDREN, 0, "children", NULL,
      "also delete all snapshots that descend from it",
      BIT(DELETE), false },
    { OPT_CHILDREN_ONLY, 0, "children-only", NULL,
      "delete those that descend from it, but not itself",
      BIT(DELETE), false },
    { OPT_RUNNING, 0, "running", NULL,
      "let the domain run afterwards, whatever it did at the snapshot",
      BIT(REVERT), false },
    { OPT_PAUSED, 'p', "paused", NULL,
      "leave the domain paused afterwards",
      BIT(CREATE) | BIT(REVERT), false },
    { OPT_FORCE, 0, "force", NULL,
      "revert even if it is doubtful that the snapshot is this domain's; "
      "never over an image that is in use",
      BIT(REVERT), false },
    { OPT_EXCLUDE, 0, "exclude", "VDEV",
      "leave this disk out; can be repeated",
      BIT(CREATE) | BIT(ADOPT), true },
    { OPT_EXCLUDE, 0, "exclude", "VDEV",
      "accept that this disk, which the snapshot left out, has changed "
      "since; can be repeated",
      BIT(REVERT), true },
    { OPT_NO_PROTECT, 0, "no-protect", NULL,
      "do not set the immutable flag on frozen images",
      BIT(CREATE) | BIT(REVERT) | BIT(ADOPT), false },
    { OPT_NO_PROTECT, 0, "no-protect", NULL,
      "with --repair: do not set the immutable flag on frozen images",
      BIT(VERIFY), false },
    { OPT_UPDATE_CONFIG, 0, "update-config", "FILE",
      "put the domain's new images into the disk= list of this xl.cfg; the "
      "file as it was is kept beside it",
      BIT(CREATE) | BIT(REVERT) | BIT(DELETE), false },
    { OPT_CONFIG, 0, "config", "FILE",
      "say instead whether the domain could be started from this xl.cfg "
      "without harm to a snapshot",
      BIT(CHECK), false },
    { OPT_CONFIG, 0, "config", "FILE",
      "the xl.cfg of a domain that is off: which disks it has",
      BIT(ADOPT), false },
    { OPT_MEMORY, 0, "memory", "FILE",
      "a file of xl save that is of the same instant as the disks; it is "
      "copied",
      BIT(ADOPT), false },
    { OPT_OFFLINE, 0, "offline", NULL,
      "the domain was off at the snapshot, so its disks were at rest",
      BIT(ADOPT), false },
    { OPT_ORPHANS, 0, "orphans", NULL,
      "of all domains or of this one, what no snapshot needs and what "
      "snapshots miss, instead of one snapshot; status 1 if there is some",
      BIT(VERIFY), false },
    { OPT_REPAIR, 0, "repair", NULL,
      "before that, put right what can be told without guessing: names, a "
      "parent or an overlay that is gone, copies of frozen images, permissions, "
      "immutable flags",
      BIT(VERIFY), false },
    { OPT_ABANDONED, 0, "abandoned", NULL,
      "remove the overlays of this domain that nothing needs any more, instead "
      "of a snapshot; they are listed first",
      BIT(DELETE), false },
    { OPT_YES, 'y', "yes", NULL,
      "with --abandoned: do not ask",
      BIT(DELETE), false },
    { OPT_STORE, 0, "store", "DIR",
      "where snapshots are kept (default: $XL_SNAPSHOT_STORE, else "
      SNAP_STORE_DIR ")",
      ALL, false },
    { OPT_LOCK_TIMEOUT, 0, "lock-timeout", "SECONDS",
      "how long to wait for another snapshot command on the same domain "
      "(default: 60)",
      ALL, false },
    { OPT_DRY_RUN, 0, "dry-run", NULL,
      "print what would be done and change nothing",
      ALL, false },
    { OPT_JSON, 0, "json", NULL,
      "print the result, or the error, as one JSON object",
      ALL, false },
    { OPT_PROGRESS_FD, 0, "progress-fd", "N",
      "write progress to this open file descriptor, a JSON object a line",
      ALL, false },
    { OPT_VERBOSE, 'v', "verbose", NULL,
      "say what is being done, with progress; twice: in detail",
      ALL, true },
    { OPT_QUIET, 'q', "quiet", NULL,
      "only errors on standard error",
      ALL, false },
    { OPT_HELP, 'h', "help", NULL,
      "this help",
      ALL, false },
};

/* What a command takes instead of its arguments with one of its options. */
static const struct {
    enum xl_cmd command;
    enum xl_opt option;
    const char *args;
    int min_args, max_args;
} other_args[] = {
    { CMD_LIST, OPT_DISKS, "DOMAIN", 1, 1 },
    { CMD_DELETE, OPT_ABANDONED, "DOMAIN", 1, 1 },
    { CMD_VERIFY, OPT_ORPHANS, "[DOMAIN]", 0, 1 },
};

/* Options that contradict each other. */
static const enum xl_opt contradictions[][2] = {
    { OPT_INTERNAL, OPT_EXTERNAL },
    { OPT_RUNNING, OPT_PAUSED },
    { OPT_CHILDREN, OPT_CHILDREN_ONLY },
    { OPT_CHILDREN, OPT_ABANDONED },
    { OPT_CHILDREN_ONLY, OPT_ABANDONED },
    { OPT_TREE, OPT_ROOTS },
    { OPT_TREE, OPT_LEAVES },
    { OPT_DISKS, OPT_TREE },
    { OPT_DISKS, OPT_LONG },
    { OPT_DISKS, OPT_ROOTS },
    { OPT_DISKS, OPT_LEAVES },
    { OPT_DISKS, OPT_PATH },
    { OPT_ORPHANS, OPT_REPAIR },
    { OPT_ORPHANS, OPT_NO_PROTECT },
    { OPT_ABANDONED, OPT_KEEP_LAYERS },
    { OPT_ABANDONED, OPT_KEEP_MEMORY },
    { OPT_ABANDONED, OPT_UPDATE_CONFIG },
    { OPT_ABANDONED, OPT_SPEED },
    { OPT_KEEP_LAYERS, OPT_SPEED },
    { OPT_MEMORY, OPT_OFFLINE },
    { OPT_QUIET, OPT_VERBOSE },
};

#define NCOMMANDS (sizeof(commands) / sizeof(commands[0]))
#define NOPTIONS (sizeof(options) / sizeof(options[0]))
#define NOTHER_ARGS (sizeof(other_args) / sizeof(other_args[0]))
#define LONG_BASE 256           /* getopt's values of long options */

const struct xl_command *xl_command_at(size_t i)
{
    return i < NCOMMANDS ? &commands[i] : NULL;
}

const struct xl_option *xl_option_at(size_t i)
{
    return i < NOPTIONS ? &options[i] : NULL;
}

const struct xl_command *xl_command_find(const char *name, bool bare)
{
    size_t skip = strlen("snapshot-");
    size_t i;

    for (i = 0; i < NCOMMANDS; i++) {
        if (!strcmp(commands[i].name, name))
            return &commands[i];
        if (bare && !strcmp(commands[i].name + skip, name))
            return &commands[i];
    }
    return NULL;
}

/* ---- parsing --------------------------------------------------------- */

static int usage(struct xl_request *rq, const char *fmt, ...)
    SNAP_PRINTF(2, 3);
static int usage(struct xl_request *rq, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    free(rq->error);
    rq->error = snap_vprintf(fmt, ap);
    va_end(ap);
    return XL_USAGE;
}

static const struct xl_option *option_of(enum xl_cmd command, enum xl_opt id)
{
    size_t i;

    for (i = 0; i < NOPTIONS; i++)
        if (options[i].id == id && options[i].commands & (1u << command))
            return &options[i];
    return NULL;
}

static const struct xl_option *option_by_letter(enum xl_cmd command,
                                                int letter)
{
    size_t i;

    for (i = 0; i < NOPTIONS; i++)
        if (options[i].letter == letter &&
            options[i].commands & (1u << command))
            return &options[i];
    return NULL;
}

struct getopt_tables {
    struct option longs[NOPTIONS + 1];
    char shorts[2 * NOPTIONS + 2];
};

static void build_getopt(enum xl_cmd command, struct getopt_tables *t)
{
    char *s = t->shorts;
    size_t i, n = 0;

    memset(t, 0, sizeof(*t));
    *s++ = ':';                 /* a missing argument is told from a typo */
    for (i = 0; i < NOPTIONS; i++) {
        const struct xl_option *o = &options[i];

        if (!(o->commands & (1u << command)))
            continue;
        t->longs[n].name = o->name;
        t->longs[n].has_arg = o->arg ? required_argument : no_argument;
        t->longs[n].val = LONG_BASE + (int)o->id;
        n++;
        if (o->letter) {
            *s++ = o->letter;
            if (o->arg) *s++ = ':';
        }
    }
}

static int take(struct xl_request *rq, const struct xl_option *o,
                const char *value)
{
    rq->count[o->id]++;
    if (!o->arg) return 0;
    if (!*value)
        return usage(rq, "--%s wants a %s that is not empty", o->name,
                     o->arg);
    if (o->repeat) {
        snap_strings_add(&rq->exclude, value);
        return 0;
    }
    if (rq->value[o->id] && strcmp(rq->value[o->id], value))
        return usage(rq, "--%s was given twice: '%s' and '%s'", o->name,
                     rq->value[o->id], value);
    rq->value[o->id] = value;
    return 0;
}

/* What getopt could not make sense of; `word` is the argument it stood in. */
static int bad_option(struct xl_request *rq, int what, const char *word)
{
    const struct xl_option *o = NULL;

    if (optopt >= LONG_BASE)
        o = option_of(rq->id, (enum xl_opt)(optopt - LONG_BASE));
    else if (optopt)
        o = option_by_letter(rq->id, optopt);

    if (what == ':')
        return usage(rq, "option '%s' wants an argument: %s", word,
                     o ? o->arg : "VALUE");
    if (o)
        return usage(rq, "option '--%s' takes no argument", o->name);
    if (optopt)
        return usage(rq, "unknown option '-%c'", optopt);
    return usage(rq, "unknown or ambiguous option '%s'", word);
}

static int parse_options(struct xl_request *rq, int argc, char **argv)
{
    struct getopt_tables tables;
    const struct xl_option *o;
    int c, rc;

    build_getopt(rq->id, &tables);
    opterr = 0;
    optind = 0;                 /* GNU: start over, whoever ran before */
    while ((c = getopt_long(argc, argv, tables.shorts, tables.longs,
                            NULL)) != -1) {
        if (c == '?' || c == ':')
            return bad_option(rq, c, argv[optind - 1]);
        o = c >= LONG_BASE ? option_of(rq->id, (enum xl_opt)(c - LONG_BASE))
                           : option_by_letter(rq->id, c);
        if (!o) return usage(rq, "unknown option '-%c'", c);
        rc = take(rq, o, optarg);
        if (rc) return rc;
    }
    rq->args = argv + optind;
    rq->nargs = argc - optind;
    return 0;
}

/* xl's own options, which stand before the command. */
static void take_globals(struct xl_request *rq, const char *globals)
{
    for (; globals && *globals; globals++) {
        if (*globals == 'v') rq->count[OPT_VERBOSE]++;
        if (*globals == 'N') rq->count[OPT_DRY_RUN]++;
    }
}

/* A decimal number and nothing else. */
static bool number(const char *s, long max, long *out)
{
    char *end;

    if (!isdigit((unsigned char)*s)) return false;
    errno = 0;
    *out = strtol(s, &end, 10);
    return !errno && !*end && *out <= max;
}

/* A number of bytes, as 4096, 800k, 50M or 2G. */
static bool size(const char *s, uint64_t *bytes)
{
    static const char units[] = "kMG";
    const char *unit;
    long n;
    char *digits;
    size_t len = strlen(s);
    bool good;

    unit = len ? strchr(units, s[len - 1]) : NULL;
    digits = snap_strndup(s, len - (unit ? 1 : 0));
    good = number(digits, 1l << 30, &n) && n > 0;
    free(digits);
    *bytes = good ? (uint64_t)n : 0;
    for (; unit && unit >= units; unit--)
        *bytes *= 1024;
    return good;
}

static int check_progress_fd(struct xl_request *rq)
{
    const char *s = rq->value[OPT_PROGRESS_FD];
    int flags;
    long fd;

    rq->progress_fd = -1;
    if (!s) return 0;
    if (!number(s, 1 << 20, &fd))
        return usage(rq, "--progress-fd wants the number of an open file "
                     "descriptor, not '%s'", s);
    flags = fcntl((int)fd, F_GETFL);
    if (flags < 0)
        return usage(rq, "--progress-fd %ld: this descriptor is not open",
                     fd);
    if ((flags & O_ACCMODE) == O_RDONLY)
        return usage(rq, "--progress-fd %ld: this descriptor is open for "
                     "reading only", fd);
    rq->progress_fd = (int)fd;
    return 0;
}

bool xl_vdev_plausible(const char *vdev)
{
    size_t n = strlen(vdev);

    return n && n <= 31 &&
        strspn(vdev, "abcdefghijklmnopqrstuvwxyz0123456789") == n;
}

static int check_values(struct xl_request *rq)
{
    const char *text = rq->value[OPT_DESCRIPTION];
    const char *timeout = rq->value[OPT_LOCK_TIMEOUT];
    const char *speed = rq->value[OPT_SPEED];
    long seconds = LOCK_TIMEOUT_S;
    size_t i;

    if (timeout && !number(timeout, LOCK_TIMEOUT_MAX_S, &seconds))
        return usage(rq, "--lock-timeout wants seconds from 0 to %d, not "
                     "'%s'", LOCK_TIMEOUT_MAX_S, timeout);
    rq->lock_timeout_ms = (int)seconds * 1000;
    if (speed && !size(speed, &rq->speed_bytes))
        return usage(rq, "--speed wants a number of bytes a second like 50M, "
                     "not '%s'", speed);
    for (i = 0; i < rq->exclude.len; i++)
        if (!xl_vdev_plausible(rq->exclude.data[i]))
            return usage(rq, "--exclude wants the name of a virtual device "
                         "like xvda, not '%s'", rq->exclude.data[i]);
    if (text && strlen(text) > DESCRIPTION_MAX_BYTES)
        return usage(rq, "--description is longer than %d bytes",
                     DESCRIPTION_MAX_BYTES);
    if (text && !xl_utf8_valid(text))
        return usage(rq, "--description is not valid UTF-8");
    return check_progress_fd(rq);
}

static int check_contradictions(struct xl_request *rq)
{
    size_t i, n = sizeof(contradictions) / sizeof(contradictions[0]);

    for (i = 0; i < n; i++) {
        enum xl_opt a = contradictions[i][0], b = contradictions[i][1];

        if (xl_given(rq, a) && xl_given(rq, b))
            return usage(rq, "--%s and --%s contradict each other",
                         option_of(rq->id, a)->name,
                         option_of(rq->id, b)->name);
    }
    return 0;
}

/* Absolute, also in a command that is printed to be run again. */
static void take_config(struct xl_request *rq, enum xl_opt id)
{
    if (!rq->value[id]) return;
    rq->config = xl_absolute(rq->value[id]);
    rq->value[id] = rq->config;
}

static int check_args(struct xl_request *rq)
{
    struct xl_command c = *rq->command;
    int i;

    if (rq->id == CMD_CHECK && !rq->nargs && !rq->config)
        return usage(rq, "too few arguments: %s wants DOMAIN, or --config",
                     c.name);
    for (i = 0; i < (int)NOTHER_ARGS; i++) {
        if (other_args[i].command != rq->id
            || !xl_given(rq, other_args[i].option))
            continue;
        c.args = other_args[i].args;
        c.min_args = other_args[i].min_args;
        c.max_args = other_args[i].max_args;
    }
    if (rq->nargs < c.min_args)
        return usage(rq, "too few arguments: %s wants %s", c.name, c.args);
    if (rq->nargs > c.max_args)
        return usage(rq, "unexpected argument '%s': %s wants %s",
                     rq->args[c.max_args], c.name, c.args);
    for (i = 0; i < rq->nargs; i++)
        if (!rq->args[i][0])
            return usage(rq, "argument %d is empty: %s wants %s", i + 1,
                         c.name, c.args);
    return 0;
}

int xl_request_parse(struct xl_request *rq, const struct xl_command *command,
                     const char *program, const char *globals,
                     int argc, char **argv)
{
    int rc;

    memset(rq, 0, sizeof(*rq));
    rq->command = command;
    rq->id = (enum xl_cmd)(command - commands);
    rq->program = program;
    rq->progress_fd = -1;
    take_globals(rq, globals);
    rc = parse_options(rq, argc, argv);
    if (rc || xl_given(rq, OPT_HELP)) return rc;
    rc = check_values(rq);
    if (rc) return rc;
    rc = check_contradictions(rq);
    if (rc) return rc;
    rq->store = xl_store_dir(rq->value[OPT_STORE]);
    take_config(rq, OPT_UPDATE_CONFIG);
    take_config(rq, OPT_CONFIG);
    return check_args(rq);
}

void xl_request_dispose(struct xl_request *rq)
{
    snap_strings_dispose(&rq->exclude);
    free(rq->store);
    free(rq->config);
    free(rq->error);
    memset(rq, 0, sizeof(*rq));
}

/* ---- help ------------------------------------------------------------ */

#define HELP_COLUMN 31

static void help_option(FILE *f, const struct xl_option *o)
{
    char head[64], letter[8] = "   ";

    if (o->letter) snprintf(letter, sizeof(letter), "-%c,", o->letter);
    snprintf(head, sizeof(head), "  %s --%s%s%s", letter, o->name,
             o->arg ? " " : "", o->arg ? o->arg : "");
    fprintf(f, "%-*s", HELP_COLUMN, head);
    xl_wrap(f, o->help, HELP_COLUMN, HELP_COLUMN);
}

void xl_help_command(FILE *f, const struct xl_command *command)
{
    enum xl_cmd id = (enum xl_cmd)(command - commands);
    unsigned bit = 1u << id;
    size_t i;

    fprintf(f, "Usage: xl %s [OPTIONS] %s\n", command->name, command->args);
    for (i = 0; i < NOTHER_ARGS; i++)
        if (other_args[i].command == id)
            fprintf(f, "       xl %s --%s [OPTIONS] %s\n", command->name,
                    option_of(id, other_args[i].option)->name,
                    other_args[i].args);
    putc('\n', f);
    xl_wrap(f, command->about, 0, 0);
    fprintf(f, "\nOptions:\n");
    for (i = 0; i < NOPTIONS; i++)
        if (options[i].commands & bit)
            help_option(f, &options[i]);
    fprintf(f, "\nExit status: 0 done; 1 refused, nothing was touched; "
            "2 usage;\n3 failed, all is as before; 4 not whole, the message "
            "has the command\nthat finishes it. See also xl-snapshot(1).\n");
}

void xl_help_list(FILE *f)
{
    size_t i;

    for (i = 0; i < NCOMMANDS; i++)
        fprintf(f, " %-19s %s\n", commands[i].name, commands[i].summary);
}

/* ---- a command to run again ------------------------------------------ */

static void add_word(struct snap_text *t, const char *word)
{
    AUTO_FREE char *quoted = xl_shell_quote(word);

    snap_text_add(t, "%s%s", t->len ? " " : "", quoted);
}

static void add_options(const struct xl_request *rq, struct snap_text *t)
{
    size_t i, j;

    for (i = 0; i < NOPTIONS; i++) {
        const struct xl_option *o = &options[i];

        if (!(o->commands & (1u << rq->id)) || !xl_given(rq, o->id))
            continue;
        if (o->id >= OPT_STORE && o->id != OPT_LOCK_TIMEOUT)
            continue;           /* how to print, and what was said above */
        if (o->id == OPT_KEEP)
            continue;           /* done when there is something to repeat */
        for (j = 0; j < (o->repeat ? rq->exclude.len : 1); j++) {
            snap_text_add(t, " --%s", o->name);
            if (o->arg)
                add_word(t, o->repeat ? rq->exclude.data[j]
                                      : rq->value[o->id]);
        }
    }
}

char *xl_request_command(const struct xl_request *rq, const char *const *args)
{
    struct snap_text t = { 0 };

    if (strchr(rq->program, '/')) {
        AUTO_FREE char *path = xl_absolute(rq->program);

        add_word(&t, path);
    } else {
        add_word(&t, rq->program);
    }
    add_word(&t, rq->command->name);
    if (strcmp(rq->store, SNAP_STORE_DIR)) {
        snap_text_add(&t, " --store");
        add_word(&t, rq->store);
    }
    add_options(rq, &t);
    if (args[0] && args[0][0] == '-')
        snap_text_add(&t, " --");
    for (; *args; args++)
        add_word(&t, *args);
    return t.data;
}
