/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Where pieces end, as the stream itself shows it: every piece ends in a flush mark, 00 00 FF FF.
 *
 * These four bytes may stand elsewhere by chance too: within payload, once in 4 GiB of what is compressed well.  So they are found
 * without decoding anything, and count only where there are as many as there are pieces; then none stands elsewhere.  Else the
 * blocks of all pieces are followed, which takes longer, and each ends in a mark where its text does.  Empty stored blocks behind
 * a mark, which a renewed piece is filled up with, are part of its piece.
 */
#ifndef FORMAT_DEFLATE_FLUSHES_H
#define FORMAT_DEFLATE_FLUSHES_H

#include "format/format.h"

/* As find_ends() of struct format. */
enum blockz_status deflate_find_ends(const struct blockz_source *file, const struct group *group, uint64_t *ends, size_t count,
				     bool *found_ret, struct blockz_fault *fault);

#endif
