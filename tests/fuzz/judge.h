/* SPDX-License-Identifier: BSD-3-Clause */
/* What the reference decoders make of a file: zlib, liblzma and libzstd are the judges. */
#ifndef FUZZ_JUDGE_H
#define FUZZ_JUDGE_H

#undef NDEBUG
#include <assert.h>
#include <lzma.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

/* ---- Bytes that grow ---- */

struct bytes {
	uint8_t *data;
	size_t len, room;
};

/* Makes the bytes len long; new ones are not set. */
static inline void bytes_resize(struct bytes *bytes, size_t len)
{
	if (len > bytes->room) {
		bytes->room = 2 * len;
		bytes->data = realloc(bytes->data, bytes->room);
		assert(bytes->data != NULL);
	}
	bytes->len = len;
}

static inline void bytes_append(struct bytes *bytes, const void *more, size_t len)
{
	bytes_resize(bytes, bytes->len + len);
	if (len > 0)
		memcpy(bytes->data + bytes->len - len, more, len);
}

static inline bool bytes_equal(const struct bytes *a, const struct bytes *b)
{
	return a->len == b->len && (a->len == 0 || memcmp(a->data, b->data, a->len) == 0);
}

static inline uint32_t bytes_crc(const struct bytes *bytes, size_t start, size_t end)
{
	return start == end ? 0 : (uint32_t)crc32_z(0, bytes->data + start, end - start);
}

/* ---- Decoders; what they give is appended to image, up to a little more than image_max ---- */

enum verdict { REJECTED, ACCEPTED, TOO_LARGE }; /* of image, or in what decoding it would take */

enum { JUDGE_PART = 65536, JUDGE_MEMORY = 140 << 20 };

/* One or several members, with anything behind them that begins no further one. */
static inline enum verdict judge_gzip(const uint8_t *file, size_t len, size_t image_max, struct bytes *image)
{
	z_stream z = { .next_in = (uint8_t *)(uintptr_t)file, .avail_in = (uInt)len };
	enum verdict verdict = REJECTED;
	assert(inflateInit2(&z, 15 + 16) == Z_OK);
	for (;;) {
		size_t have = image->len;
		bytes_resize(image, have + JUDGE_PART);
		z.next_out = image->data + have;
		z.avail_out = JUDGE_PART;
		int error = inflate(&z, Z_NO_FLUSH);
		image->len -= z.avail_out;
		if (image->len > image_max)
			verdict = TOO_LARGE;
		if (image->len > image_max || (error != Z_OK && error != Z_STREAM_END) ||
		    (error == Z_OK && z.avail_in == 0 && z.avail_out > 0))
			break;
		if (error == Z_OK)
			continue;
		if (z.avail_in == 0 || memcmp(z.next_in, "\x1f\x8b", z.avail_in < 2 ? 1 : 2) != 0) {
			verdict = ACCEPTED;
			break;
		}
		inflateReset(&z);
	}
	inflateEnd(&z);
	return verdict;
}

static inline enum verdict judge_xz(const uint8_t *file, size_t len, size_t image_max, struct bytes *image)
{
	lzma_stream stream = LZMA_STREAM_INIT;
	lzma_ret result = lzma_stream_decoder(&stream, JUDGE_MEMORY, LZMA_CONCATENATED);
	assert(result == LZMA_OK);
	stream.next_in = file;
	stream.avail_in = len;
	while (result == LZMA_OK && image->len <= image_max) {
		size_t have = image->len;
		bytes_resize(image, have + JUDGE_PART);
		stream.next_out = image->data + have;
		stream.avail_out = JUDGE_PART;
		result = lzma_code(&stream, LZMA_FINISH);
		image->len -= stream.avail_out;
	}
	lzma_end(&stream);
	if (image->len > image_max || result == LZMA_MEMLIMIT_ERROR)
		return TOO_LARGE;
	return result == LZMA_STREAM_END ? ACCEPTED : REJECTED;
}

/* Byte by byte: libzstd does not keep to the window of a frame that it has whole. */
static inline enum verdict judge_zstd(const uint8_t *file, size_t len, size_t image_max, struct bytes *image)
{
	ZSTD_DCtx *context = ZSTD_createDCtx();
	size_t result = 1, pos = 0;
	bool stuck = false;
	assert(context != NULL);
	while (!stuck && !ZSTD_isError(result) && (pos < len || result != 0) && image->len <= image_max) {
		size_t have = image->len;
		bytes_resize(image, have + JUDGE_PART);
		ZSTD_inBuffer in = { file + pos, pos < len, 0 };
		ZSTD_outBuffer out = { image->data + have, JUDGE_PART, 0 };
		result = ZSTD_decompressStream(context, &out, &in);
		pos += in.pos;
		image->len = have + out.pos;
		stuck = out.pos == 0 && in.pos == 0;
	}
	ZSTD_freeDCtx(context);
	return image->len > image_max ? TOO_LARGE : result == 0 && pos == len ? ACCEPTED : REJECTED;
}

/* ---- The judge ---- */

enum file_format { GZIP, XZ, ZSTD };

/* By the first byte: whatever is none of the three is rejected by each. */
static inline enum file_format format_of(const uint8_t *file, size_t len)
{
	uint8_t first = len > 0 ? file[0] : 0;
	return first == 0xfd ? XZ : first == 0x28 || (first & 0xf0) == 0x50 ? ZSTD : GZIP;
}

static inline enum verdict judge_file(const uint8_t *file, size_t len, size_t image_max, struct bytes *image)
{
	switch (format_of(file, len)) {
	case XZ:
		return judge_xz(file, len, image_max, image);
	case ZSTD:
		return judge_zstd(file, len, image_max, image);
	default:
		return judge_gzip(file, len, image_max, image);
	}
}

#endif
