/* SPDX-License-Identifier: BSD-3-Clause */
/* How much of the machine's memory is for this process. */
#ifndef CLI_ALLOWANCE_H
#define CLI_ALLOWANCE_H

#include <stdint.h>

/*
 * The bytes of memory that this process may take: what the machine has, or less where RLIMIT_AS, RLIMIT_DATA or a control
 * group (version 1 or 2; its own, and those around it that can be seen) say so.  What is in use already counts as well.
 * root: the folder in which proc and the mounted control groups are found, "" but in tests.
 */
uint64_t allowance_memory(const char *root);

#endif
