/* SPDX-License-Identifier: BSD-3-Clause */
/* An edit of an image, chosen by the first bytes of an input, in the file that the rest of it is. */
#ifndef FUZZ_EDIT_H
#define FUZZ_EDIT_H

#include "base/bytes.h"
#include "reseal.h"

enum { EDIT_PREFIX_LEN = 13 };

struct edit_choice {
	uint64_t start, len;
	uint8_t pattern;
	bool overlapping;
	unsigned more; /* bits for the target's own choices */
	uint64_t fail_at;
	bool resize;
	uint64_t image_size; /* after the edit */
};

/* may_resize: the image may get another size, within which the edit is then. */
static inline struct edit_choice edit_choice(const uint8_t *p, uint64_t old_size, bool may_resize)
{
	const bool resize = may_resize && p[7] & 0x80;
	const uint64_t image_size = resize ? load_le32(p + 9) % (2 * old_size + 100000) : old_size;
	uint64_t start = load_le32(p) % (image_size + 1), len = load_le16(p + 4);
	return (struct edit_choice){
		.start = start,
		.len = len < image_size - start ? len : image_size - start,
		.pattern = p[6],
		.overlapping = p[7] & 2,
		.more = p[7] / 4 % 32,
		.fail_at = p[8] < 128 ? p[8] : UINT64_MAX,
		.resize = resize,
		.image_size = image_size,
	};
}

struct edit_case {
	const struct blockz_source *file;
	const struct blockz_map *map;
	struct edit_choice choice;
	const struct edited *edited;
	struct blockz_edit edits[2];
	size_t first; /* of the edits; the others are not to be made */
};

/* The first edit, if it is there, writes something else over a part of the second, which wins. */
static inline void edit_case_edits(struct edit_case *self, struct blockz_source data)
{
	const struct edit_choice *choice = &self->choice;
	self->edits[0] = (struct blockz_edit){ .data = data };
	self->edits[0].range = (struct blockz_range){ choice->start + choice->len / 4, choice->start + choice->len / 2 };
	self->edits[1] = (struct blockz_edit){ .data = data, .data_off = choice->start };
	self->edits[1].range = (struct blockz_range){ choice->start, choice->start + choice->len };
	self->first = choice->overlapping ? 0 : 1;
}

/* Has a case tried, if the input is one whose image has no more than image_max bytes.  may_resize: as in edit_choice(). */
static inline void edit_input(const uint8_t *data, size_t size, size_t image_max, bool may_resize,
			      void (*edit_image)(struct bytes *image, const struct edit_choice *choice),
			      void (*try)(struct edit_case *self))
{
	if (size < EDIT_PREFIX_LEN)
		return;
	struct bytes old = { 0 }, old_image = { 0 };
	bytes_append(&old, data + EDIT_PREFIX_LEN, size - EDIT_PREFIX_LEN);
	struct blockz_memory memory = bytes_memory(&old);
	struct blockz_source file = blockz_source_memory(&memory);
	struct edited edited = { .old_file = &old };
	struct blockz_map *map = NULL;
	edited.verdict = judge_file(old.data, old.len, image_max, &old_image);
	if (edited.verdict != TOO_LARGE && read_map(&file, data[7] & 1, &map) == BLOCKZ_OK && map->image_size == old_image.len) {
		struct edit_case self = {
			.file = &file, .map = map, .choice = edit_choice(data, map->image_size, may_resize), .edited = &edited,
		};
		bytes_append(&edited.image, old_image.data, old_image.len);
		bytes_resize(&edited.image, (size_t)self.choice.image_size);
		if (edited.image.len > old_image.len)
			memset(edited.image.data + old_image.len, 0, edited.image.len - old_image.len);
		edit_image(&edited.image, &self.choice);
		struct blockz_memory image = bytes_memory(&edited.image);
		edit_case_edits(&self, blockz_source_memory(&image));
		try(&self);
	}
	blockz_map_free(map);
	free(edited.image.data);
	free(old_image.data);
	free(old.data);
}

#endif
