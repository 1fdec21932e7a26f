/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Any bytes as the overlay of any file: what it holds lies within its image and in itself, looking changes nothing, and what
 * is written to one that is believed is found again beside what was there.  The first bytes of the input say how long the
 * image is and which fields are made right, so that what stands behind them is reached.
 */
#include <xxhash.h>

#include "base/bytes.h"
#include "fuzz.h"
#include "journal/journal.h"
#include "journal/overlay.h"
#include "journal/overlay_pages.h"

enum { PREFIX_LEN = 5, FILE_LEN = 3000, PAGE = BLOCKZ_OVERLAY_PAGE };

enum mend { FORM = 1, SIZE = 2, LENGTH = 4, BASE = 8, NEXT = 16, SUM = 32, BOTH = 64, BITS = 128 };

static uint64_t pages_of(uint64_t image_size)
{
	return (image_size + PAGE - 1) / PAGE;
}

static uint64_t blocks_of(uint64_t image_size)
{
	return (pages_of(image_size) + OVERLAY_BLOCK_PAGES - 1) / OVERLAY_BLOCK_PAGES;
}

static void store_base(uint8_t *p, const struct blockz_store *file)
{
	struct journal_ends *ends = malloc(sizeof(*ends));
	assert(ends != NULL && journal_ends_read(ends, file, NULL) == BLOCKZ_OK);
	store_le64(p, file->size);
	store_le64(p + 8, journal_ends_digest(ends));
	store_le64(p + 16, 0);
	free(ends);
}

static void mend_slot(uint8_t *p, uint64_t index, uint64_t image_size, const struct blockz_store *file, unsigned mend)
{
	if (mend & FORM) {
		memcpy(p, "blockzO1", 8);
		store_le32(p + 8, 1);
		store_le32(p + 12, PAGE);
		store_le64(p + 16, (load_le64(p + 16) & ~UINT64_C(1)) | index);
	}
	if (mend & SIZE)
		store_le64(p + 24, image_size);
	if (mend & BASE)
		store_base(p + 32, file);
	if (mend & NEXT)
		store_base(p + 56, file);
	if (mend & SUM)
		store_le64(p + OVERLAY_SLOT_LEN - 8, XXH64(p, OVERLAY_SLOT_LEN - 8, 0));
}

static void mend_overlay(struct bytes *overlay, uint64_t image_size, const struct blockz_store *file, unsigned mend)
{
	size_t len = overlay->len;
	if (mend & LENGTH)
		bytes_resize(overlay, (size_t)(OVERLAY_HEADER_LEN + blocks_of(image_size) * OVERLAY_BLOCK_LEN +
					       pages_of(image_size) * PAGE));
	if (len < overlay->len)
		memset(overlay->data + len, 0, overlay->len - len);
	if (overlay->len < OVERLAY_HEADER_LEN + OVERLAY_BLOCK_LEN)
		return;
	for (uint64_t i = 0; i < (mend & BOTH ? OVERLAY_SLOTS : 1); i++)
		mend_slot(overlay->data + i * OVERLAY_SLOT_ROOM, i, image_size, file, mend);
	/* Bits from behind the first slot, for inputs that are not as long as an overlay. */
	if (mend & BITS)
		for (uint64_t i = 0; i < pages_of(image_size) / 8; i++)
			overlay->data[OVERLAY_HEADER_LEN + i] = overlay->data[OVERLAY_SLOT_LEN + i % 1024];
}

/* All runs: ascending, within the image, as many pages and bytes as it says, and to be read. */
static void check_held(const struct blockz_overlay *overlay, const struct blockz_overlay_info *info)
{
	const struct blockz_source source = blockz_overlay_source(overlay);
	struct blockz_range range;
	uint64_t off = 0, bytes = 0, pages = 0;
	static uint8_t page[PAGE];
	for (; blockz_overlay_range_at(overlay, off, &range); off = range.end) {
		size_t got = 0;
		assert(range.start >= off && range.start % PAGE == 0 && range.start < range.end && range.end <= info->image_size);
		size_t first = range.end - range.start < PAGE ? (size_t)(range.end - range.start) : PAGE;
		assert(source.ops->read(source.ctx, page, first, range.start, &got) == 0 && got == first);
		bytes += range.end - range.start;
		pages += pages_of(range.end - range.start);
	}
	assert(bytes == info->bytes && pages == info->pages && pages <= pages_of(info->image_size));
}

static struct blockz_overlay *open_overlay(const struct blockz_store *place, const struct blockz_store *file,
					   enum blockz_overlay_mode mode, struct blockz_overlay_info *info_ret)
{
	struct blockz_overlay *overlay = NULL;
	assert(overlay_new(place, file, NULL, mode, &overlay, NULL) == BLOCKZ_OK);
	*info_ret = blockz_overlay_info(overlay);
	assert((info_ret->state == BLOCKZ_OVERLAY_UNTRUSTED) == (info_ret->note != NULL));
	return overlay;
}

/* One more page, and an announcement. */
static void write_some(const struct blockz_store *place, const struct blockz_store *file, uint64_t number)
{
	static uint8_t page[PAGE], found[PAGE];
	struct blockz_overlay_info before, after;
	struct blockz_overlay *overlay = open_overlay(place, file, BLOCKZ_OVERLAY_WRITE, &before);
	assert(overlay_begin(overlay, before.image_size, NULL) == BLOCKZ_OK);
	number %= pages_of(before.image_size);
	bool held = overlay_holds(overlay, number);
	memset(page, 0x5a, sizeof(page));
	assert((held ? overlay_write(overlay, page, PAGE, number * PAGE, NULL)
		     : overlay_add(overlay, page, PAGE, number * PAGE, NULL)) == BLOCKZ_OK);
	assert(overlay_set_next(overlay, &(struct overlay_identity){ 7, number, 7 }, NULL) == BLOCKZ_OK);
	blockz_overlay_close(overlay);
	overlay = open_overlay(place, file, BLOCKZ_OVERLAY_READ, &after);
	assert(after.state == BLOCKZ_OVERLAY_OF_FILE && after.pages == before.pages + !held);
	assert(overlay_read(overlay, found, PAGE, number * PAGE, NULL) == BLOCKZ_OK && memcmp(found, page, PAGE) == 0);
	check_held(overlay, &after);
	blockz_overlay_close(overlay);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < PREFIX_LEN)
		return 0;
	struct memory_store memory = { .fail_at = UINT64_MAX }, other = { .published = true, .fail_at = UINT64_MAX };
	struct bytes old = { 0 };
	uint64_t image_size = 1 + load_le16(data) * UINT64_C(7);
	bytes_resize(&memory.file, FILE_LEN);
	memset(memory.file.data, 'f', FILE_LEN);
	bytes_append(&other.journal, data + PREFIX_LEN, size - PREFIX_LEN);
	const struct blockz_store file = memory_store(&memory), place = memory_store(&other);
	mend_overlay(&other.journal, image_size, &file, data[2]);
	bytes_append(&old, other.journal.data, other.journal.len);

	struct blockz_overlay_info info;
	struct blockz_overlay *overlay = open_overlay(&place, &file, BLOCKZ_OVERLAY_READ, &info);
	check_held(overlay, &info);
	assert(info.state != BLOCKZ_OVERLAY_NONE && blockz_overlay_refuse(overlay, NULL) == BLOCKZ_NEEDS_RECOVERY);
	blockz_overlay_close(overlay);
	assert(bytes_equal(&other.journal, &old));
	if (info.state == BLOCKZ_OVERLAY_OF_FILE)
		write_some(&place, &file, load_le16(data + 3));
	overlay = open_overlay(&place, &file, BLOCKZ_OVERLAY_WRITE, &info);
	assert(blockz_overlay_drop(overlay, NULL) == BLOCKZ_OK && !other.published);
	blockz_overlay_close(overlay);
	free(old.data);
	memory_store_free(&memory);
	memory_store_free(&other);
	return 0;
}
