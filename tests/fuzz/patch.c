/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Any bytes as a file, and an edit of it: where a plan is made, the patched file holds the edited image, by the
 * format's own library.  The first bytes of the input choose the edit.
 */
#include "edit.h"

enum { IMAGE_MAX = 2 << 20 };

/* The image after the edit; where the pattern comes out as 0, bytes stay as they were. */
static void edit_image(struct bytes *image, const struct edit_choice *choice)
{
	for (uint64_t i = 0; i < choice->len; i++)
		image->data[choice->start + i] ^= (uint8_t)(choice->pattern * (i / 64 + choice->pattern % 4));
}

/* An edit within one patchable range cannot be refused, unless there is an index of another version. */
static bool must_succeed(const struct blockz_map *map, const struct edit_choice *choice)
{
	struct blockz_map_range range;
	if (map->index_fault.status == BLOCKZ_UNSUPPORTED)
		return false;
	return choice->len == 0 || (blockz_map_range_at(map, choice->start, &range) && range.patchable &&
				    choice->start + choice->len <= range.end);
}

static void patch(struct edit_case *self)
{
	const struct edited *edited = self->edited;
	struct blockz_plan *plan = NULL;
	uint64_t verified_size;
	/* A seek table is kept right even where the map goes without it. */
	bool unindexed = self->map->index == BLOCKZ_INDEX_NONE && format_of(edited->old_file->data, edited->old_file->len) == GZIP;
	bool sound = edited->verdict == ACCEPTED && (unindexed || verify(self->file, false, &verified_size) == BLOCKZ_OK);
	self->edits[0].same_elsewhere = self->edits[1].same_elsewhere = self->choice.more & 1;
	enum blockz_status status = make_plan(self->file, self->map, self->edits + self->first, 2 - self->first, &plan);
	assert(status == BLOCKZ_OK || !sound || !must_succeed(self->map, &self->choice));
	/* An index that tells lies about a good file may lead a patch astray; verify finds it. */
	if (status == BLOCKZ_OK && (sound || edited->verdict == REJECTED))
		check_plan(plan, edited, self->choice.fail_at);
	blockz_plan_free(plan);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	edit_input(data, size, IMAGE_MAX, false, edit_image, patch);
	return 0;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed)
{
	return mutate_file(data, size, max_size, seed, EDIT_PREFIX_LEN);
}
