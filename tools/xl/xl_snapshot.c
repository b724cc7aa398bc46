/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * Running a command line, and the command recover.  The others have files of
 * their own.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "commands.h"
#include "say.h"
#include "session.h"

/* ---- every command --------------------------------------------------- */

/* A file that takes the place of a closed standard stream would be written to
 * by mistake. Reading ends and writing fails, as on a closed one. */
static void hold_standard_streams(void)
{
    int fd;

    do
        fd = open("/dev/null", O_RDONLY);
    while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd >= 0) close(fd);
}

/* Was --json said, even if the rest made no sense? */
static bool wants_json(int argc, char **argv)
{
    int i;

    for (i = 1; i < argc && strcmp(argv[i], "--"); i++)
        if (!strcmp(argv[i], "--json")) return true;
    return false;
}

/* snapshot-check --config reads files, which may be anybody's; snapshot-verify
 * --repair changes some. */
static bool needs_root(const struct xl_request *rq)
{
    return (rq->command->root && !xl_given(rq, OPT_CONFIG))
           || xl_given(rq, OPT_REPAIR);
}

/* A result nobody received is worth a message; what was done stays done. */
static int close_output(const struct xl_request *rq, int status)
{
    if (!fflush(stdout) && !ferror(stdout))
        return status;
    xl_message("Error: the result could not be written to standard output: "
               "%s", strerror(errno));
    return status || needs_root(rq) ? status : XL_REFUSED;
}

static int run(struct xl_request *rq)
{
    if (needs_root(rq) && geteuid()) {
        return xl_fail(rq, XL_REFUSED, NULL, "xl %s must be run by root, in "
                       "dom0", rq->command->name);
    }
    if (rq->progress_fd > STDERR_FILENO)
        fcntl(rq->progress_fd, F_SETFD, FD_CLOEXEC);
    return rq->command->run(rq);
}

int xl_run_command(const char *program, const char *globals,
                   const char *name, int argc, char **argv)
{
    const struct xl_command *command = xl_command_find(name, true);
    struct xl_request rq;
    int status;

    hold_standard_streams();
    signal(SIGPIPE, SIG_IGN);
    if (!command) {
        xl_message("Error: there is no command '%s'; there are:", name);
        xl_help_list(stderr);
        return XL_USAGE;
    }
    status = xl_request_parse(&rq, command, program, globals, argc, argv);
    if (status) {
        status = xl_fail_usage(command->name, wants_json(argc, argv),
                               rq.error);
    } else if (xl_given(&rq, OPT_HELP)) {
        xl_help_command(stdout, command);
    } else {
        status = run(&rq);
    }
    status = close_output(&rq, status);
    xl_request_dispose(&rq);
    return status;
}

/* ---- recover --------------------------------------------------------- */

static void print_recovered(const struct xl_request *rq, const char *domain,
                            const libxl_snapshot_result *r)
{
    size_t i;

    if (xl_given(rq, OPT_JSON)) {
        xl_print_json(xl_result_json(rq, domain, r));
        return;
    }
    if (xl_given(rq, OPT_DRY_RUN)) xl_result_plan(r);
    for (i = 0; i < r->notes.len; i++) {
        AUTO_FREE char *clean = xl_clean(r->notes.data[i]);

        printf("%s\n", clean);
    }
    if (!r->notes.len && !(r->plan && *r->plan))
        xl_note(rq, "Nothing was interrupted.");
}

int xl_snapshot_recover(struct xl_request *rq)
{
    AUTO_FREE char *domain = NULL;
    libxl_snapshot_result result;
    struct xl_session s;
    int rc, status = 0;

    if (rq->nargs) status = xl_domain_name(rq, rq->args[0], false, &domain);
    if (status) return status;
    memset(&result, 0, sizeof(result));
    xl_session_open(&s, rq, true);
    rc = libxl_snapshot_recover(s.ctx, domain, xl_given(rq, OPT_DRY_RUN),
                                rq->lock_timeout_ms, &result);
    if (rc) status = xl_session_failed(&s, rc);
    xl_session_close(&s);
    if (!rc) print_recovered(rq, domain, &result);
    libxl_snapshot_result_dispose(&result);
    return status;
}
