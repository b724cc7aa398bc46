/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * Who holds a unix socket?  Asks the kernel (sock_diag) for the connections
 * that a listener's process has accepted, and /proc for the processes at the
 * other end.  Only for the text of a message: a best effort that never fails
 * and never waits long.  Called by the QMP client alone.
 */
#include "libxl_qmp.h"

#include <dirent.h>
#include <inttypes.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "host/process.h"

#define STATE_ESTABLISHED 1     /* TCP_ESTABLISHED, which unix sockets share */
#define MAX_PEERS 16
#define MAX_DUMP_PARTS 10000
#define DUMP_TIMEOUT_MS 500

struct peers {
    uint32_t inode[MAX_PEERS];
    size_t n;
};

struct request {
    struct nlmsghdr header;
    struct unix_diag_req body;
};

static int ask_kernel(void)
{
    struct request r = {
        .header = {
            .nlmsg_len = sizeof(r),
            .nlmsg_type = SOCK_DIAG_BY_FAMILY,
            .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP,
        },
        .body = {
            .sdiag_family = AF_UNIX,
            .udiag_states = 1u << STATE_ESTABLISHED,
            .udiag_show = UDIAG_SHOW_NAME | UDIAG_SHOW_PEER,
        },
    };
    struct timeval wait = { .tv_usec = DUMP_TIMEOUT_MS * 1000 };
    int fd;

    fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
    if (fd < 0) return -1;
    if (!setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait))
        && send(fd, &r, sizeof(r), 0) == (ssize_t)sizeof(r)) {
        return fd;
    }
    close(fd);
    return -1;
}

static bool is_name(const struct rtattr *attr, const char *path)
{
    const char *name = RTA_DATA(attr);
    size_t len = RTA_PAYLOAD(attr);

    if (len && !name[len - 1]) len--;
    return len == strlen(path) && !memcmp(name, path, len);
}

/* An accepted connection has the listener's name and an inode of its own;
 * one that still waits in the backlog has none. */
static void note_socket(struct peers *p, const struct nlmsghdr *h,
                        const char *path)
{
    const struct unix_diag_msg *m = NLMSG_DATA(h);
    const struct rtattr *attr = (const struct rtattr *)(m + 1);
    unsigned int left = h->nlmsg_len - NLMSG_LENGTH(sizeof(*m));
    uint32_t peer = 0;
    bool named = false;

    if (h->nlmsg_len < NLMSG_LENGTH(sizeof(*m)) || !m->udiag_ino) return;
    for (; RTA_OK(attr, left); attr = RTA_NEXT(attr, left)) {
        if (attr->rta_type == UNIX_DIAG_NAME) named = is_name(attr, path);
        if (attr->rta_type == UNIX_DIAG_PEER
            && RTA_PAYLOAD(attr) >= sizeof(peer)) {
            memcpy(&peer, RTA_DATA(attr), sizeof(peer));
        }
    }
    if (named && peer && p->n < MAX_PEERS) p->inode[p->n++] = peer;
}

/* One part of the answer. False: it was the last. */
static bool note_part(struct peers *p, const void *part, size_t len,
                      const char *path)
{
    const struct nlmsghdr *h = part;

    for (; NLMSG_OK(h, len); h = NLMSG_NEXT(h, len)) {
        if (h->nlmsg_type != SOCK_DIAG_BY_FAMILY) return false;
        note_socket(p, h, path);
    }
    return true;
}

static void find_peers(struct peers *p, const char *path)
{
    AUTO_CLOSE int fd = ask_kernel();
    _Alignas(struct nlmsghdr) char part[16384];
    ssize_t len;
    int i;

    if (fd < 0) return;
    for (i = 0; i < MAX_DUMP_PARTS; i++) {
        len = recv(fd, part, sizeof(part), 0);
        if (len <= 0 || !note_part(p, part, (size_t)len, path)) return;
    }
}

static bool is_peer(const struct peers *p, const char *link)
{
    uint32_t inode;
    size_t i;

    if (sscanf(link, "socket:[%" SCNu32 "]", &inode) != 1) return false;
    for (i = 0; i < p->n; i++) {
        if (p->inode[i] == inode) return true;
    }
    return false;
}

struct holders {
    struct peers peers;
    struct snap_text text;
};

static void name_process(struct snap_text *t, int pid)
{
    char comm[SNAP_COMM_SIZE];

    snap_process_comm(pid, comm);
    snap_text_add(t, "%s%s (pid %d)", t->len ? ", " : "", *comm ? comm : "?",
                  pid);
}

/* Has the process one of them open? Then it is named; all are. */
static int holds_peer(int pid, void *arg)
{
    struct holders *h = arg;
    AUTO_FREE char *name = snap_printf("/proc/%d/fd", pid);
    DIR *dir = opendir(name);
    const struct dirent *entry;
    bool found = false;
    char link[64];
    ssize_t len;

    while (dir && !found && (entry = readdir(dir))) {
        len = readlinkat(dirfd(dir), entry->d_name, link, sizeof(link) - 1);
        if (len <= 0) continue;
        link[len] = '\0';
        found = is_peer(&h->peers, link);
    }
    if (dir) closedir(dir);
    if (found) name_process(&h->text, pid);
    return 0;
}

char *snap_qmp_holders(const char *path)
{
    struct holders h = { .text = { .data = NULL } };

    find_peers(&h.peers, path);
    if (h.peers.n) snap_process_find(holds_peer, &h);
    return h.text.data;
}
