/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * Linux processes as /proc shows them (proc(5)).  A number may be another
 * process's soon; with the start time beside it, it is one process's alone.
 */
#ifndef SNAP_HOST_PROCESS_H
#define SNAP_HOST_PROCESS_H

#include "snap_internal.h"

#define SNAP_COMM_SIZE 32

/* Start time in clock ticks since boot; 0 when there is no such process.
 * *state, if asked for: its letter in /proc/PID/stat. */
uint64_t snap_process_start_time(int pid, char *state);
/* Is this very process there and able to do anything? A zombie is not; one
 * that cannot be looked at is. start_time 0: any process of that number. */
bool snap_process_lives(int pid, uint64_t start_time);
/* The same, but negative with errno when it cannot be looked at. */
int snap_process_look(int pid, uint64_t start_time);
/* Wait until it is not; ERROR_TIMEDOUT without a message. */
int snap_process_wait_gone(int pid, uint64_t start_time, int timeout_ms);

/* Its short name, harmless to print; "" and -1 with errno when it cannot be
 * read. */
int snap_process_comm(int pid, char comm[SNAP_COMM_SIZE]);

/* For a visit that could not look: 0 when errno says that the process has
 * ended meanwhile, else -1. */
int snap_process_or_gone(void);

/* 1: this is the one; 0: go on; -1 with errno. */
typedef int snap_process_visit(int pid, void *arg);
/* Visit the processes, ourselves left out, until one is the one: its number.
 * 0: none is; -1 with errno, the visit's or that of reading /proc. */
int snap_process_find(snap_process_visit *visit, void *arg);

#endif
