/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * blockz-lzo: LZO1X for the tools, in a program of its own: liblzo2 is licensed under the GPL, version 2 or later, and so is
 * this program when it is linked with it.  It serves the requests of deltas/lzo_protocol.h on stdin and stdout, and takes no
 * options.
 */
#include <errno.h>
#include <lzo/lzo1x.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "deltas/lzo_protocol.h"

enum { ALGORITHM_999 = 4, LEVEL_MAX = 9, LEVEL_999 = 8 }; /* LEVEL_999: of lzo1x_999_compress() */

typedef int compress_function(const lzo_bytep, lzo_uint, lzo_bytep, lzo_uintp, lzo_voidp);

static compress_function *const fast_functions[ALGORITHM_999] = {
	lzo1x_1_compress, lzo1x_1_11_compress, lzo1x_1_12_compress, lzo1x_1_15_compress,
};

/* The most that any of them needs, in words that any of them may keep there. */
static lzo_align_t memory[(LZO1X_999_MEM_COMPRESS + sizeof(lzo_align_t) - 1) / sizeof(lzo_align_t)];

_Static_assert(sizeof(memory) >= 32768 * lzo_sizeof_dict_t, "enough for lzo1x_1_15");

struct bytes {
	uint8_t *bytes;
	size_t room;
};

static bool reserve(struct bytes *buffer, size_t len)
{
	if (buffer->room >= len)
		return true;
	free(buffer->bytes);
	buffer->bytes = malloc(len);
	buffer->room = buffer->bytes != NULL ? len : 0;
	return buffer->bytes != NULL;
}

static uint32_t load_le32(const uint8_t *p)
{
	return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static void store_le32(uint8_t *p, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		p[i] = (uint8_t)(v >> (8 * i));
}

/* Returns how much there was, up to the end of stdin; -1: an error. */
static ssize_t read_all(uint8_t *bytes, size_t len)
{
	size_t done = 0;
	while (done < len) {
		ssize_t got = read(STDIN_FILENO, bytes + done, len - done);
		if (got < 0 && errno != EINTR)
			return -1;
		if (got == 0)
			break;
		done += got > 0 ? (size_t)got : 0;
	}
	return (ssize_t)done;
}

static bool write_all(const uint8_t *bytes, size_t len)
{
	while (len > 0) {
		ssize_t put = write(STDOUT_FILENO, bytes, len);
		if (put < 0 && errno != EINTR)
			return false;
		bytes += put > 0 ? put : 0;
		len -= put > 0 ? (size_t)put : 0;
	}
	return true;
}

static bool answer(uint8_t what, const uint8_t *bytes, size_t len)
{
	uint8_t head[LZO_ANSWER_LEN] = { what };
	store_le32(head + LZO_LENGTH_OFF, (uint32_t)len);
	return write_all(head, sizeof(head)) && write_all(bytes, len);
}

static bool is_request(const uint8_t *head)
{
	uint32_t len = load_le32(head + LZO_LENGTH_OFF), room = load_le32(head + LZO_ROOM_OFF);
	unsigned algorithm = head[LZO_ALGORITHM_OFF], level = head[LZO_LEVEL_OFF], optimise = head[LZO_OPTIMISE_OFF];
	if (len == 0 || len > LZO_LEN_MAX || room == 0 || room > LZO_LEN_MAX)
		return false;
	if (head[LZO_WHAT] == LZO_DECOMPRESS)
		return algorithm == 0 && level == 0 && optimise == 0;
	bool known = algorithm < ALGORITHM_999 ? level == 0 : algorithm == ALGORITHM_999 && level >= 1 && level <= LEVEL_MAX;
	return head[LZO_WHAT] == LZO_COMPRESS && known && optimise <= 1;
}

static bool compress(const uint8_t *head, const uint8_t *in, lzo_uint len, struct bytes *out, struct bytes *scratch)
{
	unsigned algorithm = head[LZO_ALGORITHM_OFF], level = head[LZO_LEVEL_OFF];
	lzo_uint out_len = 0, scratch_len = len;
	/* The worst case, from LZO's FAQ. */
	if (!reserve(out, len + len / 16 + 64 + 3) || !reserve(scratch, len))
		return false;
	/* Of what memory held before, nothing may show. */
	memset(memory, 0, sizeof(memory));
	int result;
	if (algorithm < ALGORITHM_999)
		result = fast_functions[algorithm](in, len, out->bytes, &out_len, memory);
	else if (level == LEVEL_999)
		result = lzo1x_999_compress(in, len, out->bytes, &out_len, memory);
	else
		result = lzo1x_999_compress_level(in, len, out->bytes, &out_len, memory, NULL, 0, NULL, (int)level);
	if (result == LZO_E_OK && head[LZO_OPTIMISE_OFF] != 0)
		result = lzo1x_optimize(out->bytes, out_len, scratch->bytes, &scratch_len, NULL);
	if (result != LZO_E_OK)
		return false;
	return out_len > load_le32(head + LZO_ROOM_OFF) ? answer(LZO_FULL, NULL, 0)
							: answer(LZO_DONE, out->bytes, out_len);
}

static bool decompress(const uint8_t *head, const uint8_t *in, lzo_uint len, struct bytes *out)
{
	uint32_t room = load_le32(head + LZO_ROOM_OFF);
	lzo_uint out_len = room;
	if (!reserve(out, room))
		return false;
	int result = lzo1x_decompress_safe(in, len, out->bytes, &out_len, NULL);
	return result == LZO_E_OK && out_len == room ? answer(LZO_DONE, out->bytes, room) : answer(LZO_DAMAGED, NULL, 0);
}

int main(void)
{
	struct bytes in = { 0 }, out = { 0 }, scratch = { 0 };
	uint8_t head[LZO_REQUEST_LEN];
	bool good = lzo_init() == LZO_E_OK;
	ssize_t got = 0;
	while (good && (got = read_all(head, sizeof(head))) == sizeof(head)) {
		uint32_t len = load_le32(head + LZO_LENGTH_OFF);
		good = is_request(head) && reserve(&in, len) && read_all(in.bytes, len) == (ssize_t)len;
		if (good && head[LZO_WHAT] == LZO_COMPRESS)
			good = compress(head, in.bytes, len, &out, &scratch);
		else if (good)
			good = decompress(head, in.bytes, len, &out);
	}
	free(in.bytes);
	free(out.bytes);
	free(scratch.bytes);
	if (!good || got != 0)
		fprintf(stderr, "blockz-lzo: not a request, or it failed; only the blockz tools make use of this program\n");
	return good && got == 0 ? 0 : 1;
}
