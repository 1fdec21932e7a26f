/* SPDX-License-Identifier: BSD-3-Clause */
/* Slots are judged one by one; of two good ones the newer counts, and both have to be of one image. */
#include "journal/overlay_header.h"

#include <stddef.h>

#include "base/bytes.h"
#include "blockz_disk.h"
#include "journal/journal.h"
#include "journal/overlay_pages.h"

enum { VERSION = 1, SUM_OFF = 80 };

static const char magic[8] = { 'b', 'l', 'o', 'c', 'k', 'z', 'O', '1' };

bool overlay_identity_is(const struct overlay_identity *a, const struct overlay_identity *b)
{
	return a->file_size == b->file_size && a->ends == b->ends && a->pieces == b->pieces;
}

static void store_identity(uint8_t *p, const struct overlay_identity *identity)
{
	store_le64(p, identity->file_size);
	store_le64(p + 8, identity->ends);
	store_le64(p + 16, identity->pieces);
}

static struct overlay_identity load_identity(const uint8_t *p)
{
	return (struct overlay_identity){ load_le64(p), load_le64(p + 8), load_le64(p + 16) };
}

void overlay_slot_store(uint8_t *p, const struct overlay_header *header)
{
	memcpy(p, magic, sizeof(magic));
	store_le32(p + 8, VERSION);
	store_le32(p + 12, BLOCKZ_OVERLAY_PAGE);
	store_le64(p + 16, header->generation);
	store_le64(p + 24, header->image_size);
	store_identity(p + 32, &header->base);
	store_identity(p + 56, &header->next);
	store_le64(p + SUM_OFF, journal_digest(p, SUM_OFF));
}

uint64_t overlay_slot_off(const struct overlay_header *header)
{
	return header->generation % OVERLAY_SLOTS * OVERLAY_SLOT_ROOM;
}

static bool has_magic(const uint8_t *p)
{
	return memcmp(p, magic, sizeof(magic)) == 0;
}

static bool is_known(const uint8_t *p)
{
	return has_magic(p) && load_le32(p + 8) == VERSION && load_le32(p + 12) == BLOCKZ_OVERLAY_PAGE;
}

/* False: it is torn, or none. */
static bool load_slot(const uint8_t *p, struct overlay_header *header)
{
	if (!is_known(p) || load_le64(p + SUM_OFF) != journal_digest(p, SUM_OFF))
		return false;
	header->generation = load_le64(p + 16);
	header->image_size = load_le64(p + 24);
	header->base = load_identity(p + 32);
	header->next = load_identity(p + 56);
	return true;
}

const char *overlay_header_load(const uint8_t *p, struct overlay_header *header_ret)
{
	struct overlay_header slots[OVERLAY_SLOTS];
	const struct overlay_header *newer = NULL;
	bool known = false, named = false;
	for (size_t i = 0; i < OVERLAY_SLOTS; i++) {
		const uint8_t *slot = p + i * OVERLAY_SLOT_ROOM;
		named = named || has_magic(slot);
		known = known || is_known(slot);
		if (!load_slot(slot, &slots[i]))
			continue;
		if (overlay_slot_off(&slots[i]) != i * OVERLAY_SLOT_ROOM)
			return "a part of its header stands in another one's place";
		if (newer != NULL && newer->image_size != slots[i].image_size)
			return "the parts of its header are of images of different sizes";
		if (newer == NULL || newer->generation < slots[i].generation)
			newer = &slots[i];
	}
	if (newer == NULL)
		return known ? "its checksum does not match" : named ? "of a version that this program does not know"
								      : "not an overlay of blockz";
	if (newer->image_size == 0 || newer->image_size > OVERLAY_IMAGE_MAX)
		return "of an image of a size that cannot be";
	*header_ret = *newer;
	return NULL;
}
