/* SPDX-License-Identifier: BSD-3-Clause */
/* libblkid reads a memfd, to which just the parts of the image are copied that it looks at. */
#include "disks/view.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cli/fault.h"

enum {
	BOOT_LEN = 512,
	SUPERBLOCKS_LEN = 1 << 20, /* holds those of all file systems, but see copy_elsewhere() */
	CLUSTERS_MAX = 100,        /* what libblkid follows of a FAT32 directory */
};

/* ---- The file */

enum blockz_status view_open(struct view *view, const struct blockz_source *image, struct blockz_fault *fault)
{
	*view = (struct view){
		.image = image,
		.fd = memfd_create("blockz", MFD_CLOEXEC),
		.clusters = CLUSTERS_MAX,
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

static uint32_t load32(const uint8_t *from)
{
	return load16(from) | (uint32_t)load16(from + 2) << 16;
}

static struct blockz_range first_bytes(struct blockz_range range, uint64_t len)
{
	if (range.end - range.start > len)
		range.end = range.start + len;
	return range;
}

/* Copies what the partition has of a range of it, but no more than SUPERBLOCKS_LEN.  *done_ret: it is there. */
static enum blockz_status copy_part(const struct view *view, struct blockz_range partition, uint64_t off, uint64_t len,
				    bool *done_ret, struct blockz_fault *fault)
{
	uint64_t room = partition.end - partition.start;
	*done_ret = off <= room && len <= room - off;
	if (!*done_ret)
		return BLOCKZ_OK;
	struct blockz_range range = { partition.start + off, partition.start + off + len };
	return view_copy(view, first_bytes(range, SUPERBLOCKS_LEN), partition.start, fault);
}

/* A FAT and the clusters it is about; offsets and lengths in bytes of the partition. */
struct clusters {
	uint64_t fat_off, heap_off, len;
	uint32_t root; /* the first cluster of the root directory */
};

enum { CLUSTER_FIRST = 2, DIR_ENTRY_LEN = 32 };

/* False: it is no FAT32. */
static bool read_fat32(const uint8_t boot[BOOT_LEN], struct clusters *clusters_ret)
{
	uint64_t sector_len = load16(boot + 11), reserved = load16(boot + 14);
	*clusters_ret = (struct clusters){
		.fat_off = reserved * sector_len,
		.heap_off = (reserved + (uint64_t)boot[16] * load32(boot + 36)) * sector_len,
		.len = boot[13] * sector_len,
		.root = load32(boot + 44),
	};
	return memcmp(boot + 82, "FAT32   ", 8) == 0;
}

/* The shifts: exFAT file system specification, 3.1.14 and 3.1.15.  False: it is no exFAT. */
static bool read_exfat(const uint8_t boot[BOOT_LEN], struct clusters *clusters_ret)
{
	enum { SECTOR_SHIFT_MIN = 9, SECTOR_SHIFT_MAX = 12, CLUSTER_SHIFT_MAX = 25 };
	unsigned sector_shift = boot[108], cluster_shift = sector_shift + boot[109];
	if (memcmp(boot + 3, "EXFAT   ", 8) != 0 || sector_shift < SECTOR_SHIFT_MIN || sector_shift > SECTOR_SHIFT_MAX ||
	    cluster_shift > CLUSTER_SHIFT_MAX)
		return false;
	*clusters_ret = (struct clusters){
		.fat_off = (uint64_t)load32(boot + 80) << sector_shift,
		.heap_off = (uint64_t)load32(boot + 88) << sector_shift,
		.len = UINT64_C(1) << cluster_shift,
		.root = load32(boot + 96),
	};
	return true;
}

/* Whether a directory ends within the cluster at off: entries are not used from one on that starts with 0. */
static bool ends_here(const struct view *view, const struct clusters *clusters, uint64_t off)
{
	uint8_t first = 0;
	return clusters->len < DIR_ENTRY_LEN || clusters->len > SUPERBLOCKS_LEN ||
	       !view_read(view, &first, sizeof(first), off + clusters->len - DIR_ENTRY_LEN) || first == 0;
}

/* Copies the root directory, and what the FAT says of it. */
static enum blockz_status copy_root(struct view *view, struct blockz_range partition, const struct clusters *clusters,
				    struct blockz_fault *fault)
{
	uint32_t cluster = clusters->root;
	for (bool first = true; cluster >= CLUSTER_FIRST && (first || view->clusters > 0); first = false) {
		uint64_t off = clusters->heap_off + (cluster - CLUSTER_FIRST) * clusters->len;
		uint64_t fat_off = clusters->fat_off + (uint64_t)cluster * sizeof(cluster);
		uint8_t next[sizeof(cluster)];
		bool done;
		enum blockz_status status = copy_part(view, partition, off, clusters->len, &done, fault);
		if (status != BLOCKZ_OK || !done || ends_here(view, clusters, off))
			return status;
		status = copy_part(view, partition, fat_off, sizeof(next), &done, fault);
		if (status != BLOCKZ_OK || !done || !view_read(view, next, sizeof(next), fat_off))
			return status;
		cluster = load32(next) & 0x0fffffff;
		view->clusters -= !first;
	}
	return BLOCKZ_OK;
}

/*
 * Copies what libblkid reads of a partition apart from the first MiB: FAT32 and exFAT have their label in the root
 * directory, NTFS in the fourth record of the MFT.
 */
static enum blockz_status copy_elsewhere(struct view *view, struct blockz_range partition, const uint8_t boot[BOOT_LEN],
					 struct blockz_fault *fault)
{
	enum { MFT_RECORDS_LEN = 4 * 4096 };
	struct clusters clusters;
	bool done;
	if (read_fat32(boot, &clusters) || read_exfat(boot, &clusters))
		return copy_root(view, partition, &clusters, fault);
	if (memcmp(boot + 3, "NTFS    ", 8) != 0 || load32(boot + 52) != 0)
		return BLOCKZ_OK;
	uint64_t off = (uint64_t)load32(boot + 48) * boot[13] * load16(boot + 11);
	return copy_part(view, partition, off, MFT_RECORDS_LEN, &done, fault);
}

/* ---- File systems */

static enum blockz_status copy_partition(struct view *view, struct blockz_range range, struct blockz_fault *fault)
{
	uint8_t boot[BOOT_LEN];
	enum blockz_status status = view_clear(view, range.end - range.start, fault);
	if (status == BLOCKZ_OK)
		status = view_copy(view, first_bytes(range, SUPERBLOCKS_LEN), range.start, fault);
	if (status != BLOCKZ_OK || !view_read(view, boot, sizeof(boot), 0))
		return status;
	return copy_elsewhere(view, range, boot, fault);
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
