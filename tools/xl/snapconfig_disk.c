/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * One item of disk= in a SNAPSHOT-CONFIG: words and what they say together.
 * See snapconfig.h.
 */
#include <string.h>

#include "options.h"
#include "snapconfig.h"

int xl_config_parse_type(struct snap_ctx *sc, const char *where,
                         const char *text, enum xl_config_type *out)
{
    if (!strcmp(text, "internal"))
        *out = XL_TYPE_INTERNAL;
    else if (!strcmp(text, "external"))
        *out = XL_TYPE_EXTERNAL;
    else
        return snap_fail(sc, ERROR_INVAL, "%s: type is internal or "
                         "external, not '%s'", where, text);
    return 0;
}

/* One "key=value" of a disk item; `value` is NULL for a word alone. */
static int disk_word(struct snap_ctx *sc, const char *where, const char *key,
                     const char *value, struct xl_config_disk *d)
{
    char **text = !strcmp(key, "vdev") ? &d->vdev
        : !strcmp(key, "format") ? &d->format
        : !strcmp(key, "tag") ? &d->tag
        : !strcmp(key, "target") ? &d->target
        : !strcmp(key, "parent") ? &d->parent : NULL;

    if (!strcmp(key, "exclude") && !value) {
        d->exclude = true;
        return 0;
    }
    if (!text && strcmp(key, "type"))
        return snap_fail(sc, ERROR_INVAL, "%s: unknown word '%s'; there are "
                         "vdev= type= format= tag= exclude, and target= or "
                         "parent= at the end", where, key);
    if (!value || !*value)
        return snap_fail(sc, ERROR_INVAL, "%s: %s= wants a value", where,
                         key);
    if (!text)
        return d->type ? snap_fail(sc, ERROR_INVAL, "%s: type= is given "
                                   "twice", where)
                       : xl_config_parse_type(sc, where, value, &d->type);
    if (*text)
        return snap_fail(sc, ERROR_INVAL, "%s: %s= is given twice", where,
                         key);
    *text = snap_strdup(value);
    return 0;
}

/* Words without a key have these, in this order. */
static const char *const places[] = { "vdev", "type", "format", "target" };
enum { AT_VDEV, AT_TYPE, AT_FORMAT, AT_TARGET, NPLACES };

/* As in xl's disk specifications: a '=' further on is a path's. */
static bool has_key(const char *s)
{
    size_t n = strspn(s, "abcdefghijklmnopqrstuvwxyz");

    return n && s[n] == '=';
}

static bool fits(size_t place, const char *word)
{
    switch (place) {
    case AT_VDEV:
        return xl_vdev_plausible(word);
    case AT_TYPE:
        return !strcmp(word, "internal") || !strcmp(word, "external");
    case AT_FORMAT:
        return !strchr(word, '/');
    default:
        return *word;
    }
}

static int placed_word(struct snap_ctx *sc, const char *where, size_t place,
                       const char *word, struct xl_config_disk *d)
{
    if (!fits(place, word))
        return snap_fail(sc, ERROR_INVAL, "%s: '%s' cannot be the %s; words "
                         "without a key are vdev,type,format,target in this "
                         "order", where, word, places[place]);
    if (!*word) return 0;       /* the usual format */
    return disk_word(sc, where, places[place], word, d);
}

static bool is_exclude(const char *s)
{
    size_t n = strlen("exclude");

    return !strncmp(s, "exclude", n) && (!s[n] || s[n] == ',');
}

/* "xvda,external,qcow2,target=/a path, with commas", or with more keys, or
 * with none: words without a key come before those with one. */
static int parse_words(struct snap_ctx *sc, const char *where, const char *s,
                       struct xl_config_disk *d)
{
    size_t place = AT_VDEV;
    int rc;

    while (*s) {
        bool alone = is_exclude(s), key = has_key(s);
        bool rest = !strncmp(s, "target=", 7) || !strncmp(s, "parent=", 7) ||
            (place == AT_TARGET && !alone && !key);
        size_t n = rest ? strlen(s) : strcspn(s, ",");
        AUTO_FREE char *word = snap_strndup(s, n);

        if (key) place = NPLACES;
        if (!alone && place < NPLACES) {
            rc = placed_word(sc, where, place++, word, d);
        } else {
            char *value = strchr(word, '=');

            if (value) *value++ = 0;
            rc = disk_word(sc, where, word, value, d);
        }
        if (rc) return rc;
        s += n;
        if (*s) s++;
        s += strspn(s, " \t");
    }
    return 0;
}

/* "path,format,vdev", as in mails of 2014: the path may be empty. */
static int parse_path_first(struct snap_ctx *sc, const char *where,
                            const char *s, struct xl_config_disk *d)
{
    const char *vdev = strrchr(s, ',');
    const char *format = vdev;

    while (format > s && format[-1] != ',')
        format--;
    if (!vdev || format == s || !vdev[1])
        return snap_fail(sc, ERROR_INVAL, "%s: write it as vdev,type,"
                         "format,target: xvda,external,qcow2,/path", where);
    d->path_first = true;
    d->vdev = snap_strdup(vdev + 1);
    if (vdev > format)
        d->format = snap_strndup(format, (size_t)(vdev - format));
    if (format - s > 1)
        d->target = snap_strndup(s, (size_t)(format - s) - 1);
    d->type = d->target ? XL_TYPE_EXTERNAL : XL_TYPE_INTERNAL;
    return 0;
}

int xl_config_parse_disk(struct snap_ctx *sc, const char *path,
                         const char *item, struct xl_config_disk *d)
{
    AUTO_FREE char *where = snap_printf("%s: disk '%s'", path, item);
    AUTO_FREE char *first = snap_strndup(item, strcspn(item, ","));
    int rc;

    if (has_key(first) || is_exclude(first) || xl_vdev_plausible(first))
        rc = parse_words(sc, where, item, d);
    else
        rc = parse_path_first(sc, where, item, d);
    if (rc) return rc;
    if (!d->vdev)
        return snap_fail(sc, ERROR_INVAL, "%s: vdev= is missing", where);
    if (d->exclude && (d->type || d->target || d->parent || d->tag))
        return snap_fail(sc, ERROR_INVAL, "%s: exclude leaves the disk out, "
                         "so nothing else can be said about it", where);
    if (d->type == XL_TYPE_INTERNAL && (d->target || d->parent))
        return snap_fail(sc, ERROR_INVAL, "%s: an internal snapshot has no "
                         "%s=", where, d->target ? "target" : "parent");
    if (d->tag && (d->type == XL_TYPE_EXTERNAL || d->parent || d->target))
        return snap_fail(sc, ERROR_INVAL, "%s: an external snapshot has no "
                         "tag=", where);
    if (d->target && d->parent)
        return snap_fail(sc, ERROR_INVAL, "%s: target= and parent= do not "
                         "go together", where);
    return 0;
}
