/* SPDX-License-Identifier: BSD-3-Clause */
/* What is damaged is a copy, and what is made of it is held against the library's own verdict. */
#include "damage.h"

#include <stdlib.h>

bool is_good(const char *format, struct bytes file)
{
	struct bytes room = { malloc(MIB), MIB };
	bool good = called_good(format_named(format), file, room, &room.len);
	free(room.data);
	return good;
}

bool patch_damaged(struct bytes file, uint64_t bit, const struct blockz_edit *edit, struct bytes *bad_ret)
{
	struct bytes bad = bytes_flipped(file, bit), before = bytes_copy(bad);
	struct blockz_source source = bytes_source(bad);
	struct blockz_verify_result result;
	struct blockz_map *map = NULL;
	if (verify_file(bad, false, &result, NULL) == BLOCKZ_OK || blockz_map_read(&source, NULL, &map, NULL) != BLOCKZ_OK)
		return false;
	blockz_map_free(map);
	enum blockz_status status = patch_file(bad, false, edit, 1, NULL, NULL);
	ck_assert(status == BLOCKZ_OK || status == BLOCKZ_DAMAGED || status == BLOCKZ_UNSUPPORTED);
	if (status != BLOCKZ_OK)
		assert_bytes(bad, before);
	ck_assert_int_ne(verify_file(bad, false, &result, NULL), BLOCKZ_OK);
	*bad_ret = bad;
	return true;
}

void assert_reads_can_fail(struct bytes file, size_t image_len)
{
	for (int scan = 0; scan < 2; scan++) {
		enum blockz_status status = BLOCKZ_FAILED;
		for (unsigned at = 1; status != BLOCKZ_OK; at++) {
			struct flaky_source self = { .bytes = file, .fail_at = at };
			struct blockz_source source = flaky_source(&self);
			struct blockz_map *map = NULL;
			struct growing_sink sink = { .room = 0 };
			struct blockz_sink out = growing_sink(&sink);
			struct blockz_work work = { .threads = 1 };
			status = blockz_map_read(&source, &(struct blockz_map_options){ .scan = scan }, &map, NULL);
			if (status == BLOCKZ_OK)
				status = blockz_extract(&source, map, (struct blockz_range){ 0, image_len }, &out, &work,
							NULL);
			blockz_map_free(map);
			ck_assert(status == (self.reads < at ? BLOCKZ_OK : BLOCKZ_FAILED));
		}
	}
}
