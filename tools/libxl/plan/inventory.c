/* SPDX-License-Identifier: LGPL-2.1-only */
/* What images are for. See inventory.h. */
#include "plan/inventory.h"

#include <string.h>

#include "plan/overlay_name.h"

#define NONE SNAP_INVENTORY_NONE

static void image_dispose(struct snap_inventory_image *im)
{
    size_t i;

    for (i = 0; i < im->ntags; i++) {
        free(im->tags[i].name);
        free(im->tags[i].id);
    }
    free(im->tags);
    free(im->path);
    free(im->format);
    free(im->vdev);
    free(im->unread);
    free(im->user);
    free(im->doubt);
    snap_strings_dispose(&im->domains);
}

void snap_inventory_dispose(struct snap_inventory *inv)
{
    size_t i;

    for (i = 0; i < inv->nimages; i++) image_dispose(&inv->images[i]);
    for (i = 0; i < inv->nforeign; i++) free(inv->foreign[i].path);
    free(inv->images);
    free(inv->foreign);
    free(inv->links);
    free(inv->snapshots);
    free(inv->domain);
    free(inv->no_domains);
    *inv = (struct snap_inventory){ .domain = NULL };
}

const char *snap_inventory_use_word(enum snap_inventory_use use)
{
    static const char *const words[] = {
        [SNAP_USE_GONE] = "gone",
        [SNAP_USE_ACTIVE] = "active",
        [SNAP_USE_BASE] = "base",
        [SNAP_USE_BELOW] = "below",
        [SNAP_USE_DISK] = "disk",
        [SNAP_USE_ABANDONED] = "abandoned",
        [SNAP_USE_OVERLAY] = "overlay",
        [SNAP_USE_FOREIGN] = "foreign",
    };

    return words[use];
}

/* ---- links ------------------------------------------------------- */

/* By image, those without a tag first, then by tag and snapshot. */
static int by_image(const void *x, const void *y)
{
    const struct snap_inventory_link *a = x, *b = y;
    const char *s = a->disk->tag, *t = b->disk->tag;
    int c = 0;

    if (a->image != b->image) return a->image < b->image ? -1 : 1;
    if (s && t) c = strcmp(s, t);
    else if (s || t) c = s ? 1 : -1;
    return c ? c : a->snapshot < b->snapshot ? -1 : a->snapshot > b->snapshot;
}

static void tell_links(struct snap_inventory *inv)
{
    size_t i;

    if (inv->nlinks)
        qsort(inv->links, inv->nlinks, sizeof(*inv->links), by_image);
    for (i = 0; i < inv->nlinks; i++) {
        struct snap_inventory_link *l = &inv->links[i];
        struct snap_inventory_image *im;

        l->tag_there = false;
        if (l->overlay != NONE) {
            im = &inv->images[l->overlay];
            if (im->made_by == NONE || l->snapshot < im->made_by)
                im->made_by = l->snapshot;
        }
        if (l->image == NONE) continue;
        im = &inv->images[l->image];
        if (!im->nlinks++) im->first_link = i;
        im->nbases += l->disk->type == SNAP_DISK_EXTERNAL;
    }
}

/* ---- tags -------------------------------------------------------- */

/* The first link of the image that is not before the tag. */
static size_t seek_tag(const struct snap_inventory *inv,
                       const struct snap_inventory_image *im,
                       const char *name)
{
    size_t from = im->first_link, to = im->first_link + im->nlinks;

    while (from < to) {
        size_t mid = from + (to - from) / 2;
        const char *tag = inv->links[mid].disk->tag;

        if (!tag || strcmp(tag, name) < 0)
            from = mid + 1;
        else
            to = mid;
    }
    return from;
}

static void find_owner(struct snap_inventory *inv,
                       const struct snap_inventory_image *im,
                       struct snap_inventory_tag *tag)
{
    size_t i = seek_tag(inv, im, tag->name);

    tag->snapshot = NONE;
    for (; i < im->first_link + im->nlinks; i++) {
        struct snap_inventory_link *l = &inv->links[i];

        if (strcmp(l->disk->tag, tag->name)) return;
        if (l->disk->tag_id && strcmp(l->disk->tag_id, tag->id)) continue;
        l->tag_there = true;
        if (tag->snapshot == NONE) tag->snapshot = l->snapshot;
    }
}

/* ---- overlays that nobody needs ---------------------------------- */

/* Made by a create or a revert, as far as its name and its base tell. */
static bool is_our_overlay(const struct snap_inventory *inv,
                           const struct snap_inventory_image *im)
{
    const struct snap_inventory_image *base = &inv->images[im->below];
    size_t i;

    for (i = base->first_link; i < base->first_link + base->nbases; i++) {
        const struct snap_inventory_snapshot *s =
            &inv->snapshots[inv->links[i].snapshot];

        if (s->own && s->m->name
            && snap_is_overlay_name(im->path, base->path, s->m->name))
            return true;
    }
    return false;
}

/* Does one of the domain's disks, as it is now, have a layer with it in
 * common?  Else it may be what a disk would be started on that it has not. */
static bool has_present_below(const struct snap_inventory *inv, size_t i)
{
    size_t left = inv->nimages;

    for (; i != NONE && left--; i = inv->images[i].below)
        if (inv->images[i].present) return true;
    return false;
}

static char *doubt_about_domain(const struct snap_inventory *inv, size_t i)
{
    if (inv->no_domains)
        return snap_strdup("which domains have it is not known");
    if (!inv->domain || !inv->running)
        return snap_strdup("the domain does not run, and only its xl.cfg "
                           "tells on which image it would be started");
    if (!has_present_below(inv, i))
        return snap_strdup("no disk of the domain stands on what it stands "
                           "on, so it may be what is wanted next");
    return NULL;
}

static char *doubt_about(const struct snap_inventory *inv, size_t i)
{
    const struct snap_inventory_image *im = &inv->images[i];

    if (im->unread) return snap_strdup(im->unread);
    if (im->user) return snap_printf("it is in use by %s", im->user);
    if (im->block) return snap_strdup("it is a block device");
    if (im->immutable)
        return snap_strdup("it is immutable: somebody protected it");
    if (im->links != 1)
        return snap_strdup("it has other names (hard links)");
    if (im->ntags)
        return snap_printf("it holds %zu internal snapshots", im->ntags);
    return doubt_about_domain(inv, i);
}

static bool looks_abandoned(const struct snap_inventory *inv,
                            const struct snap_inventory_image *im)
{
    return im->below != NONE && is_our_overlay(inv, im);
}

/* ---- what each is for -------------------------------------------- */

static enum snap_inventory_use use_of(struct snap_inventory *inv, size_t i)
{
    struct snap_inventory_image *im = &inv->images[i];

    if (im->gone) return SNAP_USE_GONE;
    if (im->domains.len) return SNAP_USE_ACTIVE;
    if (im->nbases) return SNAP_USE_BASE;
    if (im->above || im->claimed) return SNAP_USE_BELOW;
    if (im->nlinks) return SNAP_USE_DISK;
    if (looks_abandoned(inv, im)) {
        im->doubt = doubt_about(inv, i);
        if (!im->doubt) return SNAP_USE_ABANDONED;
    }
    return im->below != NONE || im->made_by != NONE ? SNAP_USE_OVERLAY
                                                    : SNAP_USE_FOREIGN;
}

static void forget(struct snap_inventory_image *im)
{
    im->first_link = im->nlinks = im->nbases = im->above = 0;
    im->made_by = NONE;
    im->present = false;
    free(im->doubt);
    im->doubt = NULL;
}

void snap_inventory_judge(struct snap_inventory *inv)
{
    size_t i, k;

    for (i = 0; i < inv->nimages; i++) forget(&inv->images[i]);
    tell_links(inv);
    for (i = 0; i < inv->nimages; i++) {
        struct snap_inventory_image *im = &inv->images[i];

        if (im->below != NONE) inv->images[im->below].above++;
        for (k = 0; k < im->ntags; k++) find_owner(inv, im, &im->tags[k]);
        /* What is marked has been walked down from. */
        for (k = im->own ? i : NONE; k != NONE && !inv->images[k].present;
             k = inv->images[k].below)
            inv->images[k].present = true;
    }
    for (i = 0; i < inv->nimages; i++)
        inv->images[i].use = use_of(inv, i);
}

/* ---- space ------------------------------------------------------- */

static void need(const struct snap_inventory *inv, bool *needed, size_t i)
{
    for (; i != NONE && !needed[i]; i = inv->images[i].below)
        needed[i] = true;
}

/* Is it what a domain has, or may be started on? */
static bool is_present(const struct snap_inventory_image *im)
{
    return im->claimed || (!im->above && !im->nbases && !im->gone
                           && im->use != SNAP_USE_ABANDONED);
}

static void count_chain(const struct snap_inventory *inv, const bool *needed,
                        bool *counted, size_t i,
                        struct snap_inventory_space *out)
{
    for (; i != NONE && !counted[i]; i = inv->images[i].below) {
        counted[i] = true;
        if (inv->images[i].gone)
            out->ngone++;
        else if (needed[i])
            out->shared_bytes += inv->images[i].size_bytes;
        else
            out->exclusive_bytes += inv->images[i].size_bytes;
    }
}

struct snap_inventory_space
snap_inventory_space(const struct snap_inventory *inv, size_t snapshot)
{
    struct snap_inventory_space out = { 0 };
    bool *needed = snap_zalloc(inv->nimages + 1);
    bool *counted = snap_zalloc(inv->nimages + 1);
    size_t i;

    for (i = 0; i < inv->nimages; i++)
        if (is_present(&inv->images[i])) need(inv, needed, i);
    for (i = 0; i < inv->nlinks; i++)
        if (inv->links[i].snapshot != snapshot)
            need(inv, needed, inv->links[i].image);
    for (i = 0; i < inv->nlinks; i++) {
        if (inv->links[i].snapshot != snapshot) continue;
        count_chain(inv, needed, counted, inv->links[i].image, &out);
        out.ntags += inv->links[i].tag_there;
    }
    free(needed);
    free(counted);
    return out;
}
