/* SPDX-License-Identifier: LGPL-2.1-only */
/* Text in xl.cfg syntax.  See cfgtext.h. */
#include "cfgtext.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

/* ---- the parser ------------------------------------------------------ */

int xl_cfg_fail(struct snap_ctx *sc, const struct xl_cfg *c,
                const char *otherwise)
{
    AUTO_FREE char *report = NULL;
    char *nl;

    if (c->reports) fflush(c->reports);
    if (!c->report || !*c->report)
        return snap_fail(sc, ERROR_INVAL, "%s: %s", c->path, otherwise);
    report = snap_strdup(c->report);
    while ((nl = strchr(report, '\n')))
        *nl = nl[1] ? ';' : 0;
    return snap_fail(sc, ERROR_INVAL, "%s", report);
}

int xl_cfg_open(struct snap_ctx *sc, const char *path, const char *text,
                size_t len, struct xl_cfg *out)
{
    memset(out, 0, sizeof(*out));
    out->path = path;
    if (len > XL_CFG_MAX_BYTES || memchr(text, 0, len))
        return snap_fail(sc, ERROR_INVAL, "%s: this is not a text file in "
                         "xl.cfg syntax", path);
    out->reports = open_memstream(&out->report, &out->report_len);
    if (!out->reports)
        return snap_fail_errno(sc, errno, "reading %s", path);
    out->xlu = xlu_cfg_init(out->reports, path);
    if (!out->xlu || xlu_cfg_readdata(out->xlu, text, (int)len))
        return xl_cfg_fail(sc, out, "not in xl.cfg syntax");
    return 0;
}

void xl_cfg_close(struct xl_cfg *c)
{
    if (c->xlu) xlu_cfg_destroy(c->xlu);    /* it writes to the reports */
    if (c->reports) fclose(c->reports);
    free(c->report);
    memset(c, 0, sizeof(*c));
}

/* ---- the settings ---------------------------------------------------- */

/* The text has passed libxlutil's parser; this only has to step over values:
 * numbers, quoted strings, lists. */
const char *xl_cfg_skip_blank(const char *s)
{
    for (;;) {
        s += strspn(s, " \t\r\n;");
        if (*s != '#') return s;
        s += strcspn(s, "\n");
    }
}

const char *xl_cfg_skip_string(const char *s)
{
    char quote = *s++;

    while (*s && *s != quote)
        s += *s == '\\' && s[1] ? 2 : 1;
    return *s ? s + 1 : s;
}

static const char *skip_value(const char *s)
{
    int depth = 0;

    for (;;) {
        if (depth) s = xl_cfg_skip_blank(s);
        if (!*s) return s;
        if (*s == '"' || *s == '\'') {
            s = xl_cfg_skip_string(s);
            continue;
        }
        if (!depth && strchr("\n;#", *s)) return s;
        if (*s == '[') depth++;
        if (*s == ']' && depth) depth--;
        s++;
    }
}

int xl_cfg_next(struct snap_ctx *sc, const char *path, const char **at,
                struct xl_cfg_setting *out)
{
    const char *s = xl_cfg_skip_blank(*at);

    *at = s;
    if (!*s) return 0;
    out->key = s;
    while (isalnum((unsigned char)*s) || *s == '_') s++;
    out->key_len = (size_t)(s - out->key);
    s += strspn(s, " \t");
    if (!out->key_len || (*s != '=' && *s != '+'))
        return snap_fail(sc, ERROR_INVAL, "%s: a setting 'key = value' is "
                         "expected at '%.20s'", path, out->key);
    out->adds = *s == '+';
    out->value = s + strspn(s, "+= \t");
    *at = skip_value(out->value);
    return 1;
}
