/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * The plan of snapshot-revert: what it depends on, as plain data, and the
 * pure function that turns it into steps or a refusal.
 */
#ifndef SNAP_PLAN_REVERT_H
#define SNAP_PLAN_REVERT_H

#include "format/manifest.h"
#include "plan/facts.h"
#include "plan/plan.h"

struct snap_revert_disk {
    const struct snap_manifest_disk *m;
    struct snap_fs_id id;       /* of the image, now */
    struct snap_chain chain;    /* top first: the image, then what is below */
    char *frozen_by;            /* who depends on the image; NULL: nobody */
    char *users;                /* who else has it open; NULL: nobody */
    char *writers;              /* of them, who may write; NULL */
    char *unwritable;           /* why the image cannot be written; NULL */
    bool active;                /* the domain writes this very image now */
    char *new_path;             /* of the overlay or the copy; NULL: the tag
                                 * is applied in place */
};

struct snap_revert_facts {
    const char *domain_name;
    struct snap_facts *now;     /* exists = false: the domain is off */
    int between_pid;            /* a monitor about to start it again; 0 */
    const struct snap_manifest *set;
    const struct snap_domconfig *config;    /* to start the domain with */
    /* Without memory: the domain boots, by this file (/dev/null: there is
     * none) and these settings of an xl.cfg. */
    bool disk_only;
    const char *boot_file;
    const struct snap_strings *boot_words;
    struct snap_revert_disk *disks;
    size_t ndisks;
    struct snap_strings excluded;   /* writable disks that are not in it */
    /* Those disks, as the domain will get them: they stay as they are, so
     * nothing may depend on their images and nobody else may use them. */
    struct snap_revert_disk *rest;
    size_t nrest;
    struct snap_manifest_disk *rest_m;  /* what rest[i].m points to */
    char *stranger;             /* why it looks like another domain's; NULL */
    char *memory_path;
    uint64_t memory_pages;      /* this and the next: not if disk_only */
    unsigned xen_major, xen_minor;      /* at the snapshot */
    const char *qemu_version;   /* of this host; NULL: unknown */
    uint64_t need_kb, have_kb;  /* host memory; 0: unknown */
};

struct snap_revert_request {
    const char *current_path;
    const char *const *exclude;
    size_t nexclude;
    bool force, paused, protect;
    bool unpause;               /* the domain's present pause is ours, to be
                                 * undone if it stays */
    const char *stock_xl;
};

int snap_plan_revert(struct snap_ctx *sc, const struct snap_revert_facts *f,
                     const struct snap_revert_request *req,
                     struct snap_plan *p);

/* "7.2.22" against "10.0.1": <0, 0, >0; unknown parts count as 0. */
int snap_version_compare(const char *a, const char *b);

#endif
