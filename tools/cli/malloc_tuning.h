/* SPDX-License-Identifier: BSD-3-Clause */
/* How the C library keeps what is freed. */
#ifndef CLI_MALLOC_TUNING_H
#define CLI_MALLOC_TUNING_H

/*
 * Has long pieces of memory go back to the system when they are freed, and threads share what is kept of short ones: so that
 * a program takes no more than it uses.  To be called first of all; does nothing where the C library keeps little anyway.
 */
void heap_give_back(void);

#endif
