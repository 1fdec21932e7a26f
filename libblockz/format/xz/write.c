/* SPDX-License-Identifier: BSD-3-Clause */
/* The Stream around the Blocks. */
#include "format/xz/write.h"

#include <stdlib.h>

#include "base/fault.h"
#include "format/xz/block.h"

struct writer {
	lzma_index *index;
	lzma_stream_flags flags;
	uint64_t piece_size;
};

void xz_writer_free(void *memory)
{
	struct writer *writer = memory;
	if (writer == NULL)
		return;
	lzma_index_end(writer->index, NULL);
	free(writer);
}

void *xz_writer_new(const struct pack_params *params)
{
	struct writer *writer = calloc(1, sizeof(*writer));
	if (writer == NULL)
		return NULL;
	writer->index = lzma_index_init(NULL);
	writer->flags.check = xz_check_id(params->check);
	writer->piece_size = params->piece_size;
	if (writer->index == NULL) {
		free(writer);
		return NULL;
	}
	return writer;
}

enum blockz_status xz_write_head(void *memory, struct buffer *out, size_t *len_ret, struct blockz_fault *fault)
{
	struct writer *writer = memory;
	if (!buffer_reserve(out, STREAM_HEADER_LEN) ||
	    lzma_stream_header_encode(&writer->flags, out->bytes) != LZMA_OK)
		return fault_nomem(fault);
	*len_ret = STREAM_HEADER_LEN;
	return BLOCKZ_OK;
}

enum blockz_status xz_write_piece(void *memory, const struct written_piece *piece, struct blockz_fault *fault)
{
	struct writer *writer = memory;
	uint64_t file_len = piece->file_len / piece->copies - piece->tag;
	uint64_t image_len = (piece->end - piece->start) / piece->copies;
	for (uint64_t i = 0; i < piece->copies; i++) {
		lzma_ret result = lzma_index_append(writer->index, NULL, file_len, image_len);
		if (result == LZMA_MEM_ERROR)
			return fault_nomem(fault);
		if (result != LZMA_OK)
			return fault_set(fault, BLOCKZ_LIMIT, BLOCKZ_UNKNOWN, "an xz Stream would have too large an Index");
	}
	return BLOCKZ_OK;
}

enum blockz_status xz_write_tail(void *memory, struct buffer *out, size_t *len_ret, uint64_t *index_piece_size_ret,
				 struct blockz_fault *fault)
{
	struct writer *writer = memory;
	uint64_t size = lzma_index_size(writer->index);
	size_t len = 0;
	if (size > LZMA_BACKWARD_SIZE_MAX || size > SIZE_MAX - STREAM_HEADER_LEN)
		return fault_set(fault, BLOCKZ_LIMIT, BLOCKZ_UNKNOWN, "an xz Stream would have too large an Index");
	writer->flags.backward_size = size;
	if (!buffer_reserve(out, (size_t)size + STREAM_HEADER_LEN) ||
	    lzma_index_buffer_encode(writer->index, out->bytes, &len, (size_t)size) != LZMA_OK ||
	    lzma_stream_footer_encode(&writer->flags, out->bytes + size) != LZMA_OK)
		return fault_nomem(fault);
	*len_ret = (size_t)size + STREAM_HEADER_LEN;
	*index_piece_size_ret = writer->piece_size;
	return BLOCKZ_OK;
}
