/* SPDX-License-Identifier: BSD-3-Clause */
/* Reading through a small buffer, since names and comments may have any length. */
#include "format/gzip/head.h"

#include <inttypes.h>
#include <string.h>

#include "base/bytes.h"
#include "base/fault.h"
#include "check/crc.h"
#include "format/gzip/layout.h"
#include "io/access.h"

/* Reads the file in small parts and keeps the CRC of what was taken. */
struct reader {
	const struct blockz_source *file;
	uint64_t off; /* of the byte behind those in buf */
	size_t pos, len;
	uint32_t crc;
	struct blockz_fault *fault;
	uint8_t buf[512];
};

/* The parts of the buffer that were taken enter the CRC when it is left. */
static void settle_crc(struct reader *reader)
{
	reader->crc = crc32_update(reader->crc, reader->buf, reader->pos);
	reader->len -= reader->pos;
	memmove(reader->buf, reader->buf + reader->pos, reader->len);
	reader->pos = 0;
}

/* Makes at least `want` bytes (at most 256) available behind pos. */
static enum blockz_status need(struct reader *reader, size_t want)
{
	if (reader->len - reader->pos >= want)
		return BLOCKZ_OK;
	settle_crc(reader);
	size_t got = 0;
	int error = reader->file->ops->read(reader->file->ctx, reader->buf + reader->len,
					    sizeof(reader->buf) - reader->len, reader->off, &got);
	if (error != 0)
		return fault_errno(reader->fault, error, reader->off, "read");
	reader->len += got;
	reader->off += got;
	if (reader->len < want)
		return fault_set(reader->fault, BLOCKZ_DAMAGED, reader->off, "file ends within a gzip header");
	return BLOCKZ_OK;
}

static uint64_t position(const struct reader *reader)
{
	return reader->off - (reader->len - reader->pos);
}

static enum blockz_status skip(struct reader *reader, size_t len)
{
	enum blockz_status status = BLOCKZ_OK;
	while (len > 0 && status == BLOCKZ_OK) {
		size_t part = len < 256 ? len : 256;
		status = need(reader, part);
		reader->pos += status == BLOCKZ_OK ? part : 0;
		len -= part;
	}
	return status;
}

/* FNAME or FCOMMENT. */
static enum blockz_status skip_string(struct reader *reader)
{
	for (;;) {
		enum blockz_status status = need(reader, 1);
		if (status != BLOCKZ_OK)
			return status;
		if (reader->buf[reader->pos++] == 0)
			return BLOCKZ_OK;
	}
}

/* Notes a subfield, by its first four bytes; its data stands at file offset off. */
static void note_subfield(struct gzip_head *head, const uint8_t *subfield, uint64_t off)
{
	size_t len = load_le16(subfield + 2);
	if (subfield[0] == INDEX_SI1 && subfield[1] == INDEX_SI2 && head->index_off == 0) {
		head->index_off = off;
		head->index_len = (uint32_t)len;
	} else if (memcmp(subfield, "BC", 2) == 0 && len == 2 && head->size_off == 0) {
		head->size_off = off;
	} else if (memcmp(subfield, "RA", 2) == 0) {
		head->has_chunks = true;
	} else {
		head->has_others = true;
	}
}

static enum blockz_status read_extra(struct reader *reader, struct gzip_head *head)
{
	enum blockz_status status = need(reader, GZIP_XLEN_LEN);
	if (status != BLOCKZ_OK)
		return status;
	size_t left = load_le16(reader->buf + reader->pos);
	reader->pos += GZIP_XLEN_LEN;
	while (left >= GZIP_SUBFIELD_LEN) {
		status = need(reader, GZIP_SUBFIELD_LEN);
		if (status != BLOCKZ_OK)
			return status;
		const uint8_t *subfield = reader->buf + reader->pos;
		size_t len = load_le16(subfield + 2);
		reader->pos += GZIP_SUBFIELD_LEN;
		left -= GZIP_SUBFIELD_LEN;
		/* Extra fields that are no subfields are valid too: RFC 1952 asks only that they can be skipped. */
		if (len > left)
			break;
		note_subfield(head, subfield, position(reader));
		status = skip(reader, len);
		if (status != BLOCKZ_OK)
			return status;
		left -= len;
	}
	head->has_others |= left > 0;
	return skip(reader, left);
}

static enum blockz_status check_header_crc(struct reader *reader)
{
	enum blockz_status status = need(reader, 2);
	if (status != BLOCKZ_OK)
		return status;
	settle_crc(reader);
	uint16_t stored = load_le16(reader->buf), crc = (uint16_t)reader->crc;
	if (stored != crc)
		return fault_set(reader->fault, BLOCKZ_DAMAGED, position(reader),
				 "CRC-16 of the gzip header is %04" PRIx16 ", expected %04" PRIx16, stored, crc);
	reader->pos += 2;
	return BLOCKZ_OK;
}

/* The optional fields, in the order in which they stand. */
static enum blockz_status read_fields(struct reader *reader, uint8_t flags, struct gzip_head *head)
{
	enum blockz_status status = (flags & GZIP_FEXTRA) ? read_extra(reader, head) : BLOCKZ_OK;
	if (status != BLOCKZ_OK)
		return status;
	if (flags & GZIP_FNAME)
		status = skip_string(reader);
	if (status != BLOCKZ_OK)
		return status;
	if (flags & GZIP_FCOMMENT)
		status = skip_string(reader);
	if (status != BLOCKZ_OK)
		return status;
	if (!(flags & GZIP_FHCRC))
		return BLOCKZ_OK;
	head->crc_off = position(reader);
	return check_header_crc(reader);
}

enum blockz_status gzip_head_read(const struct blockz_source *file, uint64_t off, struct gzip_head *head_ret,
				  struct blockz_fault *fault)
{
	struct reader reader = { .file = file, .off = off, .fault = fault };
	struct gzip_head head = { 0 };
	enum blockz_status status = need(&reader, GZIP_HEAD_LEN);
	if (status != BLOCKZ_OK)
		return status;
	uint8_t flags = reader.buf[3];
	if (reader.buf[0] != GZIP_ID1 || reader.buf[1] != GZIP_ID2)
		return fault_set(fault, BLOCKZ_DAMAGED, off, "expected a gzip header, found bytes %02x %02x",
				 reader.buf[0], reader.buf[1]);
	if (reader.buf[2] != GZIP_CM_DEFLATE || (flags & GZIP_FLG_RESERVED) != 0)
		return fault_set(fault, BLOCKZ_UNSUPPORTED, off + 2, "gzip method %u with flags %02x", reader.buf[2],
				 flags);
	reader.pos = GZIP_HEAD_LEN;
	status = read_fields(&reader, flags, &head);
	if (status != BLOCKZ_OK)
		return status;
	head.body_off = position(&reader);
	*head_ret = head;
	return BLOCKZ_OK;
}

enum blockz_status gzip_index_byte(const struct blockz_source *file, uint32_t off, uint8_t *byte_ret, struct blockz_fault *fault)
{
	struct gzip_head head;
	enum blockz_status status = gzip_head_read(file, 0, &head, fault);
	*byte_ret = 0;
	return status == BLOCKZ_OK && head.index_off != 0 ? read_file(file, byte_ret, 1, head.index_off + off, fault) : status;
}

enum blockz_status gzip_head_is_own(const struct blockz_source *file, bool *own_ret, struct blockz_fault *fault)
{
	uint8_t head[GZIP_HEAD_LEN] = { 0 };
	enum blockz_status status = read_file(file, head, sizeof(head), 0, fault);
	const uint8_t own[GZIP_HEAD_LEN] = {
		GZIP_ID1, GZIP_ID2, GZIP_CM_DEFLATE, head[3] & GZIP_FEXTRA, [9] = GZIP_OS_UNKNOWN,
	};
	if (status == BLOCKZ_OK)
		*own_ret = memcmp(head, own, sizeof(head)) == 0;
	return status;
}
