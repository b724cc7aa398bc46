/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * The images of a domain: which there are, what stands on what, what each is
 * for, and who needs it.  Pure: op/inventory.c fills in what is given, tests
 * write it by hand.
 */
#ifndef SNAP_INVENTORY_H
#define SNAP_INVENTORY_H

#include "format/manifest.h"

#define SNAP_INVENTORY_NONE SIZE_MAX

struct snap_inventory_tag {
    char *name, *id;
    uint64_t vm_state_bytes;    /* all that qemu-img tells of its size */
    int64_t date_sec;
    size_t snapshot;            /* found: whose it is, or NONE */
};

/* What an image is for: the first of these that is true. */
enum snap_inventory_use {
    SNAP_USE_GONE,              /* it is named, but not there */
    SNAP_USE_ACTIVE,            /* a domain has it as its disk */
    SNAP_USE_BASE,              /* frozen by a snapshot */
    SNAP_USE_BELOW,             /* other images stand on it */
    SNAP_USE_DISK,              /* it holds the tag of a snapshot */
    SNAP_USE_ABANDONED,         /* an overlay of ours that nobody needs */
    SNAP_USE_OVERLAY,           /* another image that stands on one of these */
    SNAP_USE_FOREIGN,
};

/* One for each file, whatever names it has. */
struct snap_inventory_image {
    char *path;                 /* real; as it is named where it is gone */
    char *format;               /* xl's name; NULL: nobody says */
    char *vdev;                 /* whose it is or that it is below; NULL */
    bool gone;
    char *unread;               /* why what is in it is not known; NULL */
    uint64_t dev, ino, links;
    bool block, immutable;
    uint64_t size_bytes;        /* that it takes on the disk */
    uint64_t virtual_size_bytes;    /* 0: unknown */
    int64_t mtime_ns;
    size_t below;               /* what it stands on, or NONE */
    struct snap_inventory_tag *tags;
    size_t ntags;
    struct snap_strings domains;    /* that have it as their disk */
    bool own;                   /* the domain in question is one of them */
    bool claimed;               /* it is in the chain of some domain's disk */
    char *user;                 /* who has it open; NULL: not looked, nobody */
    /* Found. */
    enum snap_inventory_use use;
    size_t first_link, nlinks;  /* of manifests, external ones first */
    size_t nbases;              /* how many of them froze it */
    size_t made_by;             /* the snapshot whose overlay it is, or NONE */
    size_t above;               /* how many stand on it */
    bool present;               /* in a chain that the domain has now */
    char *doubt;                /* it looks abandoned; why it is not to be
                                 * removed */
};

/* A disk of a manifest, and what its paths lead to (or NONE). */
struct snap_inventory_link {
    size_t snapshot;
    const struct snap_manifest_disk *disk;      /* borrowed */
    size_t image, overlay;
    bool tag_there;             /* found, of internal ones */
};

struct snap_inventory_snapshot {
    const struct snap_manifest *m;  /* borrowed, as is the next */
    const char *directory;
    bool own;                   /* the domain's in question */
};

/* A qcow2 beside them that has nothing to do with them, as far as is known. */
struct snap_inventory_file {
    char *path;
    uint64_t size_bytes;
};

struct snap_inventory {
    char *domain;               /* NULL: of all */
    bool running;
    char *no_domains;           /* why Xen could not be asked; NULL: it was */
    struct snap_inventory_snapshot *snapshots;
    size_t nsnapshots;
    struct snap_inventory_link *links;
    size_t nlinks;
    struct snap_inventory_image *images;
    size_t nimages;
    struct snap_inventory_file *foreign;
    size_t nforeign;
};
void snap_inventory_dispose(struct snap_inventory *inv);

/* Fill in what is found, which sorts the links. n log n; can be repeated. */
void snap_inventory_judge(struct snap_inventory *inv);

const char *snap_inventory_use_word(enum snap_inventory_use use);

/* What a snapshot needs of the images' space. */
struct snap_inventory_space {
    uint64_t exclusive_bytes;   /* of layers that nothing else needs */
    uint64_t shared_bytes;      /* of those that something else needs, too */
    size_t ntags;               /* of unknown size in them */
    size_t ngone;               /* images that are not there */
};
struct snap_inventory_space
snap_inventory_space(const struct snap_inventory *inv, size_t snapshot);

#endif
