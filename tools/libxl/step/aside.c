/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * Setting an image aside: it has another name while it is written, or about to
 * be removed, so that nobody who names it opens it.  An image that is aside
 * belongs to the journal.
 */
#include "step/merge.h"

/* What a renaming by link() and unlink() left, if it was interrupted, is one
 * file with two names. */
int snap_aside_look(struct snap_act *a, struct snap_aside *at)
{
    struct snap_fs_id here, away;
    int rc = snap_fs_find(a->sc, at->path, &here, &at->here);

    if (!rc) rc = snap_fs_find(a->sc, at->aside, &away, &at->away);
    if (rc) return rc;
    if (at->here && at->away && !snap_fs_same(&here, &away))
        return snap_fail(a->sc, ERROR_INVAL, "'%s' was set aside as '%s' while "
                         "it is merged, and somebody put another file in its "
                         "place; move that away", at->path, at->aside);
    return 0;
}

static int must_be_there(struct snap_act *a, const struct snap_aside *at)
{
    if (at->here || at->away) return 0;
    return snap_fail(a->sc, ERROR_NOTFOUND, "neither '%s' nor '%s', its name "
                     "while it is merged, is there: mount its file system, or "
                     "put it back; xl-snapshot(1), snapshot-recover, tells "
                     "what to do when it is lost", at->path, at->aside);
}

/* The flag of a frozen base goes, or comes back. */
int snap_aside_freeze(struct snap_act *a, const char *path, bool on)
{
    int rc = snap_fs_set_immutable(a->sc, path, on);

    return rc < 0 ? rc : 0;
}

int snap_aside_set(struct snap_act *a, const char *path, const char *aside)
{
    struct snap_aside at = { .path = path, .aside = aside };
    int rc = snap_aside_look(a, &at);

    if (!rc) rc = must_be_there(a, &at);
    if (rc || !at.here) return rc;
    if (at.away) return snap_fs_remove(a->sc, path);
    rc = snap_aside_freeze(a, path, false);
    return rc ? rc : snap_fs_move(a->sc, path, aside);
}

int snap_aside_put_back(struct snap_act *a, const char *path,
                        const char *aside, bool frozen)
{
    struct snap_aside at = { .path = path, .aside = aside };
    int rc = snap_aside_look(a, &at);

    if (!rc) rc = must_be_there(a, &at);
    if (!rc && at.here && at.away) rc = snap_fs_remove(a->sc, aside);
    else if (!rc && at.away) rc = snap_fs_move(a->sc, aside, path);
    return rc || !frozen ? rc : snap_aside_freeze(a, path, true);
}

int snap_aside_identify(struct snap_act *a, const char *path,
                        const char *aside, struct snap_fs_id *id)
{
    struct snap_aside at = { .path = path, .aside = aside };
    int rc = snap_aside_look(a, &at);

    if (!rc) rc = must_be_there(a, &at);
    return rc ? rc : snap_fs_identify(a->sc, at.here ? path : aside, id);
}

int snap_merge_lock(const struct snap_act *a)
{
    return a->journal ? a->journal->fd : 0;
}
