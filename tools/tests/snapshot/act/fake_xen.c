/* SPDX-License-Identifier: LGPL-2.1-only */
/* The fake host: see fake_xen.h.  What is not here is the real library's. */
#include "act/fake_xen.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <libxl_utils.h>
#include <xenstore.h>

#include "tap.h"

struct fake_host *fake;

void fake_begin(void)
{
    if (!fake)
        fake = mmap(NULL, sizeof(*fake), PROT_READ | PROT_WRITE,
                    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (fake == MAP_FAILED) bail("mmap: %s", strerror(errno));
    memset(fake, 0, sizeof(*fake));
    fake->exists = true;
    fake->domid = 7;
    fake->type = LIBXL_DOMAIN_TYPE_PV;
    strcpy(fake->name, "web");
    fake_set("/local/domain/7/name", fake->name);
}

void fake_open(struct snap_ctx *sc, struct snap_xen *x)
{
    memset(x, 0, sizeof(*x));
    x->sc = sc;
    x->xs = xs_open(0);
    if (libxl_ctx_alloc(&x->ctx, LIBXL_VERSION, 0, NULL)) bail("no context");
}

/* ---- time -------------------------------------------------------- */

int clock_gettime(clockid_t clock, struct timespec *now)
{
    int64_t ms = fake && clock == CLOCK_MONOTONIC ? fake->skew_ms : 0;

    if (syscall(SYS_clock_gettime, clock, now)) return -1;
    now->tv_sec += ms / 1000;
    now->tv_nsec += ms % 1000 * 1000000;
    if (now->tv_nsec >= 1000000000) {
        now->tv_nsec -= 1000000000;
        now->tv_sec++;
    }
    return 0;
}

static int64_t real_ms(void)
{
    struct timespec now;

    syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t fake_later(void)
{
    return real_ms() + fake->slow_ms;
}

/* A moment of real time, or 0, has come: then it is 0. */
static bool due(int64_t *at_ms)
{
    int64_t at = *at_ms;

    /* Several processes look; for one it happens. */
    return at && real_ms() >= at
           && __atomic_compare_exchange_n(at_ms, &at, 0, false,
                                          __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

/* ---- the hypervisor's file --------------------------------------- */

int access(const char *path, int mode)
{
    if (!strcmp(path, "/proc/xen/privcmd")) return 0;
    return faccessat(AT_FDCWD, path, mode, 0);
}

/* ---- xenstore ---------------------------------------------------- */

static unsigned find(const char *path)
{
    unsigned i;

    for (i = 0; i < fake->nstore; i++)
        if (!strcmp(fake->store[i].path, path)) break;
    return i;
}

void fake_set(const char *path, const char *value)
{
    unsigned i = find(path);

    if (i == sizeof(fake->store) / sizeof(fake->store[0])
        || strlen(path) >= sizeof(fake->store[0].path)
        || strlen(value) >= sizeof(fake->store[0].value))
        bail("the fake xenstore is too small");
    if (i == fake->nstore) fake->nstore++;
    memcpy(fake->store[i].path, path, strlen(path) + 1);
    memcpy(fake->store[i].value, value, strlen(value) + 1);
}

const char *fake_get(const char *path)
{
    unsigned i = find(path);

    return i < fake->nstore ? fake->store[i].value : NULL;
}

void fake_unset(const char *begin)
{
    unsigned i, n = 0;

    for (i = 0; i < fake->nstore; i++)
        if (strncmp(fake->store[i].path, begin, strlen(begin)))
            fake->store[n++] = fake->store[i];
    fake->nstore = n;
}

struct xs_handle *xs_open(unsigned long flags)
{
    static char handle;

    (void)flags;
    return (struct xs_handle *)&handle;
}

void xs_close(struct xs_handle *h)
{
    (void)h;
}

void *xs_read(struct xs_handle *h, xs_transaction_t t, const char *path,
              unsigned int *len)
{
    const char *value = fake_get(path);

    (void)h;
    (void)t;
    if (*fake->unreadable && !strcmp(path, fake->unreadable)) {
        errno = EIO;
        return NULL;
    }
    if (!value) {
        errno = ENOENT;
        return NULL;
    }
    *len = strlen(value);
    return snap_strdup(value);
}

bool xs_write(struct xs_handle *h, xs_transaction_t t, const char *path,
              const void *data, unsigned int len)
{
    AUTO_FREE char *value = snap_strndup(data, len);

    (void)h;
    (void)t;
    fake_set(path, value);
    return true;
}

/* The names right below a path; as the real one, one block of memory. */
char **xs_directory(struct xs_handle *h, xs_transaction_t t, const char *path,
                    unsigned int *num)
{
    size_t len = strlen(path), cap = 256;
    char **names = snap_zalloc(cap * (sizeof(char *) + 64));
    char *text = (char *)(names + cap);
    unsigned i, k;

    (void)h;
    (void)t;
    for (*num = i = 0; i < fake->nstore; i++) {
        const char *rest = fake->store[i].path + len + 1;
        size_t n = strcspn(fake->store[i].path + len
                           + (strlen(fake->store[i].path) > len), "/");

        if (strncmp(fake->store[i].path, path, len)
            || fake->store[i].path[len] != '/' || n >= 64) continue;
        for (k = 0; k < *num; k++)
            if (strlen(names[k]) == n && !strncmp(names[k], rest, n)) break;
        if (k < *num) continue;
        names[*num] = text + 64 * *num;
        memcpy(names[(*num)++], rest, n);
    }
    return names;
}

xs_transaction_t xs_transaction_start(struct xs_handle *h)
{
    (void)h;
    return 1;
}

bool xs_transaction_end(struct xs_handle *h, xs_transaction_t t, bool abort)
{
    (void)h;
    (void)t;
    (void)abort;        /* nobody writes in one that is given up */
    return true;
}

/* Of watch_events, in this process. */
static int fetched;

/* Events are counted, whatever is watched: one says that it was set. */
bool xs_watch(struct xs_handle *h, const char *path, const char *token)
{
    (void)h;
    (void)path;
    (void)token;
    fetched = fake->watch_events - 1;
    return true;
}

bool xs_unwatch(struct xs_handle *h, const char *path, const char *token)
{
    (void)h;
    (void)path;
    (void)token;
    return true;
}

char **xs_check_watch(struct xs_handle *h)
{
    (void)h;
    if (fetched >= fake->watch_events) {
        errno = EAGAIN;
        return NULL;
    }
    fetched++;
    return snap_zalloc(2 * sizeof(char *));
}

/* ---- libxl ------------------------------------------------------- */

int libxl_ctx_alloc(libxl_ctx **pctx, int version, unsigned flags,
                    xentoollog_logger *lg)
{
    static char context;

    (void)version;
    (void)flags;
    (void)lg;
    *pctx = (libxl_ctx *)&context;
    return 0;
}

int libxl_ctx_free(libxl_ctx *ctx)
{
    (void)ctx;
    return 0;
}

static char *shutdown_path(void)
{
    return snap_printf("/local/domain/%u/control/shutdown", fake->domid);
}

/* The slow guest answers a request, if it was not withdrawn. */
static void acknowledge(void)
{
    AUTO_FREE char *path = shutdown_path();
    const char *asked = fake_get(path);

    if (!asked || strcmp(asked, "suspend")) return;
    fake_set(path, "");
    fake->suspends_ms = fake_later();
}

static void see_slow_things(void)
{
    if (due(&fake->acks_ms)) acknowledge();
    if (due(&fake->suspends_ms)) fake->suspended = true;
    if (due(&fake->runs_ms)) fake->suspended = false;
    if (due(&fake->goes_ms)) fake->exists = fake->dying = false;
}

void fake_settle(void)
{
    while (fake->acks_ms || fake->suspends_ms || fake->runs_ms
           || fake->goes_ms) {
        see_slow_things();
        usleep(1000);
    }
}

static void suspend_slowly(void)
{
    AUTO_FREE char *path = shutdown_path();

    fake_set(path, "suspend");
    fake->acks_ms = fake_later();
    while (!fake->suspended) {
        see_slow_things();
        usleep(2000);
    }
}

/* Some guests obey long after they were asked. */
static void pass_time(void)
{
    see_slow_things();
    if (fake->looks_fast != getpid()) fake->skew_ms += fake->look_ms;
    if (fake->suspends_after && !--fake->suspends_after)
        fake->suspended = true;
}

int libxl_domain_info(libxl_ctx *ctx, libxl_dominfo *info, uint32_t domid)
{
    unsigned i;

    (void)ctx;
    pass_time();
    if (!fake->exists || domid != fake->domid) return ERROR_DOMAIN_NOTFOUND;
    if (!info) return 0;
    for (i = 0; i < 16; i++) info->uuid.uuid[i] = i;
    info->domid = domid;
    info->paused = fake->paused;
    info->dying = fake->dying;
    info->shutdown = fake->suspended;
    info->shutdown_reason = fake->suspended ? LIBXL_SHUTDOWN_REASON_SUSPEND
                                            : LIBXL_SHUTDOWN_REASON_UNKNOWN;
    info->domain_type = fake->type;
    info->current_memkb = 4096;
    return 0;
}

int libxl_domain_suspend(libxl_ctx *ctx, uint32_t domid, int fd, int flags,
                         const libxl_asyncop_how *ao_how)
{
    static const char end[24];
    const char *stream = fake->stream ? fake->stream : end;
    size_t len = fake->stream ? fake->stream_bytes : sizeof(end);

    (void)ctx;
    (void)domid;
    (void)flags;
    (void)ao_how;
    fake->asked++;
    fake->watch_events++;       /* it writes to control/shutdown */
    while (fake->suspend_hangs) pause();
    if (fake->suspend_rc) return fake->suspend_rc;
    if (fake->slow_ms)
        suspend_slowly();
    else
        fake->suspended = true;
    usleep(fake->save_us);
    return write(fd, stream, len) == (ssize_t)len ? 0 : ERROR_FAIL;
}

int libxl_domain_resume(libxl_ctx *ctx, uint32_t domid, int suspend_cancel,
                        const libxl_asyncop_how *ao_how)
{
    (void)ctx;
    (void)domid;
    (void)ao_how;
    fake->resumed++;
    if (fake->resume_rc) return fake->resume_rc;
    if (!suspend_cancel || !fake->suspended) return ERROR_FAIL;
    if (fake->slow_ms)
        fake->runs_ms = fake_later();
    else
        fake->suspended = false;
    return 0;
}

int libxl_domain_unpause(libxl_ctx *ctx, uint32_t domid,
                         const libxl_asyncop_how *ao_how)
{
    (void)ctx;
    (void)domid;
    (void)ao_how;
    fake->unpaused++;
    fake->paused = false;
    return 0;
}

int libxl_userdata_retrieve(libxl_ctx *ctx, uint32_t domid, const char *id,
                            uint8_t **data, int *len)
{
    (void)ctx;
    *data = NULL;
    *len = 0;
    if (domid != fake->domid || strcmp(id, "libxl-json") || !fake->userdata[0])
        return 0;
    *len = strlen(fake->userdata) + 1;
    *data = (uint8_t *)snap_strdup(fake->userdata);
    return 0;
}

int libxl_userdata_store(libxl_ctx *ctx, uint32_t domid, const char *id,
                         const uint8_t *data, int len)
{
    (void)ctx;
    if (domid != fake->domid || strcmp(id, "libxl-json") || len < 1
        || (size_t)len > sizeof(fake->userdata) || data[len - 1])
        return ERROR_INVAL;
    memcpy(fake->userdata, data, len);
    return 0;
}
