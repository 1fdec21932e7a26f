/* SPDX-License-Identifier: BSD-3-Clause */
/* What a store of pages holds and did, in two lines for people. */
#ifndef NBDKIT_RAM_STATISTICS_H
#define NBDKIT_RAM_STATISTICS_H

#include "blockz_pages.h"

/* Says it as it is now.  Any thread may call it. */
void statistics_say(struct blockz_pages *pages);

#endif
