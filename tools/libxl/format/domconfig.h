/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * libxl's domain configuration as JSON (libxl_domain_config_to_json, Xen
 * 4.17): reading what plans need and changing the few fields that a snapshot
 * changes.  Works on the tree, so that all other fields go through untouched.
 * Pure.  The types of the JSON come from libxl_types.idl:
 *  - a field at its default is not there at all ("readwrite": 0 included);
 *  - enumerations are lower-case strings, defbools "True", "False" or
 *    "<default>", C bools true and false, C ints numbers;
 *  - the union of b_info is one member named by the type: "type.pv",
 *    "type.pvh" or "type.hvm"; b_info has no plain "type".
 */
#ifndef SNAP_DOMCONFIG_H
#define SNAP_DOMCONFIG_H

#include "format/json.h"

struct snap_domconfig_disk {
    char *vdev;
    char *path;             /* pdev_path; NULL: empty drive */
    char *format;           /* "raw" "qcow2" "vhd" "qed" "empty"; NULL */
    char *backend;          /* "phy" "qdisk" "tap" "standalone"; NULL */
    char *script;
    bool cdrom, readwrite, removable, direct_io_safe;
    int64_t backend_domid;
    char *backend_domname;
};

struct snap_domconfig {
    char *name, *uuid;
    char *type;             /* "pv" "pvh" "hvm" */
    int64_t max_vcpus, target_memkb, max_memkb;
    struct snap_domconfig_disk *disks;
    size_t ndisks;
    size_t nnics;
    struct snap_strings nic_macs, nic_bridges, nic_scripts; /* "" if none */
    /* What a snapshot cannot carry, each as "reason; what to change": every
     * class of device but disks, nics, vfbs and vkbs (classes that we do not
     * know too), virtio and COLO disks, vNUMA, nested HVM, altp2m, device
     * models that are restricted, old or in a stubdomain, passed-through
     * hardware. Empty: none. */
    struct snap_strings unsupported;
    bool has_genid;         /* a VM generation id is there, not zero */
    struct snap_strings paths;  /* absolute ones of the kernel, ramdisk,
                                 * firmware ... that `xl restore` or a later
                                 * reboot needs; not those of disks, nics */
};
void snap_domconfig_dispose(struct snap_domconfig *c);

/* Read the tree. Types are checked; ERROR_INVAL names the field. What the
 * readers and changers below take for granted is checked here: call it
 * first. */
int snap_domconfig_read(struct snap_ctx *sc, const struct snap_json *tree,
                        struct snap_domconfig *out);

/* The disk of that vdev, or NULL. */
const struct snap_domconfig_disk *
snap_domconfig_disk(const struct snap_domconfig *c, const char *vdev);

/* Change one disk by vdev: path, format (NULL: keep), readwrite. ERROR_INVAL
 * when there is no such vdev. A format that only QEMU serves (not "raw") also
 * sets a backend that was named to "qdisk". */
int snap_domconfig_set_disk(struct snap_ctx *sc, struct snap_json *tree,
                            const char *vdev, const char *path,
                            const char *format, bool readwrite);
void snap_domconfig_set_name(struct snap_json *tree, const char *name);
void snap_domconfig_set_uuid(struct snap_json *tree, const char *uuid);
/* Removes c_info.domid: a new domid at the next start. */
void snap_domconfig_forget_domid(struct snap_json *tree);
/* A new VM generation id: b_info."type.hvm".ms_vm_genid, an array of 16
 * numbers. Does nothing where the domain has none. */
void snap_domconfig_set_genid(struct snap_json *tree,
                              const unsigned char genid[16]);

/*
 * A user's xl.cfg (as the JSON that `xl -N create` prints) against the stored
 * configuration: name must be `domain_name`; type, memory (target and max),
 * vcpus, the sets of vdevs and the number of vifs must be equal, as must be
 * the type and model of a vif where the user gives one (a restored guest and
 * its QEMU have the old ones), else ERROR_INVAL naming the first difference
 * with both values.  Then copies into `stored` what may change: nics' bridge,
 * script, ip, ifname, gatewaydev and rate fields (by position; what the user
 * leaves out goes back to libxl's default; the stored MAC stays when the user
 * gives none), on_poweroff/on_reboot/on_watchdog/on_crash/on_soft_reset, and
 * path, format, backend, script of disks whose vdev is NOT in `snapshotted`.
 * `stored` is unchanged on error.
 */
int snap_domconfig_merge(struct snap_ctx *sc, struct snap_json *stored,
                         const struct snap_json *user,
                         const char *domain_name,
                         const struct snap_strings *snapshotted);

/*
 * For a boot from a user's configuration, memory and vcpus do not matter: name
 * must be `domain_name`; type, the set of vdevs and the number of vifs must be
 * equal to the stored one's, if that is known (NULL: it is not).  Else
 * ERROR_INVAL, as above.
 */
int snap_domconfig_fits(struct snap_ctx *sc, const struct snap_domconfig *user,
                        const struct snap_domconfig *stored,
                        const char *domain_name);

#endif
