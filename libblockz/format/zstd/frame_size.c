/* SPDX-License-Identifier: BSD-3-Clause */
/* How much frames decode to, found by decoding them. */
#include "format/zstd/frame_size.h"

#include <inttypes.h>
#include <string.h>

#include "base/fault.h"
#include "base/plural.h"
#include "check/method.h"
#include "format/zstd/cursor.h"
#include "io/access.h"

enum blockz_status zstd_frame_size(const struct blockz_source *file, uint64_t off, uint64_t file_len,
				   uint64_t window_max, void **cursor, uint64_t *size_ret, struct blockz_fault *fault)
{
	const struct piece piece = { .file_off = off, .file_len = file_len };
	const uint8_t *bytes;
	uint64_t size = 0;
	size_t len = 1;
	if (*cursor == NULL)
		*cursor = zstd_cursor_new(file, window_max);
	if (*cursor == NULL)
		return fault_nomem(fault);
	enum blockz_status status = zstd_cursor_start(*cursor, &piece, BLOCKZ_UNKNOWN, fault);
	while (status == BLOCKZ_OK && len > 0) {
		status = zstd_cursor_next(*cursor, &bytes, &len, fault);
		size += status == BLOCKZ_OK ? len : 0;
	}
	*size_ret = size;
	return status;
}

/* Nearly all are one raw block of no bytes, and no large window, which is quickly seen. */
enum blockz_status zstd_check_empty(const struct blockz_source *file, uint64_t off, uint64_t file_len,
				    const struct frame_header *header, uint64_t window_max, void **cursor,
				    struct blockz_fault *fault)
{
	static const uint8_t block[BLOCK_HEADER_LEN] = { 1 };
	uint8_t bytes[BLOCK_HEADER_LEN + CHECKSUM_LEN], field[CHECK_LEN_MAX];
	size_t len = BLOCK_HEADER_LEN + (header->checksum ? CHECKSUM_LEN : 0);
	uint64_t size = 0;
	if (file_len == header->len + len && header->window <= window_max) {
		enum blockz_status status = read_file(file, bytes, len, off + header->len, fault);
		if (status != BLOCKZ_OK || !check_of_zeros(CHECK_XXH64_LOW32, 0, field))
			return status != BLOCKZ_OK ? status : fault_nomem(fault);
		if (memcmp(bytes, block, sizeof(block)) == 0 &&
		    (!header->checksum || memcmp(bytes + BLOCK_HEADER_LEN, field, CHECKSUM_LEN) == 0))
			return BLOCKZ_OK;
	}
	enum blockz_status status = zstd_frame_size(file, off, file_len, window_max, cursor, &size, fault);
	if (status == BLOCKZ_OK && size != 0)
		return fault_set(fault, BLOCKZ_DAMAGED, off, "a frame decodes to %" PRIu64 " byte%s, expected none", size,
				 plural(size));
	return status;
}
