/* SPDX-License-Identifier: LGPL-2.1-only */
/* A mount namespace of the test's own, with an empty /var/lib: where locks and
 * journals have their fixed place. */
#ifndef SNAP_TEST_NAMESPACE_H
#define SNAP_TEST_NAMESPACE_H

#include <sched.h>
#include <stdbool.h>
#include <sys/mount.h>

/* Needs root, and _GNU_SOURCE. */
static bool own_namespace(void)
{
    return !unshare(CLONE_NEWNS)
           && !mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL)
           && !mount("none", "/var/lib", "tmpfs", 0, "mode=755");
}

#endif
