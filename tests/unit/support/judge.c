/* SPDX-License-Identifier: BSD-3-Clause */
/* zlib, liblzma and libzstd decode what blockz made. */
#include "judge.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <lzma.h>
#include <zstd.h>

/* One member at the beginning of file; *used_ret bytes of it. */
static bool inflate_member(struct bytes file, struct bytes room, size_t *used_ret, size_t *len_ret)
{
	uint8_t beyond;
	z_stream z = { .next_in = file.data, .avail_in = (uInt)file.len };
	z.next_out = room.len > 0 ? room.data : &beyond;
	z.avail_out = (uInt)room.len;
	ck_assert_int_eq(inflateInit2(&z, 31), Z_OK);
	int error = inflate(&z, Z_FINISH);
	if (error == Z_BUF_ERROR && z.avail_out == 0) {
		/* What is left may be the end alone, which needs no room. */
		z.next_out = &beyond;
		z.avail_out = 1;
		error = inflate(&z, Z_FINISH);
	}
	*used_ret = z.total_in;
	*len_ret = z.total_out;
	inflateEnd(&z);
	return error == Z_STREAM_END && *len_ret <= room.len;
}

static bool judge_gzip(struct bytes file, struct bytes room, size_t *len_ret)
{
	size_t used;
	return inflate_member(file, room, &used, len_ret) && used == file.len;
}

bool judge_gzip_members(struct bytes file, struct bytes room, size_t *len_ret)
{
	size_t used, len;
	*len_ret = 0;
	do {
		if (!inflate_member(file, room, &used, &len))
			return false;
		*len_ret += len;
		file = (struct bytes){ file.data + used, file.len - used };
		room = (struct bytes){ room.data + len, room.len - len };
	} while (file.len > 0 && memcmp(file.data, "\x1f\x8b", file.len < 2 ? 1 : 2) == 0);
	return true;
}

static bool decode_xz(struct bytes file, struct bytes room, uint32_t flags, size_t *len_ret)
{
	uint64_t memory = UINT64_MAX;
	size_t in_pos = 0;
	*len_ret = 0;
	return lzma_stream_buffer_decode(&memory, flags, NULL, file.data, &in_pos, file.len, room.data, len_ret,
					 room.len) == LZMA_OK &&
	       in_pos == file.len;
}

static bool judge_xz(struct bytes file, struct bytes room, size_t *len_ret)
{
	return decode_xz(file, room, 0, len_ret);
}

static bool judge_xz_streams(struct bytes file, struct bytes room, size_t *len_ret)
{
	return decode_xz(file, room, LZMA_CONCATENATED, len_ret);
}

/* All frames, by the streaming decoder, which never has a whole one, and so keeps no more than its window. */
static bool judge_zstd(struct bytes file, struct bytes room, size_t *len_ret)
{
	ZSTD_DStream *stream = ZSTD_createDStream();
	ZSTD_outBuffer out = { room.data, room.len, 0 };
	size_t part = file.len < 65536 ? 1 : 4096, pos = 0, result = 0;
	bool stuck = false;
	while (!ZSTD_isError(result) && !stuck && (pos < file.len || result != 0)) {
		ZSTD_inBuffer in = { file.data + pos, file.len - pos < part ? file.len - pos : part, 0 };
		size_t before = out.pos;
		result = ZSTD_decompressStream(stream, &out, &in);
		pos += in.pos;
		stuck = in.pos == 0 && out.pos == before;
	}
	ZSTD_freeDStream(stream);
	*len_ret = out.pos;
	return file.len > 0 && result == 0 && pos == file.len;
}

struct judge {
	const char *format;
	bool (*decode)(struct bytes file, struct bytes room, size_t *len_ret);
	bool own_index;
	/* Of whatever can be read: several members or Streams, padding, and what was appended to gzip members. */
	bool (*decode_any)(struct bytes file, struct bytes room, size_t *len_ret);
};

static const struct judge judges[] = {
	{ "gzip", judge_gzip, true, judge_gzip_members },
	{ "xz", judge_xz, false, judge_xz_streams },
	{ "zstd", judge_zstd, false, judge_zstd },
};

static const struct judge *judge_of(const char *format)
{
	for (size_t i = 0; i < sizeof(judges) / sizeof(judges[0]); i++)
		if (strcmp(judges[i].format, format) == 0)
			return &judges[i];
	ck_abort_msg("no judge for format %s", format);
	return NULL;
}

bool judge(const char *format, struct bytes file, struct bytes room, size_t *len_ret)
{
	return judge_of(format)->decode(file, room, len_ret);
}

bool judge_any(const char *format, struct bytes file, struct bytes room, size_t *len_ret)
{
	return judge_of(format)->decode_any(file, room, len_ret);
}

bool has_own_index(const struct blockz_format *format)
{
	return judge_of(format->name)->own_index;
}

bool judge_says(const char *format, struct bytes file, struct bytes image)
{
	uint8_t *data = malloc(image.len + 1);
	size_t len = 0;
	bool same = judge(format, file, (struct bytes){ data, image.len }, &len) && len == image.len &&
		    memcmp(data, image.data, len) == 0;
	free(data);
	return same;
}

void assert_decodes(const char *format, struct bytes file, struct bytes image)
{
	struct bytes room = { malloc(image.len + 1), image.len };
	ck_assert_msg(judge(format, file, room, &room.len), "the judge refuses the file");
	assert_bytes(room, image);
	free(room.data);
}
