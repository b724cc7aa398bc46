/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * tick: the first and only program of a lab guest.
 *
 * It proves that the memory and the disks of a domain belong together.  A
 * count lives in memory and on every disk; each tick reads the disks back
 * past every cache, compares, then writes count + 1 everywhere.  Memory of
 * one moment with disks of another cannot pass unnoticed.  What it says on
 * the console:
 *
 *   TICK start N fresh | ok | skew   the count the disks were found with
 *   TICK N ok
 *   TICK N MISMATCH disk xvda has M
 *   TICK N RAM MISMATCH ...          the pattern in memory is damaged
 *   TICK N ERROR ...                 a disk cannot be read or written
 *   GAP N ms                         a new longest time between two ticks
 *
 * Options come on the kernel command line: tick.disks=xvda,xvdb tick.ms=100
 * tick.ram=4 (MiB of pattern) tick.fresh=1 (forget what the disks hold).
 * Commands come on the console, one per line: stop, go, gap, say WORDS,
 * fill MIB [FROM] (from that MiB on), sum MIB, sh COMMAND, reboot, poweroff.
 *
 * It is not a daemon and not portable: it expects to be process 1.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/aio_abi.h>
#include <linux/fs.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/reboot.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#define MAX_DISKS   8
#define BLOCK       4096
#define MIB         (1024 * 1024)
#define SLOTS       64
#define SLOT_FIRST  ((off_t)MIB)
#define SLOT_STRIDE ((off_t)64 * 1024)
#define FILL_FIRST  ((off_t)8 * MIB)

static const char magic[8] = "labtick";

/* One block on a disk: the head at 0, or the slot of a count. */
struct block {
    char magic[8];
    uint64_t count;
    uint64_t place;             /* byte offset, against misplaced writes */
    unsigned char rest[BLOCK - 24];
};

struct disk {
    char name[16];
    int fd;
};

static struct {
    struct disk disks[MAX_DISKS];
    int ndisks;
    uint64_t count;
    uint64_t *ram;
    size_t ram_words;
    long period_ms;
    long last_ms;               /* 0: no tick to measure from */
    long longest_ms;
    bool fresh;
    bool stopped;
} lab = { .period_ms = 100, .ram_words = 4 * MIB / sizeof(uint64_t) };

/* Aligned for O_DIRECT. */
static struct block blocks[SLOTS] __attribute__((aligned(BLOCK)));
static unsigned char io_mib[MIB] __attribute__((aligned(BLOCK)));

/* A whole line in one write, so that the kernel's messages do not cut it. */
static void __attribute__((format(printf, 1, 2))) say(const char *fmt, ...)
{
    char line[512];
    va_list args;
    int len;

    va_start(args, fmt);
    len = vsnprintf(line, sizeof(line) - 1, fmt, args);
    va_end(args);
    if (len < 0)
        return;
    if (len > (int)sizeof(line) - 2)
        len = sizeof(line) - 2;
    line[len++] = '\n';
    if (write(STDOUT_FILENO, line, len) != len)
        return;
}

/* Time that also passes while the domain is suspended. */
static long now_ms(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_BOOTTIME, &ts);
    return ts.tv_sec * 1000L + ts.tv_nsec / 1000000L;
}

/* --- the command line ------------------------------------------------- */

static void add_disks(char *list)
{
    char *name, *save = NULL;

    for (name = strtok_r(list, ",", &save); name;
         name = strtok_r(NULL, ",", &save)) {
        if (lab.ndisks == MAX_DISKS)
            return;
        snprintf(lab.disks[lab.ndisks].name,
                 sizeof(lab.disks[0].name), "%s", name);
        lab.disks[lab.ndisks++].fd = -1;
    }
}

static void read_options(void)
{
    char line[4096], *word, *save = NULL;
    FILE *f = fopen("/proc/cmdline", "r");

    if (!f || !fgets(line, sizeof(line), f)) {
        say("TICK 0 ERROR no command line");
        line[0] = '\0';
    }
    if (f)
        fclose(f);
    for (word = strtok_r(line, " \n", &save); word;
         word = strtok_r(NULL, " \n", &save)) {
        if (!strncmp(word, "tick.disks=", 11))
            add_disks(word + 11);
        else if (!strncmp(word, "tick.ms=", 8))
            lab.period_ms = atol(word + 8);
        else if (!strncmp(word, "tick.ram=", 9))
            lab.ram_words = atol(word + 9) * MIB / sizeof(uint64_t);
        else if (!strcmp(word, "tick.fresh=1"))
            lab.fresh = true;
    }
}

/* --- disks ------------------------------------------------------------ */

static off_t slot_offset(uint64_t count)
{
    return SLOT_FIRST + (off_t)(count % SLOTS) * SLOT_STRIDE;
}

/*
 * What is read goes out in batches, for all disks at once: under emulation
 * every notification of the backend costs milliseconds.
 */
struct piece {
    const struct disk *disk;
    off_t offset;
    uint64_t count;             /* what it must hold, or is to hold */
    bool failed;
};

static struct {
    aio_context_t aio;
    struct piece pieces[SLOTS];
    struct iocb iocbs[SLOTS];
    int n;
} batch;

static void add_piece(const struct disk *disk, off_t offset, uint64_t count)
{
    batch.pieces[batch.n++] = (struct piece){
        .disk = disk, .offset = offset, .count = count,
    };
}

/* All pieces at once, as IOCB_CMD_PREAD or IOCB_CMD_PWRITE. */
static void run_batch(int opcode)
{
    struct iocb *list[SLOTS];
    struct io_event events[SLOTS];
    long sent = 0, done = 0, got, i;

    for (i = 0; i < batch.n; i++) {
        batch.pieces[i].failed = true;
        list[i] = &batch.iocbs[i];
        *list[i] = (struct iocb){
            .aio_data = i,
            .aio_lio_opcode = opcode,
            .aio_fildes = batch.pieces[i].disk->fd,
            .aio_buf = (uintptr_t)&blocks[i],
            .aio_nbytes = BLOCK,
            .aio_offset = batch.pieces[i].offset,
        };
    }
    if (batch.n)
        sent = syscall(SYS_io_submit, batch.aio, (long)batch.n, list);
    while (done < sent) {
        got = syscall(SYS_io_getevents, batch.aio, sent - done, sent - done,
                      events, NULL);
        if (got < 0 && errno != EINTR)
            return;
        /* A suspend of the guest interrupts it: EINTR, or not all. */
        for (i = 0; i < got; i++, done++)
            batch.pieces[events[i].data].failed = events[i].res != BLOCK;
    }
}

/* 1 and the count, or 0 when there is no block of ours. */
static int found_in(const struct block *block, off_t offset, uint64_t *count)
{
    if (memcmp(block->magic, magic, sizeof(magic)) ||
        block->place != (uint64_t)offset)
        return 0;
    *count = block->count;
    return 1;
}

/* 1 and the count, 0 when there is no block of ours, -1 on an I/O error. */
static int get_block(const struct disk *disk, off_t offset, uint64_t *count)
{
    memset(blocks, 0, BLOCK);
    if (pread(disk->fd, blocks, BLOCK, offset) != BLOCK)
        return -1;
    return found_in(blocks, offset, count);
}

static void fill_block(struct block *block, off_t offset, uint64_t count)
{
    memset(block, (int)(count & 0xff), sizeof(*block));
    memcpy(block->magic, magic, sizeof(magic));
    block->count = count;
    block->place = offset;
}

static int put_block(const struct disk *disk, off_t offset, uint64_t count)
{
    fill_block(blocks, offset, count);
    return pwrite(disk->fd, blocks, BLOCK, offset) == BLOCK ? 0 : -1;
}

/*
 * The slot first, the head last: a disk cut off between the two has a head
 * that is true, and one slot ahead that nobody checks (see want_slot).
 */
static void put_count(const struct disk *disk, uint64_t count)
{
    if (put_block(disk, slot_offset(count), count) ||
        put_block(disk, 0, count) || fdatasync(disk->fd))
        say("TICK %" PRIu64 " ERROR disk %s write: %s", lab.count,
            disk->name, strerror(errno));
}

/* One block against what it must hold; false once complained. */
static bool check_piece(const struct piece *piece, const struct block *block)
{
    uint64_t have = 0;
    bool found = found_in(block, piece->offset, &have);

    if (piece->failed)
        say("TICK %" PRIu64 " ERROR disk %s read", lab.count,
            piece->disk->name);
    else if (!found)
        say("TICK %" PRIu64 " MISMATCH disk %s has nothing at %lld",
            lab.count, piece->disk->name, (long long)piece->offset);
    else if (have != piece->count)
        say("TICK %" PRIu64 " MISMATCH disk %s has %" PRIu64 " at %lld",
            lab.count, piece->disk->name, have, (long long)piece->offset);
    return !piece->failed && found && have == piece->count;
}

/* Read all pieces and check them; false once complained. */
static bool check_batch(void)
{
    bool good = true;
    int i;

    memset(blocks, 0, batch.n * sizeof(blocks[0]));
    run_batch(IOCB_CMD_PREAD);
    for (i = 0; i < batch.n; i++)
        good &= check_piece(&batch.pieces[i], &blocks[i]);
    batch.n = 0;
    return good;
}

/*
 * Slot k holds the newest count that is k modulo SLOTS, 0 before the first.
 * The slot that the next tick will write is not checked: it may already
 * hold that count.
 */
static void want_slot(const struct disk *disk, uint64_t k)
{
    uint64_t back = (lab.count - k) % SLOTS;

    if (k % SLOTS != (lab.count + 1) % SLOTS)
        add_piece(disk, slot_offset(k),
                  back < lab.count ? lab.count - back : 0);
}

/*
 * The head alone proves little: memory that wakes up between its check and
 * its write overwrites the evidence.  The slot after the next one tells a
 * disk that is ahead of the memory, the slot before this one a disk that is
 * behind, and over 64 ticks every slot gets its turn.
 */
static bool check_disks(void)
{
    int i;

    for (i = 0; i < lab.ndisks; i++) {
        add_piece(&lab.disks[i], 0, lab.count);
        want_slot(&lab.disks[i], lab.count);
        want_slot(&lab.disks[i], lab.count - 1);
        want_slot(&lab.disks[i], lab.count + 2);
        want_slot(&lab.disks[i], lab.count * 7 + 3);
    }
    return check_batch();
}

/* Wait for the device node: an HVM guest meets its disks late. */
static void open_disk(struct disk *disk)
{
    char path[32];
    int tries;

    snprintf(path, sizeof(path), "/dev/%s", disk->name);
    for (tries = 0; tries < 600; tries++) {
        disk->fd = open(path, O_RDWR | O_DIRECT | O_CLOEXEC);
        if (disk->fd >= 0)
            return;
        usleep(100 * 1000);
    }
    say("TICK 0 ERROR disk %s cannot be opened: %s", disk->name,
        strerror(errno));
}

/*
 * Disks are written in their order, so that a disk-only snapshot taken at
 * any moment finds an earlier disk at most one count ahead of a later one.
 */
static const char *compare_heads(const uint64_t *heads, uint64_t *newest)
{
    const char *verdict = "ok";
    int i;

    *newest = heads[0];
    for (i = 1; i < lab.ndisks; i++) {
        if (heads[i] == heads[i - 1])
            continue;
        if (heads[i] + 1 == heads[i - 1] && heads[0] == heads[i - 1]) {
            verdict = "skew";
            continue;
        }
        say("TICK start MISMATCH disk %s has %" PRIu64 ", disk %s has %"
            PRIu64, lab.disks[i].name, heads[i], lab.disks[i - 1].name,
            heads[i - 1]);
        verdict = "bad";
    }
    return verdict;
}

/* A disk that never counted: every slot written, all at 0. */
static void format_disk(const struct disk *disk)
{
    uint64_t slot;

    for (slot = 1; slot < SLOTS; slot++) {
        fill_block(&blocks[batch.n], slot_offset(slot), 0);
        add_piece(disk, slot_offset(slot), 0);
    }
    run_batch(IOCB_CMD_PWRITE); /* put_count meets the same error */
    batch.n = 0;
    put_count(disk, 0);
}

/* Go on where the disks stopped. */
static const char *continue_count(const uint64_t *heads)
{
    const char *verdict = compare_heads(heads, &lab.count);
    uint64_t slot;
    int i;

    for (i = 0; i < lab.ndisks; i++) {
        if (heads[i] != lab.count)
            put_count(&lab.disks[i], lab.count);
        for (slot = 0; slot < SLOTS; slot++)
            want_slot(&lab.disks[i], slot);
        check_batch();
    }
    return verdict;
}

static void start_count(void)
{
    uint64_t heads[MAX_DISKS] = { 0 };
    const char *verdict = "fresh";
    int i, ours = 0;

    for (i = 0; i < lab.ndisks; i++)
        ours += get_block(&lab.disks[i], 0, &heads[i]) > 0;
    if (ours && ours < lab.ndisks && !lab.fresh)
        say("TICK start MISMATCH %d of %d disks are empty",
            lab.ndisks - ours, lab.ndisks);
    if (ours && !lab.fresh)
        verdict = continue_count(heads);
    else
        for (i = 0; i < lab.ndisks; i++)
            format_disk(&lab.disks[i]);
    say("TICK start %" PRIu64 " %s", lab.count, verdict);
}

/* --- memory ----------------------------------------------------------- */

static uint64_t pattern(uint64_t count, size_t i)
{
    return count * 0x9e3779b97f4a7c15ULL + i * 0xbf58476d1ce4e5b9ULL;
}

static void fill_ram(void)
{
    size_t i;

    for (i = 0; i < lab.ram_words; i++)
        lab.ram[i] = pattern(lab.count, i);
}

static bool check_ram(void)
{
    size_t i;

    for (i = 0; i < lab.ram_words; i++) {
        if (lab.ram[i] == pattern(lab.count, i))
            continue;
        say("TICK %" PRIu64 " RAM MISMATCH at word %zu", lab.count, i);
        return false;
    }
    return true;
}

/* --- the tick --------------------------------------------------------- */

static void measure_gap(void)
{
    long now = now_ms();
    long gap = lab.last_ms ? now - lab.last_ms : 0;

    lab.last_ms = now;
    if (gap <= lab.longest_ms)
        return;
    lab.longest_ms = gap;
    say("GAP %ld ms", gap);
}

static void tick(void)
{
    bool good = check_ram();
    int i;

    good &= check_disks();
    measure_gap();
    if (good)
        say("TICK %" PRIu64 " ok", lab.count);
    for (i = 0; i < lab.ndisks; i++)
        put_count(&lab.disks[i], lab.count + 1);
    lab.count++;
    fill_ram();
}

/* --- commands --------------------------------------------------------- */

/* Bytes of the first disk that "fill" may use; 0 without such a disk. */
static off_t fill_room(void)
{
    uint64_t size = 0;

    if (!lab.ndisks || ioctl(lab.disks[0].fd, BLKGETSIZE64, &size) ||
        size < (uint64_t)FILL_FIRST + MIB)
        return 0;
    return ((off_t)size - FILL_FIRST) / MIB * MIB;
}

static void random_mib(uint64_t *state)
{
    uint64_t *word = (uint64_t *)io_mib;
    size_t i;

    for (i = 0; i < MIB / sizeof(*word); i++) {
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        word[i] = *state;
    }
}

/* Runs in a child, so that the ticks go on. */
static void fill(long mib, long from)
{
    uint64_t state = (uint64_t)now_ms() * 2 + 1;
    off_t room = fill_room();
    long i;

    if (!room) {
        say("FILL failed: no room");
        return;
    }
    for (i = 0; i < mib; i++) {
        random_mib(&state);
        if (pwrite(lab.disks[0].fd, io_mib, MIB,
                   FILL_FIRST + (off_t)(from + i) * MIB % room) != MIB) {
            say("FILL failed: %s", strerror(errno));
            return;
        }
    }
    fdatasync(lab.disks[0].fd);
    say("FILL %ld done", mib);
}

/* The checksum of what fill wrote: equal before and after a revert. */
static void sum(long mib)
{
    uint64_t hash = 0xcbf29ce484222325ULL, *word = (uint64_t *)io_mib;
    off_t room = fill_room();
    size_t k;
    long i;

    for (i = 0; room && i < mib; i++) {
        if (pread(lab.disks[0].fd, io_mib, MIB,
                  FILL_FIRST + (off_t)i * MIB % room) != MIB) {
            say("SUM failed: %s", strerror(errno));
            return;
        }
        for (k = 0; k < MIB / sizeof(*word); k++)
            hash = (hash ^ word[k]) * 0x100000001b3ULL;
    }
    say("SUM %ld %016" PRIx64, mib, hash);
}

static void run_shell(const char *command)
{
    pid_t pid = fork();
    int status = -1;

    if (pid == 0) {
        execl("/bin/sh", "sh", "-c", command, (char *)NULL);
        _exit(127);
    }
    if (pid > 0)
        waitpid(pid, &status, 0);
    say("SH %d done", WIFEXITED(status) ? WEXITSTATUS(status) : -1);
}

/* Long commands run beside the ticks. */
static void beside(void (*work)(const char *), const char *arg)
{
    if (fork() == 0) {
        work(arg);
        _exit(0);
    }
}

static void work_fill(const char *arg)
{
    char *end;
    long mib = strtol(arg, &end, 10);

    fill(mib, strtol(end, NULL, 10));
}

static void work_sum(const char *arg)
{
    sum(atol(arg));
}

static void leave(int how)
{
    sync();
    reboot(how);
}

static void set_stopped(bool stopped)
{
    lab.stopped = stopped;
    lab.last_ms = 0;
    say("%s %" PRIu64, stopped ? "STOPPED" : "GOING", lab.count);
}

static void obey(char *line)
{
    char *arg = strchr(line, ' ');

    if (arg)
        *arg++ = '\0';
    else
        arg = line + strlen(line);

    if (!strcmp(line, "say")) {
        say("SAID %s", arg);
    } else if (!strcmp(line, "stop") || !strcmp(line, "go")) {
        set_stopped(line[0] == 's');
    } else if (!strcmp(line, "gap")) {
        lab.longest_ms = 0;
        say("GAP reset");
    } else if (!strcmp(line, "fill")) {
        beside(work_fill, arg);
    } else if (!strcmp(line, "sum")) {
        beside(work_sum, arg);
    } else if (!strcmp(line, "sh")) {
        beside(run_shell, arg);
    } else if (!strcmp(line, "reboot")) {
        leave(RB_AUTOBOOT);
    } else if (!strcmp(line, "poweroff")) {
        leave(RB_POWER_OFF);
    } else if (line[0]) {
        say("WHAT %s", line);
    }
}

/* Bytes as they come; a line too long is cut. */
static void read_commands(void)
{
    static char line[512];
    static size_t len;
    char bytes[256];
    ssize_t i, got = read(STDIN_FILENO, bytes, sizeof(bytes));

    for (i = 0; i < got; i++) {
        if (bytes[i] != '\n' && bytes[i] != '\r') {
            if (len < sizeof(line) - 1)
                line[len++] = bytes[i];
            continue;
        }
        line[len] = '\0';
        len = 0;
        obey(line);
    }
}

/* --- main ------------------------------------------------------------- */

/* No echo, no translation: the log shows what we say and nothing else. */
static void set_console(void)
{
    struct termios tio;
    int fd = open("/dev/hvc0", O_RDWR | O_NOCTTY);

    if (fd >= 0) {
        dup2(fd, STDIN_FILENO);
        dup2(fd, STDOUT_FILENO);
        dup2(fd, STDERR_FILENO);
    }
    if (tcgetattr(STDIN_FILENO, &tio))
        return;
    cfmakeraw(&tio);
    tcsetattr(STDIN_FILENO, TCSANOW, &tio);
}

int main(void)
{
    struct pollfd in = { .fd = STDIN_FILENO, .events = POLLIN };
    long next, wait;
    int i;

    set_console();
    read_options();
    lab.ram = malloc(lab.ram_words * sizeof(*lab.ram) + 1);
    if (!lab.ram) {
        say("TICK 0 ERROR no memory for the pattern");
        lab.ram_words = 0;
    }
    if (syscall(SYS_io_setup, SLOTS, &batch.aio))
        say("TICK 0 ERROR no asynchronous I/O: %s", strerror(errno));
    for (i = 0; i < lab.ndisks; i++)
        open_disk(&lab.disks[i]);
    start_count();
    fill_ram();

    for (next = now_ms();;) {
        wait = next - now_ms();
        if (lab.stopped || wait > lab.period_ms)
            wait = lab.period_ms;
        if (poll(&in, 1, wait > 0 ? (int)wait : 0) > 0)
            read_commands();
        while (waitpid(-1, NULL, WNOHANG) > 0)
            continue;
        if (lab.stopped || now_ms() < next)
            continue;
        tick();
        next = now_ms() + lab.period_ms;
    }
}
