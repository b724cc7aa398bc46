/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * Messages, JSON results, and the text tools they need.  See say.h.
 */
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include "say.h"

#define COLUMNS 79

/* ---- text ------------------------------------------------------------ */

static bool continues(const unsigned char *s, size_t n)
{
    size_t i;

    for (i = 1; i < n; i++)
        if ((s[i] & 0xc0) != 0x80)
            return false;
    return true;
}

/* Bytes of the UTF-8 sequence at s, which starts with a byte >= 0x80; 0: it
 * is broken, overlong, a surrogate or past U+10FFFF. */
static size_t utf8_length(const unsigned char *s)
{
    if (s[0] >= 0xc2 && s[0] <= 0xdf)
        return continues(s, 2) ? 2 : 0;
    if ((s[0] & 0xf0) == 0xe0) {
        if (!continues(s, 3)) return 0;
        if (s[0] == 0xe0 && s[1] < 0xa0) return 0;
        if (s[0] == 0xed && s[1] > 0x9f) return 0;
        return 3;
    }
    if (s[0] >= 0xf0 && s[0] <= 0xf4) {
        if (!continues(s, 4)) return 0;
        if (s[0] == 0xf0 && s[1] < 0x90) return 0;
        if (s[0] == 0xf4 && s[1] > 0x8f) return 0;
        return 4;
    }
    return 0;
}

bool xl_utf8_valid(const char *text)
{
    const unsigned char *s = (const unsigned char *)text;
    size_t n;

    while (*s) {
        n = *s < 0x80 ? 1 : utf8_length(s);
        if (!n) return false;
        s += n;
    }
    return true;
}

/* Bytes at s that may go to a terminal; 0: this byte may not. U+0080..U+009F
 * and U+202A..U+202E, U+2066..U+2069 steer terminals or turn text around. */
static size_t harmless(const unsigned char *s)
{
    size_t n;

    if (*s < 0x80)
        return *s >= 0x20 && *s != 0x7f;
    n = utf8_length(s);
    if (n == 2 && s[0] == 0xc2 && s[1] < 0xa0)
        return 0;
    if (n == 3 && s[0] == 0xe2 &&
        ((s[1] == 0x80 && s[2] >= 0xaa && s[2] <= 0xae) ||
         (s[1] == 0x81 && s[2] >= 0xa6 && s[2] <= 0xa9)))
        return 0;
    return n;
}

char *xl_clean(const char *text)
{
    const unsigned char *s = (const unsigned char *)text;
    struct snap_text t = { 0 };
    size_t n;

    snap_text_add(&t, "%s", "");
    while (*s) {
        n = harmless(s);
        if (n) {
            snap_text_add_bytes(&t, s, n);
            s += n;
        } else {
            snap_text_add(&t, "\\x%02x", *s++);
        }
    }
    return t.data;
}

char *xl_shell_quote(const char *word)
{
    struct snap_text t = { 0 };
    size_t plain = strspn(word, "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                          "abcdefghijklmnopqrstuvwxyz0123456789"
                          "_@%+=:,./-");

    if (*word && !word[plain])
        return snap_strdup(word);
    snap_text_add(&t, "'");
    for (; *word; word++) {
        if (*word == '\'')
            snap_text_add(&t, "'\\''");
        else
            snap_text_add_bytes(&t, word, 1);
    }
    snap_text_add(&t, "'");
    return t.data;
}

char *xl_absolute(const char *path)
{
    AUTO_FREE char *cwd = NULL;

    if (path[0] == '/')
        return snap_strdup(path);
    while (path[0] == '.' && path[1] == '/') {
        path += 2;
        path += strspn(path, "/");
    }
    cwd = getcwd(NULL, 0);
    if (!*path || !strcmp(path, "."))
        return snap_strdup(cwd ? cwd : "/");
    return snap_printf("%s/%s", cwd && cwd[1] ? cwd : "", path);
}

void xl_wrap(FILE *f, const char *text, int column, int indent)
{
    bool first = true;

    while (*text) {
        int n = (int)strcspn(text, " ");

        if (!first && column + 1 + n > COLUMNS) {
            fprintf(f, "\n%*s", indent, "");
            column = indent;
        } else if (!first) {
            putc(' ', f);
            column++;
        }
        fprintf(f, "%.*s", n, text);
        column += n;
        first = false;
        text += n;
        text += strspn(text, " ");
    }
    putc('\n', f);
}

/* ---- messages -------------------------------------------------------- */

void xl_put_line(FILE *f, const char *text)
{
    if (isatty(fileno(f)))
        xl_wrap(f, text, 0, 4);
    else
        fprintf(f, "%s\n", text);
}

static void put_message(const char *text)
{
    AUTO_FREE char *clean = xl_clean(text);

    xl_put_line(stderr, clean);
}

void xl_message(const char *fmt, ...)
{
    AUTO_FREE char *text = NULL;
    va_list ap;

    va_start(ap, fmt);
    text = snap_vprintf(fmt, ap);
    va_end(ap);
    put_message(text);
}

void xl_note(const struct xl_request *rq, const char *fmt, ...)
{
    AUTO_FREE char *text = NULL;
    va_list ap;

    if (xl_given(rq, OPT_QUIET)) return;
    va_start(ap, fmt);
    text = snap_vprintf(fmt, ap);
    va_end(ap);
    put_message(text);
}

static void print_error_json(int status, const char *hint, const char *text)
{
    struct snap_json *o = snap_json_new_object();
    AUTO_FREE char *why = xl_json_text(text);
    AUTO_FREE char *command = xl_json_text(hint);

    snap_json_set_str(o, "error", why);
    snap_json_set_int(o, "exit", status);
    snap_json_set_str(o, "hint", command);
    xl_print_json(o);
}

int xl_fail(const struct xl_request *rq, int status, const char *hint,
            const char *fmt, ...)
{
    AUTO_FREE char *text = NULL;
    va_list ap;

    va_start(ap, fmt);
    text = snap_vprintf(fmt, ap);
    va_end(ap);

    xl_message("Error: %s", text);
    if (status == XL_UNDONE)
        xl_message("All of it was undone.");
    if (status == XL_NOT_WHOLE)
        xl_message("This is not whole: %s", hint
                   ? "run the following command to finish it."
                   : "look at the domain with xl snapshot-recover.");
    if (hint) {
        /* On a line of its own and unbroken: it is there to be pasted. */
        AUTO_FREE char *clean = xl_clean(hint);

        fprintf(stderr, "    %s\n", clean);
    }
    if (xl_given(rq, OPT_JSON))
        print_error_json(status, hint, text);
    return status;
}

int xl_fail_usage(const char *command, bool json, const char *why)
{
    xl_message("Error: %s", why);
    xl_message("'xl %s --help' shows the options.", command);
    if (json)
        print_error_json(XL_USAGE, NULL, why);
    return XL_USAGE;
}

/* ---- JSON ------------------------------------------------------------ */

char *xl_json_text(const char *s)
{
    if (!s) return NULL;
    return xl_utf8_valid(s) ? snap_strdup(s) : xl_clean(s);
}

void xl_print_json(struct snap_json *object)
{
    AUTO_FREE char *text = snap_json_print_pretty(object);

    fputs(text, stdout);
    snap_json_free(object);
}

struct snap_json *xl_strings_json(const struct snap_strings *l)
{
    struct snap_json *a = snap_json_new_array();
    size_t i;

    for (i = 0; i < l->len; i++) {
        AUTO_FREE char *text = xl_json_text(l->data[i]);

        snap_json_append(a, snap_json_new_str(text));
    }
    return a;
}
