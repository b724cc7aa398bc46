/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * Repairing names: of a snapshot whose directory was renamed, and of a parent
 * that is not there.
 */
#include <stdlib.h>
#include <string.h>

#include "host/dependents.h"
#include "host/lineage.h"
#include "host/place.h"
#include "op/repair.h"
#include "plan/tree.h"

/* The snapshot, the first, and those that it may call its parent: what is
 * beside it, and what is in the domain's directory. */
struct family {
    bool at_home;               /* it is there, too */
    struct snap_tree_node *nodes;
    const char **directories;
    size_t len;
};

static const char *name_of(const char *directory)
{
    return strrchr(directory, '/') + 1;
}

static void add(struct family *f, const libxl_snapshot_set *set)
{
    f->nodes[f->len] = (struct snap_tree_node){
        .name = name_of(set->directory), .m = &set->manifest,
    };
    f->directories[f->len++] = set->directory;
}

static void gather(const struct snap_repair *r, struct family *f)
{
    const libxl_snapshot_repair_params *p = r->p;
    AUTO_FREE char *above = snap_path_parent_of(r->set.directory);
    AUTO_FREE char *named = p->current_path
                            ? snap_path_parent_of(p->current_path) : NULL;
    AUTO_FREE char *home = named ? realpath(named, NULL) : NULL;
    size_t i;

    f->at_home = home && !strcmp(home, above);
    f->nodes = snap_zalloc((p->nothers + 1) * sizeof(*f->nodes));
    f->directories = snap_zalloc((p->nothers + 1) * sizeof(*f->directories));
    add(f, &r->set);
    for (i = 0; i < p->nothers; i++) {
        const char *other = p->others[i].directory;
        AUTO_FREE char *dir = other ? snap_path_parent_of(other) : NULL;

        if (dir && (!strcmp(dir, above) || (home && !strcmp(dir, home))))
            add(f, &p->others[i]);
    }
}

/* Does one of them go by that name, from number `from` on? */
static bool is_called(const struct family *f, size_t from, const char *name)
{
    size_t i;

    for (i = from; i < f->len; i++)
        if (!strcmp(f->nodes[i].name, name)
            || !strcmp(f->nodes[i].m->name, name))
            return true;
    return false;
}

/* ---- changes ----------------------------------------------------- */

static int relink(struct snap_act *a, const struct snap_mend *m)
{
    struct snap_step s = { .kind = STEP_RELINK };
    int rc;

    snap_step_arg(&s, "path", m->path);
    snap_step_arg(&s, "instead-of", m->from);
    snap_step_arg(&s, "parent", m->to);
    rc = snap_step_relink.apply(a, &s);
    snap_strings_dispose(&s.args);
    return rc;
}

/* To the step it is a hint, and a failure a note. */
static int change_current(struct snap_act *a, const struct snap_mend *m)
{
    struct snap_step s = { .kind = STEP_CURRENT };
    struct snap_strings notes = { 0 };
    int rc;

    snap_step_arg(&s, "path", m->path);
    snap_step_arg(&s, "name", m->to);
    a->notes = &notes;
    rc = snap_step_current.apply(a, &s);
    a->notes = NULL;
    if (!rc && notes.len)
        rc = snap_fail(a->sc, ERROR_FAIL, "%s", notes.data[0]);
    snap_strings_dispose(&s.args);
    snap_strings_dispose(&notes);
    return rc;
}

static int change_name(struct snap_act *a, struct snap_manifest *m, void *arg)
{
    const struct snap_mend *mend = arg;

    (void)a;
    if (strcmp(m->name, mend->from)) return 0;
    free(m->name);
    m->name = snap_strdup(mend->to);
    return 1;
}

/* Fill in a mend: a path, where one name takes the place of another. */
static void rename_in(struct snap_mend *m, const char *path, const char *from,
                      const char *to)
{
    m->path = snap_strdup(path);
    m->from = snap_strdup(from);
    m->to = snap_strdup(to);
}

/* ---- the parent -------------------------------------------------- */

/* The number of the one that made this image as an overlay. */
static int find_maker(struct snap_repair *r, const struct family *f,
                      const char *path, size_t *maker)
{
    struct snap_fs_id id;
    bool same = false;
    size_t i, k;
    int rc = snap_fs_identify(r->sc, path, &id);

    for (i = 1; !rc && !same && i < f->len; i++) {
        const struct snap_manifest *m = f->nodes[i].m;

        for (k = 0; !rc && !same && k < m->ndisks; k++)
            if (m->disks[k].overlay)
                rc = snap_fs_compare(r->sc, m->disks[k].overlay, &id, &same);
        if (same) *maker = i;
    }
    free(id.real);
    return rc;
}

/* The nearest that made an image below the disk's, if that is there. */
static int find_below(struct snap_repair *r, const struct family *f,
                      const char *image, size_t *maker)
{
    struct snap_strings layers = { 0 };
    struct snap_fs_id ignored;
    bool there;
    size_t i;
    int rc = snap_fs_find(r->sc, image, &ignored, &there);

    *maker = SNAP_TREE_NONE;
    if (!rc && there) rc = snap_dependents_layers(r->sc, image, &layers);
    for (i = 0; !rc && *maker == SNAP_TREE_NONE && i < layers.len; i++)
        rc = find_maker(r, f, layers.data[i], maker);
    snap_strings_dispose(&layers);
    return rc;
}

static bool descends(const struct family *f, size_t node, size_t from)
{
    while (node != from && node != SNAP_TREE_NONE) node = f->nodes[node].parent;
    return node == from;
}

/* The images show the one before only if nothing between is gone; else what
 * they stand on shows an ancestor for each disk, of which the last counts. If
 * they are on different branches nothing is known. */
static int find_ancestor(struct snap_repair *r, const struct family *f,
                         size_t *found)
{
    const struct snap_manifest *m = &r->set.manifest;
    size_t i, maker;
    int rc = 0;

    for (i = 0; !rc && i < m->ndisks; i++) {
        if (m->disks[i].type != SNAP_DISK_EXTERNAL) continue;
        rc = find_below(r, f, m->disks[i].image, &maker);
        if (rc || maker == SNAP_TREE_NONE) continue;
        if (descends(f, maker, *found)) *found = maker;
        if (descends(f, *found, maker) && !descends(f, maker, 0)) continue;
        *found = SNAP_TREE_NONE;
        break;
    }
    return rc;
}

static int look_at_parent(struct snap_repair *r, struct family *f)
{
    const char *parent = r->set.manifest.parent, *found = NULL;
    struct snap_mend *m;
    size_t node;
    int rc;

    if (!parent || is_called(f, 0, parent)) return 0;
    if (r->p->unread) {
        snap_repair_add(r, "parent", snap_printf(
            "no snapshot that can be read is called '%s', but %s", parent,
            r->p->unread));
        return 0;
    }
    snap_tree_link(f->nodes, f->len);
    node = f->nodes[0].parent;
    rc = node == SNAP_TREE_NONE ? find_ancestor(r, f, &node) : 0;
    if (rc) return rc;
    if (node != SNAP_TREE_NONE) found = f->nodes[node].name;
    m = snap_repair_add(r, "parent", found
        ? snap_printf("no snapshot is called '%s'; the images show '%s'",
                      parent, found)
        : snap_printf("no snapshot is called '%s'; none is known then",
                      parent));
    m->act = relink;
    rename_in(m, r->set.directory, parent, found ? found : "");
    return 0;
}

/* ---- the name ---------------------------------------------------- */

/* Why its directory's name cannot be its name; NULL: it can. malloc'd. */
static char *not_its_name(const struct snap_repair *r, const struct family *f,
                          const char *name)
{
    size_t i;

    if (!snap_name_valid(name))
        return snap_strdup("which is no name for one: rename it");
    if (r->p->unread)
        return snap_printf("and whether others have it cannot be told: %s",
                           r->p->unread);
    for (i = 1; i < f->len; i++)
        if (!strcmp(f->nodes[i].m->name, name))
            return snap_printf("which the one in '%s' has in its manifest",
                               f->directories[i]);
    return NULL;
}

/* Who knows it by the old name has to know the new one first. */
static void look_who_names_it(struct snap_repair *r, const struct family *f,
                              const char *old, const char *name)
{
    const char *path = r->p->current_path;
    AUTO_FREE char *current = snap_lineage_name(path);
    struct snap_mend *m;
    size_t i;

    for (i = 1; i < f->len; i++) {
        const char *parent = f->nodes[i].m->parent;

        if (!parent || strcmp(parent, old)) continue;
        m = snap_repair_add(r, "name", snap_printf(
            "'%s', whose parent it is, calls it '%s'; '%s' instead",
            f->directories[i], old, name));
        m->act = relink;
        rename_in(m, f->directories[i], old, name);
    }
    if (!current || strcmp(current, old)) return;
    m = snap_repair_add(r, "name", snap_printf(
        "'%s' calls it '%s'; '%s' instead", path, old, name));
    m->act = change_current;
    rename_in(m, path, old, name);
}

/* In the domain's directory it goes by the name of its own. */
static void look_at_name(struct snap_repair *r, const struct family *f)
{
    const char *old = r->set.manifest.name;
    const char *name = name_of(r->set.directory);
    AUTO_FREE char *why = NULL;
    struct snap_mend *m;

    if (!f->at_home || !strcmp(old, name)) return;
    why = not_its_name(r, f, name);
    if (!why && !is_called(f, 1, old)) look_who_names_it(r, f, old, name);
    m = snap_repair_add(r, "name", why
        ? snap_printf("its manifest calls it '%s', its directory '%s', %s",
                      old, name, why)
        : snap_printf("its manifest calls it '%s'; '%s' instead, as its "
                      "directory", old, name));
    if (why) return;
    m->change = change_name;
    rename_in(m, r->set.directory, old, name);
}

int snap_repair_look_at_family(struct snap_repair *r)
{
    struct family f = { .len = 0 };
    int rc;

    gather(r, &f);
    rc = look_at_parent(r, &f);
    if (!rc) look_at_name(r, &f);
    free(f.nodes);
    free(f.directories);
    return rc;
}
