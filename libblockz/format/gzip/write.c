/* SPDX-License-Identifier: BSD-3-Clause */
/* The head with room for the index, the trailer, and the head again with the index in it. */
#include "format/gzip/write.h"

#include <stdlib.h>

#include "base/bytes.h"
#include "base/fault.h"
#include "check/crc.h"
#include "format/deflate/encode.h"
#include "format/gzip/index_write.h"

struct writer {
	struct index_builder *index; /* NULL: none is written */
	size_t index_len;
	struct index_facts facts;
	uint32_t crc; /* of the image so far */
	uint64_t body_len;
};

void gzip_writer_free(void *context)
{
	struct writer *writer = context;
	if (writer == NULL)
		return;
	index_builder_free(writer->index);
	free(writer);
}

void *gzip_writer_new(const struct pack_params *params)
{
	struct writer *writer = calloc(1, sizeof(*writer));
	if (writer == NULL)
		return NULL;
	writer->facts.encoder = deflate_encoder_at(params->level);
	writer->facts.level = params->level;
	writer->facts.data_crcs = true;
	if (params->rewritable && !params->no_index) {
		writer->index_len = index_room(params);
		const struct index_cuts cuts = { params->piece_size, params->piece_size, params->piece_size };
		writer->index = index_builder_new(cuts);
		if (writer->index == NULL) {
			free(writer);
			return NULL;
		}
	}
	return writer;
}

static size_t head_len(const struct writer *writer)
{
	return writer->index == NULL ? GZIP_HEAD_LEN
				     : GZIP_HEAD_LEN + GZIP_XLEN_LEN + GZIP_SUBFIELD_LEN + writer->index_len;
}

enum blockz_status gzip_rewrite_head(void *context, struct buffer *out, size_t *len_ret,
				     uint64_t *index_piece_size_ret, struct blockz_fault *fault)
{
	struct writer *writer = context;
	if (!buffer_reserve(out, head_len(writer)))
		return fault_nomem(fault);
	uint8_t *p = out->bytes;
	memset(p, 0, GZIP_HEAD_LEN); /* MTIME 0: the output is reproducible */
	p[0] = GZIP_ID1;
	p[1] = GZIP_ID2;
	p[2] = GZIP_CM_DEFLATE;
	p[9] = GZIP_OS_UNKNOWN;
	*index_piece_size_ret = 0;
	if (writer->index != NULL) {
		p[3] = GZIP_FEXTRA;
		store_le16(p + 10, (uint16_t)(GZIP_SUBFIELD_LEN + writer->index_len));
		p[12] = INDEX_SI1;
		p[13] = INDEX_SI2;
		store_le16(p + 14, (uint16_t)writer->index_len);
		enum blockz_status status = index_write(writer->index, &writer->facts, p + 16, writer->index_len,
							index_piece_size_ret, fault);
		if (status != BLOCKZ_OK)
			return status;
	}
	*len_ret = head_len(writer);
	return BLOCKZ_OK;
}

enum blockz_status gzip_write_head(void *context, struct buffer *out, size_t *len_ret, struct blockz_fault *fault)
{
	/* The room is filled with an index of nothing until more is known. */
	uint64_t index_piece_size;
	return gzip_rewrite_head(context, out, len_ret, &index_piece_size, fault);
}

enum blockz_status gzip_write_piece(void *context, const struct written_piece *piece, struct blockz_fault *fault)
{
	struct writer *writer = context;
	uint64_t len = piece->end - piece->start;
	uint64_t crc = piece->kind == BLOCKZ_ZERO ? crc_zeros(&crc32_poly, len) : piece->tag;
	writer->crc = crc32_join(writer->crc, (uint32_t)crc, len);
	writer->body_len += piece->file_len;
	writer->facts.image_size = piece->end;
	return writer->index == NULL ? BLOCKZ_OK : index_add(writer->index, piece, fault);
}

enum blockz_status gzip_write_tail(void *context, struct buffer *out, size_t *len_ret,
				   uint64_t *index_piece_size_ret, struct blockz_fault *fault)
{
	struct writer *writer = context;
	*index_piece_size_ret = 0; /* it stands in the head */
	if (!buffer_reserve(out, END_LEN + GZIP_TRAILER_LEN))
		return fault_nomem(fault);
	static const uint8_t end[END_LEN] = { 0x03, 0x00 };
	memcpy(out->bytes, end, END_LEN);
	store_le32(out->bytes + END_LEN, writer->crc);
	store_le32(out->bytes + END_LEN + 4, (uint32_t)writer->facts.image_size);
	memcpy(writer->facts.trailer, out->bytes + END_LEN, GZIP_TRAILER_LEN);
	*len_ret = END_LEN + GZIP_TRAILER_LEN;
	writer->facts.file_size = head_len(writer) + writer->body_len + *len_ret;
	return BLOCKZ_OK;
}
