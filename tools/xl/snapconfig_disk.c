/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * One item of disk= in a SNAPSHOT-CONFIG: words and what they say together.
 * See snapconfig.h.
 */
#include <string.h>

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

/* "vdev=xvda,type=external,target=/a path, with commas" */
static int parse_words(struct snap_ctx *sc, const char *where, const char *s,
                       struct xl_config_disk *d)
{
    int rc;

    while (*s) {
        bool rest = !strncmp(s, "target=", 7) || !strncmp(s, "parent=", 7);
        size_t n = rest ? strlen(s) : strcspn(s, ",");
        AUTO_FREE char *word = snap_strndup(s, n);
        char *value = strchr(word, '=');

        if (value) *value++ = 0;
        rc = disk_word(sc, where, word, value, d);
        if (rc) return rc;
        s += n;
        if (*s) s++;
        s += strspn(s, " \t");
    }
    return 0;
}

/* "path,format,vdev", as in mails of 2014: the path may be empty. */
static int parse_positional(struct snap_ctx *sc, const char *where,
                            const char *s, struct xl_config_disk *d)
{
    const char *vdev = strrchr(s, ',');
    const char *format = vdev;

    while (format > s && format[-1] != ',')
        format--;
    if (!vdev || format == s || !vdev[1])
        return snap_fail(sc, ERROR_INVAL, "%s: write it as vdev=xvda,"
                         "type=external,target=/path", where);
    d->positional = true;
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
    size_t first = strcspn(item, ",");
    int rc;

    /* Only the first field tells: a path may have a '=' further on. */
    if (memchr(item, '=', first) || !strncmp(item, "exclude", first))
        rc = first ? parse_words(sc, where, item, d)
                   : parse_positional(sc, where, item, d);
    else
        rc = parse_positional(sc, where, item, d);
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
