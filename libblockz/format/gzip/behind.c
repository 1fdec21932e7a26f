/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gzip(1) takes zeros behind the last member for padding, ignores with a warning what is no member (RFC 1952 has no word on
 * it; firmware images keep metadata there), and reports as damage what begins like one and is none.  So do we.
 */
#include "format/gzip/behind.h"

#include <string.h>

#include "base/checked.h"
#include "base/zeros.h"
#include "format/gzip/layout.h"
#include "io/access.h"

static enum blockz_status begins_member(const struct blockz_source *file, uint64_t off, const struct blockz_map *map,
					bool *yes_ret, struct blockz_fault *fault)
{
	static const uint8_t magic[] = { GZIP_ID1, GZIP_ID2 };
	uint8_t bytes[sizeof(magic)];
	size_t len = (size_t)min(sizeof(bytes), map->file_size - off);
	enum blockz_status status = read_file(file, bytes, len, off, fault);
	*yes_ret = status == BLOCKZ_OK && len > 0 && memcmp(bytes, magic, len) == 0;
	return status;
}

static enum blockz_status is_padding(const struct blockz_source *file, uint64_t off, const struct blockz_map *map,
				     bool *yes_ret, struct blockz_fault *fault)
{
	uint8_t bytes[4096];
	*yes_ret = true;
	while (off < map->file_size && *yes_ret) {
		size_t len = (size_t)min(sizeof(bytes), map->file_size - off);
		enum blockz_status status = read_file(file, bytes, len, off, fault);
		if (status != BLOCKZ_OK)
			return status;
		*yes_ret = all_zeros(bytes, len);
		off += len;
	}
	return BLOCKZ_OK;
}

enum blockz_status gzip_look_behind(const struct blockz_source *file, uint64_t off, struct blockz_map *map,
				    bool *member_ret, struct blockz_fault *fault)
{
	bool member = false, padding = true;
	enum blockz_status status = begins_member(file, off, map, &member, fault);
	if (status == BLOCKZ_OK && !member)
		status = is_padding(file, off, map, &padding, fault);
	if (status != BLOCKZ_OK)
		return status;
	if (!member) {
		map->end_off = off;
		map->appended_bytes = padding ? 0 : map->file_size - off;
	}
	*member_ret = member;
	return BLOCKZ_OK;
}
