/* SPDX-License-Identifier: LGPL-2.1-only */
/* One entry of a disk= list with another image.  See cfgentry.h. */
#include "cfgentry.h"

#include <string.h>

/* ---- the words of an entry ------------------------------------------- */

enum word_kind { WORD_KEY, WORD_FLAG, WORD_PLAIN };

/* Between two commas; target= takes the rest. */
struct word {
    enum word_kind kind;
    const char *s;              /* without blanks before it */
    size_t len;
    const char *value;          /* WORD_KEY: behind the '='; else s */
};

static bool is_flag(const char *s, size_t len)
{
    static const char *const flags[] = {
        "discard", "no-discard", "direct-io-safe", "colo",
    };
    size_t i;

    for (i = 0; i < sizeof(flags) / sizeof(flags[0]); i++)
        if (len == strlen(flags[i]) && !memcmp(s, flags[i], len))
            return true;
    return false;
}

/* The word at *at, which moves behind its comma; false: there is none. */
static bool next_word(const char **at, struct word *w)
{
    const char *s = *at + strspn(*at, " \t"), *equals;

    if (!*s) return false;
    w->s = s;
    w->len = strncmp(s, "target=", 7) ? strcspn(s, ",") : strlen(s);
    equals = memchr(s, '=', w->len);
    w->kind = equals ? WORD_KEY : is_flag(s, w->len) ? WORD_FLAG : WORD_PLAIN;
    w->value = equals ? equals + 1 : s;
    *at = s + w->len + (s[w->len] == ',');
    return true;
}

static bool has_key(const struct word *w, const char *key)
{
    size_t n = strlen(key);

    return w->kind == WORD_KEY && (size_t)(w->value - w->s) == n + 1 &&
        !memcmp(w->s, key, n);
}

/* ---- two ways to say it ---------------------------------------------- */

/* The image is named at the end of the word: a prefix, as in phy:/dev/x, may
 * stand before it. */
static bool put_target(struct snap_text *t, const struct word *w,
                       const char *old, const char *new)
{
    size_t n = strlen(old);

    if (!n || n > w->len || memcmp(w->s + w->len - n, old, n))
        return false;
    snap_text_add(t, "%.*s%s", (int)(w->len - n), w->s, new);
    return true;
}

/* In place. Positional words are the image, the format, the vdev... NULL: the
 * image is not where it is expected. `format`: NULL: it stays. */
static char *change_words(const char *spec, const char *old_target,
                          const char *target, const char *format)
{
    struct snap_text t = { 0 };
    const char *at = spec, *done = spec;
    struct word w;
    int plain = 0;
    bool found = false;

    while (next_word(&at, &w)) {
        bool first = w.kind == WORD_PLAIN && !plain;
        bool second = w.kind == WORD_PLAIN && plain == 1;

        plain += w.kind == WORD_PLAIN;
        snap_text_add_bytes(&t, done, (size_t)(w.s - done));
        done = w.s + w.len;
        if (has_key(&w, "target") || first) {
            found |= put_target(&t, &w, old_target, target);
        } else if (format && (has_key(&w, "format") || second)) {
            snap_text_add(&t, "%.*s%s", (int)(w.value - w.s), w.s, format);
            format = NULL;
        } else {
            snap_text_add_bytes(&t, w.s, w.len);
        }
    }
    snap_text_add(&t, "%s", done);
    if (found && !format) return t.data;
    if (found) {
        char *with = snap_printf("format=%s,%s", format, t.data);

        free(t.data);
        return with;
    }
    free(t.data);
    return NULL;
}

/* All of it by keys; what is not about the image is taken over. */
static char *say_by_keys(const struct xl_cfg_disk *old, const char *target,
                         const char *format)
{
    struct snap_text t = { 0 };
    const char *at = old->spec;
    struct word w;

    snap_text_add(&t, "format=%s,vdev=%s,access=rw", format, old->d.vdev);
    while (next_word(&at, &w))
        if (w.kind == WORD_FLAG ||
            (w.kind == WORD_KEY && !has_key(&w, "format") &&
             !has_key(&w, "vdev") && !has_key(&w, "access") &&
             !has_key(&w, "target")))
            snap_text_add(&t, ",%.*s", (int)w.len, w.s);
    snap_text_add(&t, ",target=%s", target);
    return t.data;
}

/* ---- the change ------------------------------------------------------ */

static bool says(const struct xl_cfg *c, const char *spec, const char *wanted)
{
    struct snap_ctx quiet = SNAP_CTX_INIT;
    libxl_device_disk d;
    bool same = false;

    if (!xl_cfg_disk_parse(&quiet, c, spec, &d)) {
        AUTO_FREE char *settings = xl_cfg_disk_settings(&d);

        same = !strcmp(settings, wanted);
    }
    libxl_device_disk_dispose(&d);
    snap_ctx_dispose(&quiet);
    return same;
}

/* What libxlutil is to make of the new entry. */
static char *wanted_settings(const struct xl_cfg_disk *old,
                             const struct snap_spec *want,
                             libxl_disk_format format)
{
    libxl_device_disk d = old->d;

    d.pdev_path = want->target;
    d.format = format;
    return xl_cfg_disk_settings(&d);
}

/* Can the path stand in a string with that quote, as it is? */
static bool fits(const char *path, char quote)
{
    for (; *path; path++)
        if (*path == quote || *path == '\\' || (unsigned char)*path < ' ' ||
            *path == 0x7f)
            return false;
    return true;
}

static int no_way(struct snap_ctx *sc, const struct xl_cfg *c,
                  const struct xl_cfg_disk *old, const struct snap_spec *want)
{
    return snap_fail(sc, ERROR_INVAL, "%s: disk '%s' cannot be changed to "
                     "'%s' there", c->path, old->d.vdev, want->target);
}

int xl_cfg_entry_change(struct snap_ctx *sc, const struct xl_cfg *c,
                        const struct xl_cfg_disk *old,
                        const struct snap_spec *want, char quote,
                        char **out)
{
    const char *was = old->d.pdev_path ? old->d.pdev_path : "";
    libxl_disk_format format = old->d.format;
    AUTO_FREE char *wanted = NULL;
    bool new_format;

    *out = NULL;
    if (!old->d.readwrite)
        return snap_fail(sc, ERROR_INVAL, "%s: disk '%s' is read-only there, "
                         "but the domain writes it", c->path, old->d.vdev);
    if ((want->format && libxl_disk_format_from_string(want->format,
                                                       &format)) ||
        !fits(want->target, quote))
        return no_way(sc, c, old, want);
    new_format = format != old->d.format;
    if (!new_format && !strcmp(was, want->target)) return 0;

    wanted = wanted_settings(old, want, format);
    *out = change_words(old->spec, was, want->target,
                        new_format ? want->format : NULL);
    if (*out && says(c, *out, wanted)) return 0;
    free(*out);
    *out = say_by_keys(old, want->target,
                       libxl_disk_format_to_string(format));
    if (says(c, *out, wanted)) return 0;
    free(*out);
    *out = NULL;
    return no_way(sc, c, old, want);
}
