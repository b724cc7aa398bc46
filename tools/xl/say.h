/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * Words for people and scripts: messages on standard error, the JSON result
 * on standard output, and the small text tools they need.  Everything that
 * comes from outside (names, descriptions, library messages with paths in
 * them) is cleaned of control characters here before it reaches a terminal.
 */
#ifndef XL_SAY_H
#define XL_SAY_H

#include <stdio.h>

#include "format/json.h"
#include "options.h"

bool xl_utf8_valid(const char *s);
/* A copy without control characters or broken UTF-8: those become \xNN. */
char *xl_clean(const char *s);
/* For a POSIX shell; a copy as it is when nothing needs quoting. */
char *xl_shell_quote(const char *word);
/* A path made absolute with the working directory; links stay. */
char *xl_absolute(const char *path);

/* Wrap at 79 columns; the cursor stands at `column`, later lines are indented
 * by `indent`.  Words are never broken. Ends with a newline. */
void xl_wrap(FILE *f, const char *text, int column, int indent);

/* A line of clean text: wrapped on a terminal, else whole, for grep. */
void xl_put_line(FILE *f, const char *text);
/* A message on standard error, cleaned. */
void xl_message(const char *fmt, ...) SNAP_PRINTF(1, 2);
/* The same unless the user asked for quiet. */
void xl_note(const struct xl_request *rq, const char *fmt, ...)
    SNAP_PRINTF(2, 3);

/*
 * The end of a command that did not do what was asked: "Error: ..." with what
 * the status means, the hint (NULL: none) on a line of its own, and with
 * --json the error object. Returns status.
 */
int xl_fail(const struct xl_request *rq, int status, const char *hint,
            const char *fmt, ...) SNAP_PRINTF(4, 5);
/* For a usage error, which may come before --json was understood. */
int xl_fail_usage(const char *command, bool json, const char *why);

/* Print a result object and free it. */
void xl_print_json(struct snap_json *object);
/* A copy as JSON may hold it: as it is if it is UTF-8, else cleaned. */
char *xl_json_text(const char *s);
struct snap_json *xl_strings_json(const struct snap_strings *l);

#endif
