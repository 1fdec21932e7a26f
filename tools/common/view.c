/* SPDX-License-Identifier: BSD-3-Clause */
#include "view.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fault.h"

enum {
	BOOT_LEN = 512,
	SUPERBLOCKS_LEN = 1 << 20, /* holds those of all file systems, but see range_elsewhere() */
};

/* ---- The file */

enum blockz_status view_open(struct view *view, const struct blockz_source *image, struct blockz_fault *fault)
{
	*view = (struct view){
		.image = image,
		.fd = memfd_create("blockz", MFD_CLOEXEC),
		.tables = blkid_new_probe(),
		.superblocks = blkid_new_probe(),
	};
	if (view->fd < 0)
		return tool_fault_errno(fault, errno, "a file in memory for libblkid");
	if (view->tables == NULL || view->superblocks == NULL)
		return tool_fault_errno(fault, ENOMEM, "libblkid");
	return BLOCKZ_OK;
}

void view_close(struct view *view)
{
	blkid_free_probe(view->tables);
	blkid_free_probe(view->superblocks);
	if (view->fd >= 0)
		close(view->fd);
}

enum blockz_status view_clear(const struct view *view, uint64_t len, struct blockz_fault *fault)
{
	if (ftruncate(view->fd, 0) != 0 || ftruncate(view->fd, (off_t)len) != 0)
		return tool_fault_errno(fault, errno, "a file in memory of %" PRIu64 " bytes for libblkid", len);
	return BLOCKZ_OK;
}

enum blockz_status view_write(const struct view *view, const void *buf, size_t len, uint64_t off,
			      struct blockz_fault *fault)
{
	ssize_t put = pwrite(view->fd, buf, len, (off_t)off);
	if (put != (ssize_t)len)
		return tool_fault_errno(fault, put < 0 ? errno : ENOSPC, "a file in memory for libblkid");
	return BLOCKZ_OK;
}

enum blockz_status view_image(const struct blockz_source *image, void *buf, size_t len, uint64_t off,
			      struct blockz_fault *fault)
{
	size_t got = 0;
	int error = image->ops->read(image->ctx, buf, len, off, &got);
	if (error != 0)
		return tool_fault_errno(fault, error, "read %zu bytes at image offset %" PRIu64, len, off);
	if (got < len)
		return tool_fault(fault, BLOCKZ_FAILED,
				  "the image ends at byte %" PRIu64 ", expected %" PRIu64 " bytes: it became shorter",
				  off + got, image->size);
	return BLOCKZ_OK;
}

enum blockz_status view_copy(const struct view *view, struct blockz_range range, uint64_t base,
			     struct blockz_fault *fault)
{
	uint8_t buf[1 << 14];
	enum blockz_status status = BLOCKZ_OK;
	for (uint64_t off = range.start; off < range.end && status == BLOCKZ_OK;) {
		size_t len = range.end - off < sizeof(buf) ? (size_t)(range.end - off) : sizeof(buf);
		status = view_image(view->image, buf, len, off, fault);
		if (status == BLOCKZ_OK)
			status = view_write(view, buf, len, off - base, fault);
		off += len;
	}
	return status;
}

bool view_read(const struct view *view, void *buf, size_t len, uint64_t off)
{
	return off <= INT64_MAX && pread(view->fd, buf, len, (off_t)off) == (ssize_t)len;
}

enum blockz_status view_probe(const struct view *view, blkid_probe probe, uint64_t len, struct blockz_fault *fault)
{
	if (blkid_probe_set_device(probe, view->fd, 0, (blkid_loff_t)len) != 0 ||
	    blkid_probe_set_sectorsize(probe, view->sector_size) != 0)
		return tool_fault_errno(fault, errno, "libblkid");
	return BLOCKZ_OK;
}

/* ---- File systems that keep their label elsewhere */

static uint16_t load16(const uint8_t *from)
{
	return (uint16_t)(from[0] | from[1] << 8);
}

static uint64_t load32(const uint8_t *from)
{
	return load16(from) | (uint64_t)load16(from + 2) << 16;
}

static struct blockz_range first_bytes(struct blockz_range range, uint64_t len)
{
	if (range.end - range.start > len)
		range.end = range.start + len;
	return range;
}

/*
 * What libblkid reads of a partition of len bytes apart from the boot sector: FAT32 has its label in the root
 * directory, NTFS in the fourth record of the MFT.  Empty for anything else.
 */
static struct blockz_range range_elsewhere(const uint8_t boot[BOOT_LEN], uint64_t len)
{
	enum { FAT_ROOT_MIN = 2, MFT_RECORDS_LEN = 4 * 4096 };
	uint64_t sector_len = load16(boot + 11), cluster_len = boot[13] * sector_len;
	struct blockz_range range = { 0, 0 };
	if (memcmp(boot + 82, "FAT32   ", 8) == 0 && load32(boot + 44) >= FAT_ROOT_MIN) {
		uint64_t fats = load16(boot + 14) + boot[16] * load32(boot + 36);
		range.start = fats * sector_len + (load32(boot + 44) - FAT_ROOT_MIN) * cluster_len;
		range.end = range.start + cluster_len;
	} else if (memcmp(boot + 3, "NTFS    ", 8) == 0 && load32(boot + 52) == 0) {
		range.start = load32(boot + 48) * cluster_len;
		range.end = range.start + MFT_RECORDS_LEN;
	}
	return range.end <= len ? range : (struct blockz_range){ 0, 0 };
}

/* ---- File systems */

static enum blockz_status copy_partition(const struct view *view, struct blockz_range range, struct blockz_fault *fault)
{
	uint8_t boot[BOOT_LEN];
	enum blockz_status status = view_clear(view, range.end - range.start, fault);
	if (status == BLOCKZ_OK)
		status = view_copy(view, first_bytes(range, SUPERBLOCKS_LEN), range.start, fault);
	if (status != BLOCKZ_OK || !view_read(view, boot, sizeof(boot), 0))
		return status;
	struct blockz_range elsewhere = range_elsewhere(boot, range.end - range.start);
	elsewhere.start += range.start;
	elsewhere.end += range.start;
	return view_copy(view, first_bytes(elsewhere, SUPERBLOCKS_LEN), range.start, fault);
}

enum blockz_status view_file_system(struct view *view, struct blockz_range range, bool *found_ret,
				    struct blockz_fault *fault)
{
	enum { FOUND = 0, SEVERAL = -2 };
	enum blockz_status status = copy_partition(view, range, fault);
	if (status == BLOCKZ_OK)
		status = view_probe(view, view->superblocks, range.end - range.start, fault);
	if (status != BLOCKZ_OK)
		return status;
	int result = blkid_do_safeprobe(view->superblocks);
	if (result != FOUND)
		blkid_reset_probe(view->superblocks);
	*found_ret = result == FOUND || result == SEVERAL;
	return BLOCKZ_OK;
}
