/* SPDX-License-Identifier: LGPL-2.1-only */
/* Block devices for scenes whose images stand on them: loop devices. */
#include "fault/sweep.h"

#include <sys/file.h>

#include "qmp/server.h"
#include "tap.h"

#define ROOM (8 << 20)

static char *attached[HOST_DISKS];

/* Of two that are told of the same free device the second opens it, too, to
 * find out: that would be one more user of the first one's image. So one at a
 * time. */
static char *attach(const char *file)
{
    int control = open("/dev/loop-control", O_RDONLY | O_CLOEXEC);
    char *device;

    if (control >= 0) flock(control, LOCK_EX);
    device = read_program((const char *const[]){
        "losetup", "-f", "--show", file, NULL });
    if (control >= 0) close(control);
    if (device) device[strcspn(device, "\n")] = '\0';
    if (device && *device) return device;
    free(device);
    return NULL;
}

static bool detach(const char *device)
{
    return !run_program((const char *const[]){ "losetup", "-d", device,
                                               NULL });
}

bool loops_work(void)
{
    char file[] = "/tmp/snap-fault-loop-XXXXXX";
    AUTO_FREE char *device = NULL;
    int fd = mkstemp(file);
    bool work;

    if (fd < 0) bail("%s: %s", file, strerror(errno));
    work = !ftruncate(fd, ROOM) && (device = attach(file)) && detach(device);
    unlink(file);
    close(fd);
    return work;
}

void loops_detach(void)
{
    unsigned i;

    for (i = 0; i < HOST_DISKS; i++) {
        if (attached[i] && !detach(attached[i])) diag("%s stays", attached[i]);
        free(attached[i]);
        attached[i] = NULL;
    }
}

/* The number of a device is another each time: the domain has a link to it. */
char *loops_attach(unsigned disk, const char *file)
{
    char *link = snap_printf("%s.blk", file);

    if (truncate(file, ROOM) || !(attached[disk] = attach(file))
        || symlink(attached[disk], link))
        bail("no block device of %s", file);
    return link;
}
