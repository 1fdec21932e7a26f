/* SPDX-License-Identifier: BSD-3-Clause */
/* Each library is asked in its own way how long a block becomes; LZO, which is in another process, is measured here. */
#include "container/decoded_length.h"

#include <lz4.h>
#include <lzma.h>
#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

#include "base/bytes.h"
#include "base/fault.h"

enum {
	XZ_MEMORY_MAX = 64 << 20,
	LZMA_SIZE = 5, /* in the header of a .lzma file: properties(1), dictionary size(4), size(8) */
	LZMA_HEAD_LEN = 13,
};

/* ---- Libraries that allocate; false: no memory ---- */

static bool zlib_length(const uint8_t *bytes, size_t len, uint8_t *scratch, size_t room, size_t *len_ret)
{
	uLongf got = room;
	int result = uncompress(scratch, &got, bytes, len);
	*len_ret = result == Z_OK ? got : 0;
	return result != Z_MEM_ERROR;
}

static bool xz_length(const uint8_t *bytes, size_t len, uint8_t *scratch, size_t room, size_t *len_ret)
{
	uint64_t memory = XZ_MEMORY_MAX;
	size_t in = 0, out = 0;
	lzma_ret ret = lzma_stream_buffer_decode(&memory, 0, NULL, bytes, &in, len, scratch, &out, room);
	*len_ret = ret == LZMA_OK ? out : 0;
	return ret != LZMA_MEM_ERROR;
}

static bool zstd_length(const uint8_t *bytes, size_t len, uint8_t *scratch, size_t room, size_t *len_ret)
{
	size_t got = ZSTD_decompress(scratch, room, bytes, len);
	*len_ret = ZSTD_isError(got) ? 0 : got;
	return ZSTD_getErrorCode(got) != ZSTD_error_memory_allocation;
}

/* ---- The others ---- */

static size_t lzma_length(const uint8_t *bytes, size_t len, uint8_t *scratch, size_t room)
{
	(void)scratch;
	if (len < LZMA_HEAD_LEN || load_le64(bytes + LZMA_SIZE) > room)
		return 0;
	return (size_t)load_le64(bytes + LZMA_SIZE);
}

static size_t lz4_length(const uint8_t *bytes, size_t len, uint8_t *scratch, size_t room)
{
	int got = LZ4_decompress_safe((const char *)bytes, (char *)scratch, (int)len, (int)room);
	return got > 0 ? (size_t)got : 0;
}

/* The rest of a length that did not fit into an instruction: 255 for each zero byte, and the first other byte. */
static size_t lzo_more(const uint8_t *bytes, size_t len, size_t *pos)
{
	size_t more = 0;
	for (; *pos < len && bytes[*pos] == 0; (*pos)++)
		more += 255;
	return *pos < len ? more + bytes[(*pos)++] : more;
}

/*
 * LZO1X, by its lengths alone (Documentation/staging/lzo.rst of Linux): a decoder in another process, which is asked for
 * exactly so many bytes, does the rest.  `literals` are those of the last instruction, 4 standing for all above 3.
 */
static size_t lzo_length(const uint8_t *bytes, size_t len, uint8_t *scratch, size_t room)
{
	size_t pos = 0, out = 0, literals = 0;
	(void)scratch;
	if (len > 0 && bytes[0] > 17) {
		out = pos = bytes[0] - 17u;
		literals = out < 4 ? out : 4;
		pos++;
	}
	while (pos < len && out <= room) {
		uint8_t code = bytes[pos++];
		size_t tail_off = 0; /* where the two bits stand that count the literals behind a match */
		if (code >= 64) {
			tail_off = pos - 1;
			out += code >= 128 ? 5 + (code >> 5 & 3) : 3 + (code >> 5 & 1);
			pos++;
		} else if (code >= 16) {
			size_t mask = code >= 32 ? 31 : 7, more = code & mask;
			out += 2 + (more != 0 ? more : mask + lzo_more(bytes, len, &pos));
			tail_off = pos;
			pos += 2;
			if (pos <= len && code < 32 && (code & 8) == 0 && load_le16(bytes + tail_off) < 4)
				return pos == len && more == 1 && out - 3 <= room ? out - 3 : 0;
		} else if (literals == 0) {
			size_t run = 3 + (code != 0 ? code : 15 + lzo_more(bytes, len, &pos));
			out += run;
			pos += run;
			literals = 4;
			continue;
		} else {
			tail_off = pos - 1;
			out += literals == 4 ? 3 : 2;
			pos++;
		}
		literals = tail_off < len ? bytes[tail_off] & 3 : 0;
		out += literals;
		pos += literals;
	}
	return 0;
}

enum blockz_status decoded_length(enum codec_id codec, const uint8_t *bytes, size_t len, uint8_t *scratch, size_t room,
				  size_t *len_ret, struct blockz_fault *fault)
{
	bool memory = true;
	size_t len_found = 0;
	switch (codec) {
	case CODEC_ZLIB:
		memory = zlib_length(bytes, len, scratch, room, &len_found);
		break;
	case CODEC_LZMA:
		len_found = lzma_length(bytes, len, scratch, room);
		break;
	case CODEC_XZ:
		memory = xz_length(bytes, len, scratch, room, &len_found);
		break;
	case CODEC_ZSTD:
		memory = zstd_length(bytes, len, scratch, room, &len_found);
		break;
	case CODEC_LZ4:
		len_found = lz4_length(bytes, len, scratch, room);
		break;
	case CODEC_LZO:
		len_found = lzo_length(bytes, len, scratch, room);
		break;
	default:
		break;
	}
	if (!memory)
		return fault_nomem(fault);
	*len_ret = len_found;
	return BLOCKZ_OK;
}
