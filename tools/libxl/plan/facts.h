/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * Facts: everything that a plan may depend on, read once before it is made.
 * Plain data; unit tests write it by hand.  Reading it is facts_read.c's.
 */
#ifndef SNAP_FACTS_H
#define SNAP_FACTS_H

#include "format/domconfig.h"
#include "host/fs.h"
#include "host/image.h"
#include "host/monitor.h"
#include "host/xen.h"
#include "libxl_qmp.h"

struct snap_facts_disk {
    char *vdev;
    char *path;             /* as configured; NULL or "": no medium */
    char *format;           /* from the configuration, never probed */
    char *backend;          /* "qdisk", "phy", "tap", "standalone", ... */
    char *script;
    bool readwrite, cdrom;
    int64_t backend_domid;
    /* xenstore */
    int devid;
    char *params;           /* "qcow2:/path" */
    char *backend_path;
    int frontend_state;
    /* QEMU; node NULL when QEMU does not serve it */
    char *node;
    char *qdev;             /* QEMU's device, an object path */
    bool filtered;          /* a block job has its filter above the image */
    char *qemu_driver;      /* format that QEMU uses at the root */
    char *qemu_file;
    bool qemu_read_only;
    unsigned opened_times;  /* devices of QEMU on this very image */
    struct snap_strings tags;
    /* the image; unread (have_id false) when the path is gone */
    bool have_id;
    char *id_error;             /* why not, if it is there; NULL */
    struct snap_fs_id id;
    struct snap_chain chain;    /* top first; only for images QEMU serves */
    struct snap_json *image;    /* QEMU's ImageInfo that chain came from */
    char *chain_error;      /* why the chain could not be read */
    bool replaced;          /* as chain_error says: QEMU works on a file that
                             * no name leads to, and that ends with QEMU */
    char *users;            /* who else has any layer of it open; NULL: none */
};

struct snap_facts {
    bool exists;            /* the domain runs in some state */
    struct snap_dominfo dom;
    struct snap_host host;
    char *config_json;      /* libxl's configuration of the domain */
    struct snap_domconfig config;
    char *stored_json;      /* userdata libxl-json, byte for byte */
    bool userdata_xl;
    uint32_t stubdom;       /* 0: none */
    bool qemu;              /* QEMU serves this domain */
    int qemu_pid;
    uint64_t qemu_start;
    char *qmp_path;
    char *qmp_error;        /* why QEMU could not be asked; NULL: it was */
    char *qemu_version;
    struct snap_monitor monitor;
    struct snap_facts_disk *disks;
    size_t ndisks;
};

void snap_facts_dispose(struct snap_facts *f);
struct snap_facts_disk *snap_facts_disk(struct snap_facts *f,
                                        const char *vdev);

#endif
