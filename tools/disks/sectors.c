/* SPDX-License-Identifier: BSD-3-Clause */
/* Each size is tried: what partitions begin with, at the places that it means, tells which one it was. */
#include "disks/sectors.h"

#include "cli/fault.h"
#include "cli/size.h"
#include "disks/mbr.h"
#include "disks/view.h"

enum { SMALL, LARGE };

const unsigned sectors_sizes[SECTORS_SIZES] = { [SMALL] = SIZE_SECTOR_SMALL, [LARGE] = SIZE_SECTOR_LARGE };

/* The bytes of the disk that an entry means, even those beyond its end.  No product of 33 and 12 bits is too large. */
static struct blockz_range place_of(struct mbr_entry entry, unsigned size)
{
	return (struct blockz_range){ entry.start * size, (entry.start + entry.count) * size };
}

/* The end of the last partition. */
static uint64_t end_of_all(const uint8_t *mbr, unsigned size)
{
	uint64_t end = 0;
	for (unsigned i = 0; i < MBR_ENTRIES; i++) {
		struct mbr_entry entry = mbr_entry(mbr, i);
		if (mbr_is_partition(entry) && place_of(entry, size).end > end)
			end = place_of(entry, size).end;
	}
	return end;
}

static bool has_room(const struct sectors_disk *disk, size_t which)
{
	return end_of_all(disk->mbr, sectors_sizes[which]) <= disk->len;
}

static bool starts_at(const uint8_t *mbr, unsigned size, uint64_t off)
{
	for (unsigned i = 0; i < MBR_ENTRIES; i++) {
		struct mbr_entry entry = mbr_entry(mbr, i);
		if (mbr_is_partition(entry) && place_of(entry, size).start == off)
			return true;
	}
	return false;
}

/* *found_ret: what an entry of its kind leads to is there.  range: of the image. */
static enum blockz_status look_at_entry(struct view *view, struct mbr_entry entry, struct blockz_range range, bool *found_ret,
					struct blockz_fault *fault)
{
	uint8_t ebr[MBR_LEN];
	if (!mbr_is_extended(entry))
		return view_file_system(view, range, found_ret, fault);
	if (range.end - range.start < sizeof(ebr))
		return BLOCKZ_OK;
	enum blockz_status status = view_image(view->image, ebr, sizeof(ebr), range.start, fault);
	*found_ret = status == BLOCKZ_OK && mbr_is_table(ebr);
	return status;
}

/* *found_ret: there is content where a partition starts with sectors of this size, and none starts with the other. */
static enum blockz_status find_content(const struct sectors_disk *disk, struct view *view, size_t which, bool *found_ret,
				       struct blockz_fault *fault)
{
	enum blockz_status status = BLOCKZ_OK;
	view->sector_size = sectors_sizes[which];
	for (unsigned i = 0; i < MBR_ENTRIES && status == BLOCKZ_OK && !*found_ret; i++) {
		struct mbr_entry entry = mbr_entry(disk->mbr, i);
		struct blockz_range range = place_of(entry, sectors_sizes[which]);
		if (!mbr_is_partition(entry) || range.start >= disk->len ||
		    starts_at(disk->mbr, sectors_sizes[SECTORS_SIZES - 1 - which], range.start))
			continue;
		if (range.end > disk->len)
			range.end = disk->len;
		range = (struct blockz_range){ disk->off + range.start, disk->off + range.end };
		status = look_at_entry(view, entry, range, found_ret, fault);
	}
	return status;
}

static enum blockz_status weigh(const struct sectors_disk *disk, struct view *view, unsigned *size_ret,
				struct blockz_fault *fault)
{
	bool small = false, large = false;
	bool room = has_room(disk, SMALL) && !has_room(disk, LARGE);
	enum blockz_status status = find_content(disk, view, SMALL, &small, fault);
	if (status == BLOCKZ_OK && (!room || !small))
		status = find_content(disk, view, LARGE, &large, fault);
	if (status != BLOCKZ_OK)
		return status;
	if (room ? large && !small : large == small)
		return sectors_undecided(fault);
	*size_ret = sectors_sizes[large && !small ? LARGE : SMALL];
	return BLOCKZ_OK;
}

enum blockz_status sectors_find(const struct sectors_disk *disk, unsigned *size_ret, struct blockz_fault *fault)
{
	struct view view;
	if (end_of_all(disk->mbr, 1) == 0) {
		*size_ret = sectors_sizes[SMALL];
		return BLOCKZ_OK;
	}
	enum blockz_status status = view_open(&view, disk->image, fault);
	if (status == BLOCKZ_OK)
		status = weigh(disk, &view, size_ret, fault);
	view_close(&view);
	return status;
}

enum blockz_status sectors_undecided(struct blockz_fault *fault)
{
	return tool_fault(fault, BLOCKZ_USAGE,
			  "nothing tells whether the disk has sectors of 512 or of 4096 bytes, and with each its partitions lie "
			  "elsewhere; say it with --sector-size (nbdkit: sector-size=)");
}
