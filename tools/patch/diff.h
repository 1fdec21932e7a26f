/* SPDX-License-Identifier: BSD-3-Clause */
/* Where two plain files of the same size differ. */
#ifndef PATCH_DIFF_H
#define PATCH_DIFF_H

#include "blockz.h"

/*
 * Finds the ranges in which two regular files or block devices differ, both of the same size.  What is a hole in both
 * is not read, nor what lies in the same blocks of the same file system (reflinks).
 *
 * The ranges ascend, do not touch, and start and end with a byte that differs.  Inside, up to 31 bytes in a row may be
 * equal; more of them where the list would otherwise exceed 65,536 ranges, which bounds its memory to 1 MiB.
 *
 * *ranges_ret is the caller's to free.  Errors: BLOCKZ_USAGE (not such files, other sizes), BLOCKZ_FAILED.
 */
enum blockz_status diff_files(int edited_fd, int base_fd, struct blockz_range **ranges_ret, size_t *count_ret,
			      struct blockz_fault *fault);

#endif
