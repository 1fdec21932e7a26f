/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * OLD's space (see delta.h): the bytes of the file, and behind them those of its blocks, which are decoded when they are
 * first asked for, and kept while there is room.
 */
#ifndef DELTA_FILE_OLD_SPACE_H
#define DELTA_FILE_OLD_SPACE_H

#include "delta/file/client.h"
#include "delta/file/delta.h"

struct old;

/*
 * file has at least file_size bytes; both it and the blocks must live as long.  cache: bytes of decoded blocks that are kept; if
 * that is too little for `at_once` blocks, as many as those need: so many threads do not wait for each other.  NULL: no memory.
 */
struct old *old_new(const struct blockz_source *file, uint64_t file_size, const struct delta_old_blocks *blocks,
		    uint64_t cache, unsigned at_once);
void old_free(struct old *old);

/* What one thread needs for it, zeros at first but for the contexts' environment. */
struct old_reader {
	struct codec_contexts contexts;
	struct buffer bytes;
};

void old_reader_free(struct old_reader *reader);

/*
 * Any thread may call these.  The range lies within the file or within the blocks.  Copies it to out, or adds each byte of
 * it to that of out.  Errors: BLOCKZ_DAMAGED (a block does not decode), BLOCKZ_FAILED, and what decoders say.
 */
enum blockz_status old_copy(struct old *old, struct old_reader *reader, uint64_t off, uint8_t *out, size_t len,
			    struct blockz_fault *fault);
enum blockz_status old_add(struct old *old, struct old_reader *reader, uint64_t off, uint8_t *out, size_t len,
			   struct blockz_fault *fault);

/* Whether no block has to be decoded for the range; that may change at any time. */
bool old_is_at_hand(struct old *old, uint64_t off, size_t len);

/* CPU time that a decoded byte of a block has taken so far, in ns. */
double old_decode_ns(struct old *old);

#endif
