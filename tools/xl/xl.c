/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * main(): the front.  Runs `snapshot-*` commands itself and hands all else to
 * the distribution's xl, unchanged.  Called as xl-snapshot it has nothing but
 * the snapshot commands.
 */
#include <stdio.h>
#include <string.h>

#include "commands.h"
#include "options.h"
#include "say.h"
#include "stock.h"

static bool is_ours(const char *word)
{
    return !strncmp(word, "snapshot-", strlen("snapshot-"));
}

/* xl's own options end at the first word that is none. Their letters go into
 * `letters`; false: there is one that only the stock xl can judge. */
static bool skip_globals(int argc, char **argv, int *at,
                         struct snap_text *letters)
{
    snap_text_add(letters, "%s", "");
    for (*at = 1; *at < argc && argv[*at][0] == '-'; (*at)++) {
        const char *word = argv[*at] + 1;

        if (!strcmp(word, "-")) {
            (*at)++;
            break;
        }
        if (!*word || word[strspn(word, "vftTN")])
            return false;
        snap_text_add(letters, "%s", word);
    }
    return *at < argc;
}

/* `xl help`: the stock list, then ours. */
static int help_all(char **argv)
{
    int status = xl_stock_run(argv);

    printf("\nxl snapshot subcommands (xl help snapshot-create shows one):"
           "\n\n");
    xl_help_list(stdout);
    return status;
}

static int help_one(const char *name, bool bare)
{
    const struct xl_command *c = xl_command_find(name, bare);

    if (!c) {
        xl_message("Error: there is no snapshot command '%s'; there are:",
                   name);
        xl_help_list(stderr);
        return XL_USAGE;
    }
    xl_help_command(stdout, c);
    return 0;
}

static int as_xl(int argc, char **argv)
{
    struct snap_text letters = { 0 };
    int status, at;

    if (!skip_globals(argc, argv, &at, &letters))
        status = xl_stock_exec(argv);
    else if (is_ours(argv[at]))
        status = xl_run_command(argv[0], letters.data, argv[at], argc - at,
                                argv + at);
    else if (strcmp(argv[at], "help"))
        status = xl_stock_exec(argv);
    else if (at + 1 == argc)
        status = help_all(argv);
    else if (is_ours(argv[at + 1]))
        status = help_one(argv[at + 1], false);
    else
        status = xl_stock_exec(argv);
    free(letters.data);
    return status;
}

static int xl_snapshot_usage(FILE *f, int status)
{
    fprintf(f, "Usage: xl-snapshot COMMAND [OPTIONS] [ARGUMENTS]\n\n");
    xl_help_list(f);
    fprintf(f, "\n'snapshot-' can be left out. xl-snapshot COMMAND --help "
            "shows the options.\n");
    return status;
}

static int as_xl_snapshot(int argc, char **argv)
{
    struct snap_text letters = { 0 };
    const char *word;
    int status, at;
    bool plain = skip_globals(argc, argv, &at, &letters);

    word = at < argc ? argv[at] : NULL;
    if (!word)
        status = xl_snapshot_usage(stderr, XL_USAGE);
    else if (!strcmp(word, "--version"))
        status = printf("xl-snapshot %s\n", PACKAGE_VERSION) < 0;
    else if (!strcmp(word, "--help") || !strcmp(word, "-h") ||
             (!strcmp(word, "help") && at + 1 == argc))
        status = xl_snapshot_usage(stdout, 0);
    else if (!strcmp(word, "help"))
        status = help_one(argv[at + 1], true);
    else if (plain && xl_command_find(word, true))
        status = xl_run_command(argv[0], letters.data, word, argc - at,
                                argv + at);
    else
        status = help_one(word, true);
    free(letters.data);
    return status;
}

int main(int argc, char **argv)
{
    const char *slash;

    if (argc < 1 || !argv[0]) return XL_USAGE;
    slash = strrchr(argv[0], '/');
    if (!strcmp(slash ? slash + 1 : argv[0], "xl-snapshot"))
        return as_xl_snapshot(argc, argv);
    return as_xl(argc, argv);
}
