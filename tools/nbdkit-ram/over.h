/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Whether a disk is saved over the file that it was loaded from: as a copy of that, in which pieces that were written to are
 * encoded again.
 */
#ifndef NBDKIT_RAM_OVER_H
#define NBDKIT_RAM_OVER_H

#include "base.h"
#include "settings.h"

/* True if the file has the format, the size and the raw ranges that are wanted. */
bool over_is_possible(const struct base *base, const struct settings *settings, const struct rawlist *raw);

/*
 * False if more was written than is left of the file, in the format that pages are compressed in: then they are copied, and
 * what is left is compressed.
 */
bool over_is_faster(const struct base *base, const struct settings *settings, struct blockz_pages *pages);

#endif
