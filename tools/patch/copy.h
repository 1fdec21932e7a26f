/* SPDX-License-Identifier: BSD-3-Clause */
/* Patched copies of a compressed file. */
#ifndef PATCH_COPY_H
#define PATCH_COPY_H

#include "blockz.h"
#include "files/compressed.h"
#include "files/digest.h"
#include "files/output.h"

/*
 * Writes what a plan makes of a file to an output that was just opened.  With sha256_ret the digest of the copy is taken on
 * its way; without, what stays as it is gets into a named output inside the kernel, by shared blocks where the file system
 * can and they lie alike in both files.
 * Errors: BLOCKZ_FAILED, and those of blockz_plan_copy().  The state in *fault is that of file: unchanged.
 */
enum blockz_status copy_patched(const struct blockz_plan *plan, const struct compressed *file, struct output *output,
				char sha256_ret[DIGEST_HEX], struct blockz_fault *fault);

#endif
