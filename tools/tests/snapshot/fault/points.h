/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * Fault points.  The Makefile's variant obj-fault compiles the library with
 * this file in front of each source: every call that leaves the process (the
 * kernel, xenstore, libxl) becomes a point where the sweep can make the call
 * fail or kill the process just before it.  The points are listed by the
 * linker, in a section of their own, so a call that is added to the library is
 * a new point without anybody's doing, and one that no run came by is known.
 *
 * Left out are calls that fail only when they are misused (close, kill, dup2,
 * the dispose and init functions of libxl).
 */
#ifndef FAULT_POINTS_H
#define FAULT_POINTS_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <libxl.h>
#include <libxl_utils.h>
#include <xenctrl.h>
#include <xenstore.h>

struct fault_point {
    const char *call, *function, *file;
    int line;
};

/* A process comes by: true when the call is to fail, with errno set. */
bool fault_here(const struct fault_point *p, int errnoval);
/* What a machine without Xen lacks is there, and Xen's own programs are ours:
 * see host.c. */
int fault_openat(int dir, const char *path, int flags, mode_t mode);
ssize_t fault_copy_file_range(int in, off64_t *in_at, int out,
                              off64_t *out_at, size_t len, unsigned flags);
int fault_renameat2(int from_dir, const char *from, int to_dir,
                    const char *to, unsigned flags);
int fault_poll(struct pollfd *fds, nfds_t n, int timeout_ms);
int fault_close_range(unsigned first, unsigned last, int flags);
int fault_access(const char *path, int mode);
int fault_execve(const char *path, char *const argv[], char *const env[]);

/* Of this run, instead of Xen's. */
extern char fault_run_dir[64], fault_lock_dir[64];

#ifdef FAULT_ARMED

#define FAULT(call, errnoval, failed, ...) __extension__ ({ \
    static const struct fault_point fault_point_ \
        __attribute__((section("fault_points"), used)) = { \
            call, __builtin_FUNCTION(), __FILE__, __LINE__ }; \
    fault_here(&fault_point_, errnoval) ? (failed) : (__VA_ARGS__); })

/* ---- the kernel -------------------------------------------------- */

#define open(...) FAULT("open", EMFILE, -1, open(__VA_ARGS__))
#define openat(...) FAULT("openat", EMFILE, -1, openat_(__VA_ARGS__, 0, 0))
#define openat_(dir, path, flags, mode, ...) \
    fault_openat(dir, path, flags, mode)
#define read(...) FAULT("read", EIO, -1, read(__VA_ARGS__))
#define pread(...) FAULT("pread", EIO, -1, pread(__VA_ARGS__))
#define write(...) FAULT("write", ENOSPC, -1, write(__VA_ARGS__))
#define pwrite(...) FAULT("pwrite", ENOSPC, -1, pwrite(__VA_ARGS__))
#define fsync(fd) FAULT("fsync", EIO, -1, fsync(fd))
#define fdatasync(fd) FAULT("fdatasync", EIO, -1, fdatasync(fd))
#define rename(...) FAULT("rename", EIO, -1, rename(__VA_ARGS__))
#define renameat(...) FAULT("renameat", EIO, -1, renameat(__VA_ARGS__))
#define renameat2(...) \
    FAULT("renameat2", EIO, -1, fault_renameat2(__VA_ARGS__))
#define linkat(...) FAULT("linkat", ENOSPC, -1, linkat(__VA_ARGS__))
#define unlink(...) FAULT("unlink", EIO, -1, unlink(__VA_ARGS__))
#define unlinkat(...) FAULT("unlinkat", EIO, -1, unlinkat(__VA_ARGS__))
#define mkdirat(...) FAULT("mkdirat", ENOSPC, -1, mkdirat(__VA_ARGS__))
#define rmdir(...) FAULT("rmdir", EIO, -1, rmdir(__VA_ARGS__))
#define fallocate(...) FAULT("fallocate", ENOSPC, -1, fallocate(__VA_ARGS__))
#define ftruncate(...) FAULT("ftruncate", EIO, -1, ftruncate(__VA_ARGS__))
#define copy_file_range(...) \
    FAULT("copy_file_range", ENOSPC, -1, fault_copy_file_range(__VA_ARGS__))
#define close_range(...) fault_close_range(__VA_ARGS__)
#define splice(...) FAULT("splice", EIO, -1, splice(__VA_ARGS__))
#define ioctl(...) FAULT("ioctl", EIO, -1, ioctl(__VA_ARGS__))
#define flock(...) FAULT("flock", ENOLCK, -1, flock(__VA_ARGS__))
#define fcntl(...) FAULT("fcntl", EIO, -1, fcntl(__VA_ARGS__))
#define lseek(...) FAULT("lseek", EIO, -1, lseek(__VA_ARGS__))
#define fchmod(...) FAULT("fchmod", EIO, -1, fchmod(__VA_ARGS__))
#define stat(...) FAULT("stat", EIO, -1, stat(__VA_ARGS__))
#define lstat(...) FAULT("lstat", EIO, -1, lstat(__VA_ARGS__))
#define fstat(...) FAULT("fstat", EIO, -1, fstat(__VA_ARGS__))
#define fstatat(...) FAULT("fstatat", EIO, -1, fstatat(__VA_ARGS__))
#define statx(...) FAULT("statx", EIO, -1, statx(__VA_ARGS__))
#define fstatfs(...) FAULT("fstatfs", EIO, -1, fstatfs(__VA_ARGS__))
#define statvfs(...) FAULT("statvfs", EIO, -1, statvfs(__VA_ARGS__))
#define access(...) FAULT("access", EIO, -1, fault_access(__VA_ARGS__))
#define faccessat(...) FAULT("faccessat", EIO, -1, faccessat(__VA_ARGS__))
#define readlink(...) FAULT("readlink", EIO, -1, readlink(__VA_ARGS__))
#define readlinkat(...) FAULT("readlinkat", EIO, -1, readlinkat(__VA_ARGS__))
#define realpath(...) FAULT("realpath", EIO, NULL, realpath(__VA_ARGS__))
#define opendir(...) FAULT("opendir", EMFILE, NULL, opendir(__VA_ARGS__))
#define fdopendir(...) FAULT("fdopendir", ENOMEM, NULL, fdopendir(__VA_ARGS__))
#define readdir(d) FAULT("readdir", EIO, NULL, readdir(d))
#define fopen(...) FAULT("fopen", EMFILE, NULL, fopen(__VA_ARGS__))
#define fgets(...) FAULT("fgets", EIO, NULL, fgets(__VA_ARGS__))
#define getrandom(...) FAULT("getrandom", EIO, -1, getrandom(__VA_ARGS__))
#define mmap(...) FAULT("mmap", ENOMEM, MAP_FAILED, mmap(__VA_ARGS__))
#define pipe2(...) FAULT("pipe2", EMFILE, -1, pipe2(__VA_ARGS__))
#define socketpair(...) FAULT("socketpair", EMFILE, -1, socketpair(__VA_ARGS__))
#define socket(...) FAULT("socket", EMFILE, -1, socket(__VA_ARGS__))
#define connect(...) FAULT("connect", EACCES, -1, connect(__VA_ARGS__))
#define send(...) FAULT("send", EPIPE, -1, send(__VA_ARGS__))
#define recv(...) FAULT("recv", EIO, -1, recv(__VA_ARGS__))
#define poll(...) FAULT("poll", ENOMEM, -1, fault_poll(__VA_ARGS__))
#define fork() FAULT("fork", EAGAIN, -1, fork())
#define execve(...) FAULT("execve", EACCES, -1, fault_execve(__VA_ARGS__))

/* ---- xenstore and libxl ------------------------------------------ */

#define xs_open(...) FAULT("xs_open", EIO, NULL, xs_open(__VA_ARGS__))
#define xs_read(...) FAULT("xs_read", EIO, NULL, xs_read(__VA_ARGS__))
#define xs_directory(...) \
    FAULT("xs_directory", EIO, NULL, xs_directory(__VA_ARGS__))
#define xs_write(...) FAULT("xs_write", EIO, false, xs_write(__VA_ARGS__))
#define xs_watch(...) FAULT("xs_watch", EIO, false, xs_watch(__VA_ARGS__))
#define xs_check_watch(...) \
    FAULT("xs_check_watch", EIO, NULL, xs_check_watch(__VA_ARGS__))
#define xs_transaction_start(...) \
    FAULT("xs_transaction_start", EIO, XBT_NULL, \
          xs_transaction_start(__VA_ARGS__))
#define xs_transaction_end(...) \
    FAULT("xs_transaction_end", EIO, false, xs_transaction_end(__VA_ARGS__))

#define XL_FAULT(call, ...) FAULT(#call, EIO, ERROR_FAIL, call(__VA_ARGS__))
#define libxl_ctx_alloc(...) XL_FAULT(libxl_ctx_alloc, __VA_ARGS__)
#define libxl_name_to_domid(...) XL_FAULT(libxl_name_to_domid, __VA_ARGS__)
#define libxl_domain_info(...) XL_FAULT(libxl_domain_info, __VA_ARGS__)
#define libxl_list_domain(...) \
    FAULT("libxl_list_domain", EIO, NULL, libxl_list_domain(__VA_ARGS__))
#define libxl_get_version_info(...) \
    FAULT("libxl_get_version_info", EIO, NULL, \
          libxl_get_version_info(__VA_ARGS__))
#define libxl_get_physinfo(...) XL_FAULT(libxl_get_physinfo, __VA_ARGS__)
#define libxl_retrieve_domain_configuration(...) \
    XL_FAULT(libxl_retrieve_domain_configuration, __VA_ARGS__)
#define libxl_domain_config_to_json(...) \
    FAULT("libxl_domain_config_to_json", EIO, NULL, \
          libxl_domain_config_to_json(__VA_ARGS__))
#define libxl_domain_config_from_json(...) \
    XL_FAULT(libxl_domain_config_from_json, __VA_ARGS__)
#define libxl_domain_need_memory(...) \
    XL_FAULT(libxl_domain_need_memory, __VA_ARGS__)
#define libxl_domain_suspend(...) XL_FAULT(libxl_domain_suspend, __VA_ARGS__)
#define libxl_domain_resume(...) XL_FAULT(libxl_domain_resume, __VA_ARGS__)
#define libxl_domain_pause(...) XL_FAULT(libxl_domain_pause, __VA_ARGS__)
#define libxl_domain_unpause(...) XL_FAULT(libxl_domain_unpause, __VA_ARGS__)
#define libxl_domain_destroy(...) XL_FAULT(libxl_domain_destroy, __VA_ARGS__)
#define libxl_userdata_retrieve(...) \
    XL_FAULT(libxl_userdata_retrieve, __VA_ARGS__)
#define libxl_userdata_store(...) XL_FAULT(libxl_userdata_store, __VA_ARGS__)
#define xc_interface_open(...) \
    FAULT("xc_interface_open", EIO, NULL, xc_interface_open(__VA_ARGS__))
#define xc_shadow_control(...) \
    FAULT("xc_shadow_control", EIO, -1, xc_shadow_control(__VA_ARGS__))

#endif
#endif
