/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Any bytes as a file, and an edit of it: where a plan is made, the patched file holds the edited image, by the
 * format's own library.  The first bytes of the input choose the edit.
 */
#include "base/bytes.h"
#include "reseal.h"

enum { PREFIX_LEN = 9, IMAGE_MAX = 2 << 20 };

struct choice {
	uint64_t start, len;
	uint8_t pattern;
	bool same_elsewhere, overlapping;
	uint64_t fail_at;
};

static struct choice read_choice(const uint8_t *p, uint64_t image_size)
{
	uint64_t start = load_le32(p) % (image_size + 1), len = load_le16(p + 4);
	return (struct choice){
		.start = start,
		.len = len < image_size - start ? len : image_size - start,
		.pattern = p[6],
		.same_elsewhere = p[7] & 2,
		.overlapping = p[7] & 4,
		.fail_at = p[8] < 128 ? p[8] : UINT64_MAX,
	};
}

/* The image after the edit; where the pattern comes out as 0, bytes stay as they were. */
static void edit_image(struct bytes *image, const struct choice *choice)
{
	for (uint64_t i = 0; i < choice->len; i++)
		image->data[choice->start + i] ^= (uint8_t)(choice->pattern * (i / 64 + choice->pattern % 4));
}

/* An edit within one patchable range cannot be refused, unless there is an index of another version. */
static bool must_succeed(const struct blockz_map *map, const struct choice *choice)
{
	struct blockz_map_range range;
	if (map->index_fault.status == BLOCKZ_UNSUPPORTED)
		return false;
	return choice->len == 0 || (blockz_map_range_at(map, choice->start, &range) && range.patchable &&
				    choice->start + choice->len <= range.end);
}

static void patch(const struct blockz_source *file, const struct blockz_map *map, const struct edited *edited,
		  const struct choice *choice, bool sound)
{
	struct blockz_memory memory = bytes_memory(&edited->image);
	struct blockz_source data = blockz_source_memory(&memory);
	uint64_t end = choice->start + choice->len;
	/* The first one, if it is there, writes something else over a part of the second, which wins. */
	struct blockz_edit edits[2] = {
		{ .range = { choice->start + choice->len / 4, choice->start + choice->len / 2 }, .data = data },
		{ .range = { choice->start, end }, .data = data, .data_off = choice->start },
	};
	edits[0].same_elsewhere = edits[1].same_elsewhere = choice->same_elsewhere;
	size_t first = choice->overlapping ? 0 : 1;
	struct blockz_plan *plan = NULL;
	enum blockz_status status = make_plan(file, map, edits + first, 2 - first, &plan);
	assert(status == BLOCKZ_OK || !sound || !must_succeed(map, choice));
	/* An index that tells lies about a good file may lead a patch astray; verify finds it. */
	if (status == BLOCKZ_OK && (sound || edited->verdict == REJECTED))
		check_plan(plan, edited, choice->fail_at);
	blockz_plan_free(plan);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < PREFIX_LEN)
		return 0;
	struct bytes old = { 0 }, old_image = { 0 };
	bytes_append(&old, data + PREFIX_LEN, size - PREFIX_LEN);
	struct blockz_memory memory = bytes_memory(&old);
	struct blockz_source file = blockz_source_memory(&memory);
	struct edited edited = { .old_file = &old };
	struct blockz_map *map = NULL;
	uint64_t verified_size;
	edited.verdict = judge_file(old.data, old.len, IMAGE_MAX, &old_image);
	bool scan = data[7] & 1;
	if (edited.verdict != TOO_LARGE && read_map(&file, scan, &map) == BLOCKZ_OK) {
		/* A seek table is kept right even where the map goes without it. */
		bool unindexed = map->index == BLOCKZ_INDEX_NONE && format_of(old.data, old.len) == GZIP;
		bool sound = edited.verdict == ACCEPTED &&
			     (unindexed || verify(&file, false, &verified_size) == BLOCKZ_OK);
		if (map->image_size == old_image.len) {
			struct choice choice = read_choice(data, map->image_size);
			bytes_append(&edited.image, old_image.data, old_image.len);
			edit_image(&edited.image, &choice);
			patch(&file, map, &edited, &choice, sound);
		}
	}
	blockz_map_free(map);
	free(edited.image.data);
	free(old_image.data);
	free(old.data);
	return 0;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed)
{
	return mutate_file(data, size, max_size, seed, PREFIX_LEN);
}
