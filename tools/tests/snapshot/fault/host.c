/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * The rest of the fake host of act/fake_xen.c, so that whole operations run on
 * it: a PVH domain with two disks, its configuration, its QEMU (qemu.c), its
 * monitor, and the `xl restore` that builds it again.  RAM is one byte, which
 * stands in each page of a memory image, and the guest's disks hold it too.
 */
#include "fault/sweep.h"

#include <sys/prctl.h>
#include <sys/un.h>

#include "act/stream.h"
#include "format/domconfig.h"
#include "format/memimage.h"
#include "host/monitor.h"
#include "qmp/server.h"
#include "tap.h"

#define RAM_FROM_END 72         /* of the last bytes of RAM in an image */
#define FIRST_DEVID 51712

struct host *host;
bool host_furnished;
char fault_run_dir[64], fault_lock_dir[64];

static struct snap_text stream; /* a memory image without xl's header */
static char log_dir[128];

/* ---- what the toolstack knows ------------------------------------ */

#define CONFIG \
    "{\"c_info\":{\"type\":\"pvh\",\"name\":\"%s\",\"domid\":%u," \
    "\"uuid\":\"" FAKE_UUID "\"}," \
    "\"b_info\":{\"max_vcpus\":1,\"avail_vcpus\":[0]," \
    "\"max_memkb\":4096,\"target_memkb\":4096,\"shadow_memkb\":1024," \
    "\"type.pvh\":{}%s},\"disks\":[%s]%s,\"on_reboot\":\"restart\"}"
/* What a host has to have for it; its bridge is a network device. */
#define KERNEL ",\"kernel\":\"%s/bin/xl\""
#define VIF \
    ",\"nics\":[{\"mac\":\"00:16:3e:00:00:01\",\"bridge\":\"lo\"," \
    "\"script\":\"%s/bin/vif-bridge\"}]"
#define DISK \
    "%s{\"pdev_path\":\"%s\",\"vdev\":\"%s\",\"backend\":\"qdisk\"," \
    "\"format\":\"qcow2\",\"readwrite\":1}"

/* It is no part of a snapshot, but has to be there. */
#define CDROM \
    ",{\"pdev_path\":\"%s/bin/xl\",\"vdev\":\"xvdc\",\"backend\":\"qdisk\"," \
    "\"format\":\"raw\",\"is_cdrom\":1}"

static void set(const char *value, const char *fmt, ...)
{
    AUTO_FREE char *path = NULL;
    va_list ap;

    va_start(ap, fmt);
    path = snap_vprintf(fmt, ap);
    va_end(ap);
    fake_set(path, value);
}

static void tell_disk(unsigned i)
{
    const struct host_disk *d = &host->disk[i];
    AUTO_FREE char *lib = snap_printf("/libxl/%u/device/vbd/%u", fake->domid,
                                      FIRST_DEVID + 16 * i);
    AUTO_FREE char *be = snap_printf("/local/domain/0/backend/qdisk/%u/%u",
                                     fake->domid, FIRST_DEVID + 16 * i);
    AUTO_FREE char *fe = snap_printf("/local/domain/%u/device/vbd/%u",
                                     fake->domid, FIRST_DEVID + 16 * i);
    AUTO_FREE char *params = snap_printf("qcow2:%s", d->file);

    set(be, "%s/backend", lib);
    set(fe, "%s/frontend", lib);
    set(params, "%s/params", lib);
    set(params, "%s/params", be);
    set(d->vdev, "%s/dev", be);
    set("w", "%s/mode", be);
    set("disk", "%s/device-type", be);
    set(fake->slow_ms ? "1" : "4", "%s/state", be);
    set("4", "%s/state", fe);
}

static void tell_toolstack(void)
{
    AUTO_FREE char *pid = snap_printf("%d", host->qemu);
    unsigned i;

    set(fake->name, "/local/domain/%u/name", fake->domid);
    set(pid, "/local/domain/%u/image/device-model-pid", fake->domid);
    for (i = 0; i < HOST_DISKS; i++) tell_disk(i);
}

static void configure(void)
{
    AUTO_FREE char *kernel = snap_printf(KERNEL, log_dir);
    AUTO_FREE char *vif = snap_printf(VIF, log_dir);
    struct snap_text disks = { 0 };
    AUTO_FREE char *json = NULL;
    unsigned i;

    for (i = 0; i < HOST_DISKS; i++)
        snap_text_add(&disks, DISK, i ? "," : "", host->disk[i].file,
                      host->disk[i].vdev);
    if (host_furnished) snap_text_add(&disks, CDROM, log_dir);
    json = snap_printf(CONFIG, fake->name, fake->domid,
                       host_furnished ? kernel : "", disks.data,
                       host_furnished ? vif : "");
    if (strlen(json) >= sizeof(fake->userdata)) bail("a large configuration");
    strcpy(fake->userdata, json);
    free(disks.data);
}

/* ---- processes of the host --------------------------------------- */

static pid_t start(void (*what)(int), int arg)
{
    pid_t pid = fork();

    if (pid < 0) bail("fork: %s", strerror(errno));
    if (pid) return pid;
    fault_outside = true;
    setsid();
    signal(SIGTERM, SIG_DFL);
    signal(SIGPIPE, SIG_IGN);
    what(arg);
    _exit(0);
}

static int listen_as_qemu(void)
{
    struct sockaddr_un at = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    snprintf(at.sun_path, sizeof(at.sun_path), "%s/qmp-libxenstat-%u",
             fault_run_dir, fake->domid);
    unlink(at.sun_path);
    if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof(at))
        || listen(fd, 1))
        bail("%s: %s", at.sun_path, strerror(errno));
    return fd;
}

/* As xl does while it talks to libxl: with a lock. */
static void work_on_something(int fd)
{
    struct flock l = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

    fcntl(fd, F_SETLK, &l);
    usleep(20000);
    l.l_type = F_UNLCK;
    fcntl(fd, F_SETLK, &l);
}

/* Ends when the domain is suspended, as xl's of Xen 4.17 does, or gone. */
static void monitor_main(int ignored)
{
    AUTO_FREE char *path = snap_printf("%s/xl-%s.log", log_dir, fake->name);
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
    unsigned domid = fake->domid;

    (void)ignored;
    prctl(PR_SET_NAME, "xl");
    if (fd < 0 || dup2(fd, 1) < 0) _exit(1);
    dprintf(1, "Waiting for domain %s (domid %u) to die [pid %d]\n",
            fake->name, domid, getpid());
    while (!kill(host->keeper, 0) && fake->exists && fake->domid == domid
           && !fake->suspended) {
        if (fake->slow_ms) work_on_something(fd);
        usleep(5000);
    }
}

/* What is in xenstore already is changed there: two must not add at once. */
static void open_slowly(void)
{
    AUTO_FREE char *last = snap_printf("/local/domain/%u/device/vbd/%u/state",
                                       fake->domid, FIRST_DEVID
                                       + 16 * (HOST_DISKS - 1));
    unsigned i;

    usleep(fake->slow_ms * 1000);
    while (!fake_get(last)) usleep(1000);
    for (i = 0; i < HOST_DISKS; i++)
        set("4", "/local/domain/0/backend/qdisk/%u/%u/state", fake->domid,
            FIRST_DEVID + 16 * i);
}

static void qemu_main(int listener)
{
    if (fake->slow_ms) open_slowly();
    qemu_serve(listener);
}

static void start_processes(void)
{
    int listener = listen_as_qemu();

    memset(host->jobs, 0, sizeof(host->jobs));
    host->qemu = start(qemu_main, listener);
    close(listener);
    host->monitor = start(monitor_main, 0);
    tell_toolstack();
}

static void end(pid_t pid)
{
    int i;

    if (pid <= 0) return;
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    /* One that another process started is reaped by the keeper. */
    for (i = 0; i < 500 && !kill(pid, 0); i++) usleep(10000);
}

void host_stop(void)
{
    end(host->qemu);
    end(host->monitor);
    host->qemu = host->monitor = 0;
}

/* One that is stopped before it has said so would be nobody's. */
static void await_monitor(void)
{
    struct snap_ctx quiet = SNAP_CTX_INIT;
    struct snap_monitor m = { 0 };
    int tries;

    for (tries = 0; tries < 2000; tries++) {
        if (!snap_monitor_find(&quiet, fake->domid, &m) && m.pid) break;
        usleep(5000);
    }
    if (!m.pid) bail("xl's monitor does not begin");
    snap_monitor_dispose(&m);
    snap_ctx_dispose(&quiet);
}

void host_start(const char *dir, const char *const images[HOST_DISKS])
{
    unsigned i;

    if (!host) {
        host = fault_share(sizeof(*host));
        stream_put(&stream);
    }
    snprintf(log_dir, sizeof(log_dir), "%s", dir);
    *host = (struct host){ .keeper = getpid() };
    for (i = 0; i < HOST_DISKS; i++) {
        struct host_disk *d = &host->disk[i];

        snprintf(d->vdev, sizeof(d->vdev), "xvd%c", 'a' + i);
        snprintf(d->node, sizeof(d->node), "%s-qcow2", d->vdev);
        snprintf(d->file, sizeof(d->file), "%s", images[i]);
    }
    fake->stream = stream.data;
    fake->stream_bytes = stream.len;
    fake->type = LIBXL_DOMAIN_TYPE_PVH;
    configure();
    start_processes();
    await_monitor();
    usleep(2000 * fake->slow_ms);       /* then QEMU is there, too */
}

/* ---- the guest --------------------------------------------------- */

static bool io(const char *file, const char *command)
{
    return !run_program((const char *const[]){
        "qemu-io", "-r", "-U", "-f", "qcow2", "-c", command, file, NULL });
}

void host_guest_writes(unsigned char value)
{
    AUTO_FREE char *command = snap_printf("write -q -P %u 0 64k", value);
    unsigned i;

    host->ram = value;
    memset(stream.data + stream.len - RAM_FROM_END, value, 8);
    for (i = 0; i < HOST_DISKS; i++) {
        if (run_program((const char *const[]){
                "qemu-io", "-f", "qcow2", "-c", command, host->disk[i].file,
                NULL }))
            bail("qemu-io cannot write to %s", host->disk[i].file);
    }
}

bool host_agrees(void)
{
    AUTO_FREE char *command = snap_printf("read -q -P %u 0 64k", host->ram);
    unsigned i;

    for (i = 0; i < HOST_DISKS; i++)
        if (!io(host->disk[i].file, command)) return false;
    return true;
}

/* ---- what is wrong ----------------------------------------------- */

static char *wrong_disk(const struct snap_domconfig *c, unsigned i)
{
    const struct host_disk *d = &host->disk[i];
    AUTO_FREE char *want = snap_printf("qcow2:%s", d->file);
    AUTO_FREE char *be = snap_printf("/local/domain/0/backend/qdisk/%u/%u/"
                                     "params", fake->domid,
                                     FIRST_DEVID + 16 * i);
    AUTO_FREE char *lib = snap_printf("/libxl/%u/device/vbd/%u/params",
                                      fake->domid, FIRST_DEVID + 16 * i);
    const char *a = fake_get(be), *b = fake_get(lib);

    if (!a || !b || strcmp(a, want) || strcmp(b, want))
        return snap_printf("xenstore has %s and %s, QEMU writes %s",
                           a ? a : "nothing", b ? b : "nothing", d->file);
    if (i >= c->ndisks || strcmp(c->disks[i].path, d->file))
        return snap_printf("libxl's configuration has %s, QEMU writes %s",
                           i < c->ndisks ? c->disks[i].path : "nothing",
                           d->file);
    return NULL;
}

static char *wrong_words(void)
{
    struct snap_ctx quiet = SNAP_CTX_INIT;
    AUTO_JSON struct snap_json *tree = NULL;
    struct snap_domconfig c = { 0 };
    char *wrong = NULL;
    unsigned i;

    if (snap_json_parse(&quiet, "userdata", fake->userdata,
                        strlen(fake->userdata), &tree)
        || snap_domconfig_read(&quiet, tree, &c))
        wrong = snap_strdup(quiet.message);
    for (i = 0; !wrong && i < HOST_DISKS; i++) wrong = wrong_disk(&c, i);
    snap_domconfig_dispose(&c);
    snap_ctx_dispose(&quiet);
    return wrong;
}

char *host_disorder(void)
{
    char state = 0;
    unsigned i;

    if (!fake->exists) return snap_strdup("the domain is gone");
    if (fake->suspended) return snap_strdup("the guest stands suspended");
    if (fake->paused) return snap_strdup("the domain is paused");
    if (!snap_process_start_time(host->monitor, &state) || state == 'Z')
        return snap_strdup("xl's monitor has ended");
    if (state == 'T') return snap_strdup("xl's monitor is held");
    if (!snap_process_start_time(host->qemu, &state) || state == 'Z')
        return snap_strdup("QEMU has ended");
    for (i = 0; i < HOST_DISKS; i++)
        if (host->jobs[i].id[0])
            return snap_printf("the job '%s' is left in QEMU", host->jobs[i].id);
    if (!host_agrees()) return snap_strdup("RAM and disks do not agree");
    return wrong_words();
}

/* ---- `xl restore` ------------------------------------------------ */

static int take_stdin(void)
{
    int fd = memfd_create("image", MFD_CLOEXEC);
    char buf[65536];
    ssize_t n;

    while ((n = read(0, buf, sizeof(buf))) > 0)
        if (write(fd, buf, n) != n) return -1;
    return n < 0 ? -1 : fd;
}

static int take_disks(const struct snap_domconfig *c)
{
    unsigned i;

    if (c->ndisks < HOST_DISKS) return -1;
    for (i = 0; i < HOST_DISKS; i++) {
        struct host_disk *d = &host->disk[i];

        if (access(c->disks[i].path, R_OK)) return -1;
        snprintf(d->file, sizeof(d->file), "%s", c->disks[i].path);
        snprintf(d->node, sizeof(d->node), "%s-qcow2", d->vdev);
        d->below[0] = 0;
    }
    return 0;
}

static int restore(bool paused)
{
    struct snap_ctx quiet = SNAP_CTX_INIT;
    struct snap_memimage image = { 0 };
    struct snap_domconfig c = { 0 };
    struct snap_json *tree = NULL;
    unsigned char ram;
    int fd = take_stdin();

    if (fake->exists) return 1;         /* the name is taken */
    if (fd < 0 || snap_memimage_read(&quiet, fd, "stdin", &image)
        || snap_json_parse(&quiet, "its configuration", image.config,
                           strlen(image.config), &tree)
        || snap_domconfig_read(&quiet, tree, &c) || take_disks(&c)
        || pread(fd, &ram, 1, image.size_bytes - RAM_FROM_END) != 1) {
        dprintf(2, "restore: %s\n", quiet.message ? quiet.message : "?");
        return 1;
    }
    host->ram = ram;
    fake->domid++;
    snprintf(fake->userdata, sizeof(fake->userdata), "%s", image.config);
    fake->suspended = false;
    fake->paused = paused;
    fake->exists = true;
    start_processes();
    return 0;
}

/* ---- `xl create` ------------------------------------------------- */

/* One of the disk= list. */
static int set_disk(struct snap_json *tree, const char *item)
{
    struct snap_ctx quiet = SNAP_CTX_INIT;
    char format[16], vdev[8], path[256];
    const char *from = strstr(item, "format=");
    int rc = -1;

    /* The CD stays what it is. */
    if (strstr(item, "vdev=xvdc")) return 0;
    if (from && sscanf(from, "format=%15[^,],vdev=%7[^,],access=rw,"
                       "target=%255s", format, vdev, path) == 3)
        rc = snap_domconfig_set_disk(&quiet, tree, vdev, path, format, true);
    snap_ctx_dispose(&quiet);
    return rc;
}

/* The domain's configuration with the disks of the last word. */
static struct snap_json *configured(char *const argv[])
{
    struct snap_ctx quiet = SNAP_CTX_INIT;
    struct snap_json *tree = NULL;
    AUTO_FREE char *word = NULL;
    char *item, *next;

    while (argv[1]) argv++;
    word = snap_strdup(*argv);
    if (snap_json_parse(&quiet, "userdata", fake->userdata,
                        strlen(fake->userdata), &tree))
        bail("%s", quiet.message);
    if (strncmp(word, "disk=", 5)) return tree;
    for (item = strtok_r(word + 5, "[]\"", &next); item;
         item = strtok_r(NULL, "[]\"", &next))
        if (strcmp(item, ",") && set_disk(tree, item))
            bail("xl create: %s", item);
    return tree;
}

/* After it the guest has in RAM what it found on its disks: 0x11 or 0x22. */
static int create(char *const argv[], bool paused)
{
    struct snap_ctx quiet = SNAP_CTX_INIT;
    AUTO_JSON struct snap_json *tree = configured(argv);
    AUTO_FREE char *text = snap_json_print(tree);
    struct snap_domconfig c = { 0 };

    if (fake->exists || snap_domconfig_read(&quiet, tree, &c)
        || take_disks(&c)) {
        dprintf(2, "create: %s\n", quiet.message ? quiet.message : "?");
        return 1;
    }
    host->ram = 0x11;
    if (!host_agrees()) host->ram = 0x22;
    fake->domid++;
    snprintf(fake->userdata, sizeof(fake->userdata), "%s", text);
    fake->suspended = false;
    fake->paused = paused;
    fake->exists = true;
    start_processes();
    return 0;
}

/* What an old kernel, or one's sandbox, does not have. */

int fault_openat(int dir, const char *path, int flags, mode_t mode)
{
    if (control->old_kernel && (flags & O_TMPFILE) == O_TMPFILE) {
        errno = EOPNOTSUPP;
        return -1;
    }
    return openat(dir, path, flags, mode);
}

ssize_t fault_copy_file_range(int in, off64_t *in_at, int out,
                              off64_t *out_at, size_t len, unsigned flags)
{
    if (control->old_kernel) {
        errno = ENOSYS;
        return -1;
    }
    return copy_file_range(in, in_at, out, out_at, len, flags);
}

int fault_renameat2(int from_dir, const char *from, int to_dir,
                    const char *to, unsigned flags)
{
    if (control->old_kernel) {
        errno = EINVAL;
        return -1;
    }
    return renameat2(from_dir, from, to_dir, to, flags);
}

int fault_close_range(unsigned first, unsigned last, int flags)
{
    if (control->old_kernel) {
        errno = ENOSYS;
        return -1;
    }
    return close_range(first, last, flags);
}

/* While time flies, a deadline comes before it is waited for. */
int fault_poll(struct pollfd *fds, nfds_t n, int timeout_ms)
{
    if (host && host->time_flies && (timeout_ms < 0 || timeout_ms > 10))
        timeout_ms = 10;
    return poll(fds, n, timeout_ms);
}

int fault_access(const char *path, int mode)
{
    if (strstr(path, "/privcmd") || strstr(path, "/xen-qemu-system-i386"))
        return 0;
    return access(path, mode);
}

int fault_execve(const char *path, char *const argv[], char *const env[])
{
    const char *name = strrchr(path, '/') + 1;
    int fd, status = 0;
    bool is_xl = !strcmp(name, "xl");

    if (!is_xl && strcmp(name, "xen-qemu-system-i386"))
        return execve(path, argv, env);
    /* As exec does. */
    for (fd = 3; fd < 256; fd++)
        if (fcntl(fd, F_GETFD) & FD_CLOEXEC) close(fd);
    fault_outside = true;
    if (!is_xl)
        dprintf(1, "QEMU emulator version 7.2.0\n");
    else if (!strcmp(argv[1], "-N"))
        dprintf(1, "%s\n", snap_json_print(configured(argv)));
    else if (!strcmp(argv[1], "restore"))
        status = restore(!strcmp(argv[2], "-p"));
    else
        status = create(argv, !strcmp(argv[2], "-qp"));
    _exit(status);
}

/* ---- libxl, what act/fake_xen.c has not -------------------------- */

int libxl_name_to_domid(libxl_ctx *ctx, const char *name, uint32_t *domid)
{
    AUTO_FREE char *path = snap_printf("/local/domain/%u/name", fake->domid);
    const char *known = fake_get(path);

    (void)ctx;
    /* One that is being torn down has lost it already. */
    if (!fake->exists || !known || strcmp(name, known)) return ERROR_INVAL;
    *domid = fake->domid;
    return 0;
}

libxl_dominfo *libxl_list_domain(libxl_ctx *ctx, int *nb)
{
    libxl_dominfo *list = calloc(1, sizeof(*list));

    *nb = fake->exists && !libxl_domain_info(ctx, list, fake->domid);
    return list;
}

int libxl_get_stubdom_id(libxl_ctx *ctx, int domid)
{
    (void)ctx;
    (void)domid;
    return 0;
}

const libxl_version_info *libxl_get_version_info(libxl_ctx *ctx)
{
    static char extra[] = ".3", line[] = "dom0_mem=1G";
    static const libxl_version_info info = {
        .xen_version_major = 4, .xen_version_minor = 17,
        .xen_version_extra = extra, .commandline = line, .pagesize = 4096,
    };

    (void)ctx;
    return &info;
}

int libxl_get_physinfo(libxl_ctx *ctx, libxl_physinfo *phys)
{
    (void)ctx;
    phys->free_pages = fake->dying ? 0 : 1 << 20;
    phys->cap_hap = true;
    return 0;
}

int libxl_retrieve_domain_configuration(libxl_ctx *ctx, uint32_t domid,
                                        libxl_domain_config *config,
                                        const libxl_asyncop_how *ao_how)
{
    (void)ctx;
    (void)config;
    (void)ao_how;
    return fake->exists && domid == fake->domid ? 0 : ERROR_DOMAIN_NOTFOUND;
}

char *libxl_domain_config_to_json(libxl_ctx *ctx, libxl_domain_config *config)
{
    (void)ctx;
    (void)config;
    return strdup(fake->userdata);
}

int libxl_domain_config_from_json(libxl_ctx *ctx, libxl_domain_config *config,
                                  const char *json)
{
    (void)ctx;
    (void)config;
    (void)json;
    return 0;
}

int libxl_domain_need_memory(libxl_ctx *ctx, libxl_domain_config *config,
                             uint32_t domid, uint64_t *kb)
{
    (void)ctx;
    (void)config;
    (void)domid;
    *kb = 8192;
    return 0;
}

int libxl_domain_pause(libxl_ctx *ctx, uint32_t domid,
                       const libxl_asyncop_how *ao_how)
{
    (void)ctx;
    (void)ao_how;
    if (!fake->exists || domid != fake->domid) return ERROR_DOMAIN_NOTFOUND;
    fake->paused = true;
    return 0;
}

int libxl_domain_destroy(libxl_ctx *ctx, uint32_t domid,
                         const libxl_asyncop_how *ao_how)
{
    (void)ctx;
    (void)ao_how;
    if (!fake->exists || domid != fake->domid) return ERROR_DOMAIN_NOTFOUND;
    fake->dying = true;
    usleep(fake->slow_ms * 1000);
    kill(host->qemu, SIGKILL);
    fake_unset("/libxl/");
    fake_unset("/local/domain/");
    if (fake->slow_ms)
        fake->goes_ms = fake_later() + 10 * fake->slow_ms;
    else
        fake->exists = fake->dying = false;
    return 0;
}

xc_interface *xc_interface_open(xentoollog_logger *logger,
                                xentoollog_logger *dombuild, unsigned flags)
{
    static char handle;

    (void)logger;
    (void)dombuild;
    (void)flags;
    return (xc_interface *)&handle;
}

int xc_interface_close(xc_interface *xch)
{
    (void)xch;
    return 0;
}

int xc_shadow_control(xc_interface *xch, uint32_t domid, unsigned int sop,
                      unsigned int *mb, unsigned int mode)
{
    (void)xch;
    (void)domid;
    (void)sop;
    (void)mb;
    (void)mode;
    return 0;
}
