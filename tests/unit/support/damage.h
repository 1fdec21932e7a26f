/* SPDX-License-Identifier: BSD-3-Clause */
/* Files that are damaged, or cannot be read. */
#ifndef DAMAGE_H
#define DAMAGE_H

#include "images.h"

/* As called_good() has it, of images up to 1 MiB. */
bool is_good(const char *format, struct bytes file);

/*
 * Flips a bit of a copy of the file and patches that, which leaves it bad, and untouched where it is refused.  False, and
 * nothing said of it, if the damage is none for verify, or keeps the copy from being mapped.
 */
bool patch_damaged(struct bytes file, uint64_t bit, const struct blockz_edit *edit, struct bytes *bad_ret);

/* Maps and extracts the file, by its index and by a scan, with each of the reads failing in turn. */
void assert_reads_can_fail(struct bytes file, size_t image_len);

#endif
