/* SPDX-License-Identifier: BSD-3-Clause */
/* The fastest level, by ISA-L where that is built in. */
#include "format/deflate/fast.h"

#if BLOCKZ_WITH_ISAL

#include <isa-l/igzip_lib.h>
#include <stdlib.h>

const bool fast_deflate_built_in = true;

struct fast_deflate {
	struct isal_zstream stream;
	uint8_t level_buf[ISAL_DEF_LVL1_DEFAULT];
};

struct fast_deflate *fast_deflate_new(void)
{
	struct fast_deflate *fast = malloc(sizeof(*fast));
	if (fast != NULL)
		isal_deflate_init(&fast->stream);
	return fast;
}

void fast_deflate_free(struct fast_deflate *fast)
{
	free(fast);
}

size_t fast_deflate_piece(struct fast_deflate *fast, const uint8_t *bytes, size_t len, uint8_t *out, size_t room)
{
	struct isal_zstream *stream = &fast->stream;
	isal_deflate_reset(stream);
	stream->level = 1;
	stream->level_buf = fast->level_buf;
	stream->level_buf_size = sizeof(fast->level_buf);
	stream->flush = FULL_FLUSH; /* an empty stored block at the end, and no end of the stream */
	stream->end_of_stream = 0;
	stream->next_in = (uint8_t *)(uintptr_t)bytes; /* only read; the type lacks const */
	stream->avail_in = (uint32_t)len;
	stream->next_out = out;
	stream->avail_out = (uint32_t)room;
	if (isal_deflate(stream) != COMP_OK || stream->avail_in != 0 || stream->avail_out == 0)
		return 0;
	return room - stream->avail_out;
}

#else

const bool fast_deflate_built_in = false;

struct fast_deflate *fast_deflate_new(void)
{
	return NULL;
}

void fast_deflate_free(struct fast_deflate *fast)
{
	(void)fast;
}

size_t fast_deflate_piece(struct fast_deflate *fast, const uint8_t *bytes, size_t len, uint8_t *out, size_t room)
{
	(void)fast, (void)bytes, (void)len, (void)out, (void)room;
	return 0;
}

#endif
