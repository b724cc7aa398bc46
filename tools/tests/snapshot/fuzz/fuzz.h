/* SPDX-License-Identifier: LGPL-2.1-only */
/*
 * A fuzz target is one function that takes bytes from outside and must come
 * back, whatever they are; libFuzzer calls it, with the sanitizers watching.
 */
#ifndef SNAP_TEST_FUZZ_H
#define SNAP_TEST_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

/* What must hold for every input. */
#define must(claim) do { if (!(claim)) abort(); } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
