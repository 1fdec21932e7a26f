/* SPDX-License-Identifier: BSD-3-Clause */
/* Tells the C library how much of what a program has freed it may keep for it. */
#ifndef CLI_MALLOC_TUNING_H
#define CLI_MALLOC_TUNING_H

/*
 * Long allocations go back to the system when they are freed, and threads share what is kept of short ones, so that a
 * program takes no more than it uses.  It is to be called first of all; where the C library keeps little anyway, it does
 * nothing.
 */
void malloc_tuning_apply(void);

#endif
