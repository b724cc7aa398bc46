/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * Editing the disk= list of an xl.cfg.  libxlutil says what is in the list,
 * cfgtext.c where that stands; when the two do not agree byte for byte,
 * nothing is changed.  Neither is it when the new text, read again, differs in
 * more than was wanted.  See cfgedit.h.
 */
#include "cfgedit.h"

#include <string.h>

#include "cfgentry.h"

struct edit {
    struct snap_ctx *sc;
    struct xl_cfg cfg;
    struct xl_cfg_disks disks;
    const char **at;            /* the string of each disk: its quote */
    const char *text;
    size_t len;
};

void xl_cfg_edit_dispose(struct xl_cfg_edit *e)
{
    free(e->text);
    snap_strings_dispose(&e->old);
    snap_strings_dispose(&e->new);
    memset(e, 0, sizeof(*e));
}

/* ---- where the list is ----------------------------------------------- */

static bool is_key(const struct xl_cfg_setting *s, const char *key)
{
    return s->key_len == strlen(key) && !memcmp(s->key, key, s->key_len);
}

/* *list: the value of the only setting of disk; NULL: there is none. */
static int find_list(const struct edit *e, const char **list)
{
    const char *path = e->cfg.path, *at = e->text;
    struct xl_cfg_setting s;
    int rc;

    *list = NULL;
    while ((rc = xl_cfg_next(e->sc, path, &at, &s)) > 0) {
        if (!is_key(&s, "disk")) continue;
        if (s.adds)
            return snap_fail(e->sc, ERROR_INVAL, "%s: the disk list is made "
                             "with '+='; write it as one list", path);
        if (*list)
            return snap_fail(e->sc, ERROR_INVAL, "%s: disk is set twice; "
                             "remove the one that xl does not use, the first",
                             path);
        *list = s.value;
    }
    return rc;
}

/* A disk's string is at `s`: is it as libxlutil has it? */
static bool is_spec(const char *s, const char *spec)
{
    size_t n = strlen(spec);

    return xl_cfg_skip_string(s) == s + n + 2 && !memcmp(s + 1, spec, n) &&
        !strchr(spec, '\\');
}

static int find_entries(struct edit *e)
{
    const char *s;
    size_t i;
    int rc;

    e->at = snap_zalloc((e->disks.len + 1) * sizeof(*e->at));
    rc = find_list(e, &s);
    if (rc || !s) return rc;
    s = xl_cfg_skip_blank(s + (*s == '['));
    for (i = 0; i < e->disks.len; i++) {
        if ((*s != '\'' && *s != '"') || !is_spec(s, e->disks.data[i].spec))
            return snap_fail(e->sc, ERROR_INVAL, "%s: disk '%s' is not a "
                             "plain string there; write it without "
                             "backslashes", e->cfg.path,
                             e->disks.data[i].d.vdev);
        e->at[i] = s;
        s = xl_cfg_skip_blank(xl_cfg_skip_string(s));
        if (*s == ',') s = xl_cfg_skip_blank(s + 1);
    }
    if (*s != ']')
        return snap_fail(e->sc, ERROR_INVAL, "%s: the disk list does not end "
                         "where it should", e->cfg.path);
    return 0;
}

static int look(struct edit *e, const char *domain)
{
    int rc;

    rc = xl_cfg_disks_read(e->sc, &e->cfg, &e->disks);
    if (rc) return rc;
    if (strcmp(e->disks.name, domain))
        return snap_fail(e->sc, ERROR_INVAL, "%s: this is the configuration "
                         "of domain '%s', not of '%s'", e->cfg.path,
                         e->disks.name, domain);
    return find_entries(e);
}

/* ---- the new text ---------------------------------------------------- */

/* The entry for a spec, as changes[its place]; NULL stays where nothing has to
 * change. */
/* `instead`: the target that it must have now; NULL: any. */
static int change(const struct edit *e, const char *text, const char *instead,
                  char **changes)
{
    const struct xl_cfg_disk *d;
    struct snap_spec spec;
    size_t i;
    int rc;

    rc = snap_spec_parse(e->sc, text, &spec);
    if (rc) return rc;
    d = xl_cfg_disks_find(&e->disks, spec.vdev);
    if (!d) {
        rc = snap_fail(e->sc, ERROR_INVAL, "%s: there is no disk '%s'",
                       e->cfg.path, spec.vdev);
    } else if (!instead || (d->d.pdev_path
                            && !strcmp(d->d.pdev_path, instead))) {
        i = (size_t)(d - e->disks.data);
        free(changes[i]);
        rc = xl_cfg_entry_change(e->sc, &e->cfg, d, &spec, *e->at[i],
                                 &changes[i]);
    }
    snap_spec_dispose(&spec);
    return rc;
}

/* Text NULL: nothing changes. */
static void put_together(const struct edit *e, char *const *changes,
                         struct xl_cfg_edit *out)
{
    const char *done = e->text;
    struct snap_text t = { 0 };
    size_t i;

    for (i = 0; i < e->disks.len; i++) {
        if (!changes[i]) continue;
        snap_text_add_bytes(&t, done, (size_t)(e->at[i] + 1 - done));
        snap_text_add(&t, "%s", changes[i]);
        done = xl_cfg_skip_string(e->at[i]) - 1;
    }
    if (t.len)
        snap_text_add_bytes(&t, done, (size_t)(e->text + e->len - done));
    out->text = t.data;
    out->len = t.len;
}

/* A change adds no line and removes none. */
static void list_lines(const char *old, const char *new,
                       struct xl_cfg_edit *out)
{
    while (*old || *new) {
        size_t n = strcspn(old, "\n"), m = strcspn(new, "\n");

        if (n != m || memcmp(old, new, n)) {
            snap_strings_take(&out->old, snap_strndup(old, n));
            snap_strings_take(&out->new, snap_strndup(new, m));
        }
        old += n + !!old[n];
        new += m + !!new[m];
    }
}

/* ---- read again ------------------------------------------------------ */

static bool same_string(const char *a, const char *b)
{
    return a && b ? !strcmp(a, b) : a == b;
}

static bool same_list(const struct edit *e, const struct xl_cfg *new,
                      const char *key)
{
    XLU_ConfigList *a, *b;
    int i, n, m;

    if (xlu_cfg_get_list(e->cfg.xlu, key, &a, &n, 1) ||
        xlu_cfg_get_list(new->xlu, key, &b, &m, 1) || n != m)
        return false;
    for (i = 0; i < n; i++)
        if (!same_string(xlu_cfg_get_listitem(a, i),
                         xlu_cfg_get_listitem(b, i)))
            return false;
    return true;
}

/* A setting other than disk. Lists in a list are not looked into. */
static bool same_value(const struct edit *e, const struct xl_cfg *new,
                       const char *key)
{
    const char *a, *b;

    if (!xlu_cfg_get_string(e->cfg.xlu, key, &a, 1))
        return !xlu_cfg_get_string(new->xlu, key, &b, 1) &&
            !strcmp(a, b);
    return same_list(e, new, key);
}

static bool same_settings(const struct edit *e, const struct xl_cfg *new,
                          const char *text)
{
    const char *old_at = e->text, *new_at = text;
    struct xl_cfg_setting old, now;

    while (xl_cfg_next(e->sc, e->cfg.path, &old_at, &old) > 0) {
        AUTO_FREE char *key = snap_strndup(old.key, old.key_len);

        if (xl_cfg_next(e->sc, e->cfg.path, &new_at, &now) <= 0 ||
            !is_key(&now, key) ||
            (strcmp(key, "disk") && !same_value(e, new, key)))
            return false;
    }
    return !*xl_cfg_skip_blank(new_at);
}

/* The list has what was wanted, and what was there. */
static bool same_disks(const struct edit *e, const struct xl_cfg_disks *new,
                       char *const *changes)
{
    size_t i;

    if (new->len != e->disks.len) return false;
    for (i = 0; i < new->len; i++)
        if (strcmp(new->data[i].spec, changes[i] ? changes[i]
                                                 : e->disks.data[i].spec))
            return false;
    return true;
}

static int read_again(const struct edit *e, char *const *changes,
                      const struct xl_cfg_edit *out)
{
    struct xl_cfg_disks disks = { 0 };
    struct xl_cfg cfg;
    int rc;

    rc = xl_cfg_open(e->sc, e->cfg.path, out->text, out->len, &cfg);
    if (!rc) rc = xl_cfg_disks_read(e->sc, &cfg, &disks);
    if (!rc && (!same_disks(e, &disks, changes) ||
                !same_settings(e, &cfg, out->text)))
        rc = snap_fail(e->sc, ERROR_INVAL, "%s: with the disks changed it "
                       "would not say the same otherwise", e->cfg.path);
    xl_cfg_disks_dispose(&disks);
    xl_cfg_close(&cfg);
    return rc;
}

/* ---- all of it ------------------------------------------------------- */

static int make_edit(struct edit *e, const struct snap_strings *specs,
                     const struct snap_strings *instead,
                     struct xl_cfg_edit *out)
{
    char **changes = snap_zalloc((e->disks.len + 1) * sizeof(*changes));
    size_t i;
    int rc = 0;

    for (i = 0; !rc && i < specs->len; i++)
        rc = change(e, specs->data[i], instead && instead->len
                    ? instead->data[i] : NULL,
                    changes);
    if (!rc) put_together(e, changes, out);
    if (!rc && out->text) rc = read_again(e, changes, out);
    if (!rc && out->text) list_lines(e->text, out->text, out);
    for (i = 0; i < e->disks.len; i++)
        free(changes[i]);
    free(changes);
    return rc;
}

int xl_cfg_edit(struct snap_ctx *sc, const char *path, const char *domain,
                const char *text, size_t len,
                const struct snap_strings *specs,
                const struct snap_strings *instead, struct xl_cfg_edit *out)
{
    struct edit e = { .sc = sc, .text = text, .len = len };
    int rc;

    memset(out, 0, sizeof(*out));
    rc = xl_cfg_open(sc, path, text, len, &e.cfg);
    if (!rc) rc = look(&e, domain);
    if (!rc) rc = make_edit(&e, specs, instead, out);
    if (rc) xl_cfg_edit_dispose(out);
    xl_cfg_disks_dispose(&e.disks);
    xl_cfg_close(&e.cfg);
    free(e.at);
    return rc;
}
