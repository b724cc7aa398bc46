/* SPDX-License-Identifier: LGPL-2.1-only */
/* The points that the linker listed, and what happens at one that is armed. */
#include "fault/sweep.h"

#include "tap.h"

extern const struct fault_point __start_fault_points[], __stop_fault_points[];

struct fault_control *control;
bool fault_outside;

unsigned fault_count(void)
{
    return __stop_fault_points - __start_fault_points;
}

const struct fault_point *fault_point(unsigned number)
{
    return &__start_fault_points[number];
}

void *fault_share(size_t len)
{
    void *p = mmap(NULL, len, PROT_READ | PROT_WRITE,
                   MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    if (p == MAP_FAILED) bail("mmap: %s", strerror(errno));
    return p;
}

void fault_begin(void)
{
    control = fault_share(sizeof(*control));
    if (fault_count() > sizeof(control->visited)) bail("too many points");
}

static void kill_children(void)
{
    AUTO_FREE char *path = snap_printf("/proc/self/task/%d/children",
                                       getpid());
    FILE *f = fopen(path, "re");
    int pid;

    while (f && fscanf(f, "%d", &pid) == 1) kill(pid, SIGKILL);
    if (f) fclose(f);
}

bool fault_here(const struct fault_point *p, int errnoval)
{
    unsigned number = p - __start_fault_points;

    if (!control || fault_outside) return false;
    if (control->recording && control->visited[number] < 255)
        control->visited[number]++;
    if (control->mode == FAULT_NONE || number != control->armed) return false;
    if (control->skip) {
        control->skip--;
        return false;
    }
    if (__atomic_exchange_n(&control->fired, true, __ATOMIC_SEQ_CST))
        return false;
    if (control->mode == FAULT_KILL_ALL) kill_children();
    if (control->mode != FAULT_ERROR) raise(SIGKILL);
    control->errnoval = errno = errnoval;
    return true;
}
