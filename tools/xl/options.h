/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * The commands and their options: two tables from which parsing, --help and
 * `xl help` are made, and with which the tests compare the manual.  Knows the
 * shape of a command line, not what a command does.
 */
#ifndef XL_OPTIONS_H
#define XL_OPTIONS_H

#include <stdio.h>

#include "snap_internal.h"

/* Exit statuses: a contract with scripts. */
enum {
    XL_DONE = 0,
    XL_REFUSED = 1,             /* nothing was touched */
    XL_USAGE = 2,
    XL_UNDONE = 3,              /* failed; all is as before */
    XL_NOT_WHOLE = 4,           /* a command that finishes it is named */
};

enum xl_opt {
    OPT_NAME,
    OPT_DESCRIPTION,
    OPT_LIVE,
    OPT_INTERNAL,
    OPT_EXTERNAL,
    OPT_PATH,
    OPT_TREE,
    OPT_LONG,
    OPT_ROOTS,
    OPT_LEAVES,
    OPT_DISKS,
    OPT_KEEP,
    OPT_KEEP_LAYERS,
    OPT_KEEP_MEMORY,
    OPT_SPEED,
    OPT_CHILDREN,
    OPT_CHILDREN_ONLY,
    OPT_DISK_ONLY,
    OPT_RUNNING,
    OPT_PAUSED,
    OPT_FORCE,
    OPT_EXCLUDE,
    OPT_NO_PROTECT,
    OPT_UPDATE_CONFIG,
    OPT_CONFIG,
    OPT_MEMORY,
    OPT_OFFLINE,
    OPT_ORPHANS,
    OPT_REPAIR,
    OPT_ABANDONED,
    OPT_YES,
    OPT_STORE,
    OPT_LOCK_TIMEOUT,
    OPT_DRY_RUN,
    OPT_JSON,
    OPT_PROGRESS_FD,
    OPT_VERBOSE,
    OPT_QUIET,
    OPT_HELP,
    OPT_COUNT
};

/* A command's place in the table is its bit in an option's mask. */
enum xl_cmd {
    CMD_CREATE,
    CMD_REVERT,
    CMD_LIST,
    CMD_INFO,
    CMD_DELETE,
    CMD_CHECK,
    CMD_VERIFY,
    CMD_RECOVER,
    CMD_ADOPT,
    CMD_COUNT
};

struct xl_option {
    enum xl_opt id;
    char letter;                /* 0: it has none */
    const char *name;           /* without the dashes */
    const char *arg;            /* NULL: takes none */
    const char *help;
    unsigned commands;          /* bits 1u << enum xl_cmd */
    bool repeat;                /* more than once makes sense */
};

struct xl_request;

struct xl_command {
    const char *name;           /* "snapshot-create" */
    int (*run)(struct xl_request *rq);      /* returns the exit status */
    const char *summary;        /* for `xl help` */
    const char *args;           /* "DOMAIN [SNAPSHOT-CONFIG]" */
    int min_args, max_args;
    bool root;                  /* it cannot work for anybody else */
    const char *about;          /* a paragraph for --help */
};

/* What the user asked for: values checked one by one and against each other,
 * not yet against the world. */
struct xl_request {
    const struct xl_command *command;
    enum xl_cmd id;
    const char *program;            /* argv[0] of the process */
    const char *value[OPT_COUNT];   /* of options with an argument */
    unsigned count[OPT_COUNT];
    struct snap_strings exclude;    /* every --exclude */
    char **args;                    /* the other arguments, nargs of them */
    int nargs;
    char *store;                    /* absolute */
    char *config;                   /* --update-config or --config, absolute;
                                     * NULL: not given */
    int lock_timeout_ms;
    uint64_t speed_bytes;           /* --speed, a second; 0: not given */
    int progress_fd;                /* -1: none */
    char *error;                    /* why parsing failed */
};

/* The command of that name, with or without "snapshot-" as `bare` says; NULL
 * when there is none. */
const struct xl_command *xl_command_find(const char *name, bool bare);
const struct xl_command *xl_command_at(size_t i);   /* NULL: past the end */
const struct xl_option *xl_option_at(size_t i);     /* NULL: past the end */

/*
 * Parse argv, whose [0] is the command's name.  `globals` is what stood before
 * the command: letters of xl's own options.  0, or XL_USAGE with rq->error.
 * The request points into argv.
 */
int xl_request_parse(struct xl_request *rq, const struct xl_command *command,
                     const char *program, const char *globals,
                     int argc, char **argv);
void xl_request_dispose(struct xl_request *rq);

static inline bool xl_given(const struct xl_request *rq, enum xl_opt id)
{
    return rq->count[id] > 0;
}

/* Could that be the name of a virtual device, like xvda? */
bool xl_vdev_plausible(const char *vdev);

void xl_help_command(FILE *f, const struct xl_command *command);
void xl_help_list(FILE *f);         /* one line a command */

/*
 * The same request as a command that can be pasted into a shell anywhere,
 * with these arguments instead of the ones given (NULL-terminated) and
 * without --dry-run.  malloc'd.
 */
char *xl_request_command(const struct xl_request *rq,
                         const char *const *args);

#endif
