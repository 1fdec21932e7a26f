/* SPDX-License-Identifier: BSD-3-Clause */
/* A compressed image is a disk that is read piece by piece, or else copied; any other is its file. */
#define NBDKIT_API_VERSION 2
#include "base.h"

#include <errno.h>

#include "blockz_disk.h"
#include "blockz_pages.h"
#include "cli/appended.h"
#include "cli/fault.h"
#include "pages_errno.h"
#include "say.h"
#include "servers/nbd.h"

enum { HEAD_LEN = 64 };

/* ---- A compressed file whose pieces can be read one by one */

static int read_disk(void *ctx, void *buf, size_t len, uint64_t off, size_t *got_ret)
{
	const struct base *base = ctx;
	struct blockz_fault fault;
	uint64_t left = off < base->source.size ? base->source.size - off : 0;
	if (len > left)
		len = (size_t)left;
	if (blockz_disk_read(base->disk, buf, len, off, &fault) != BLOCKZ_OK) {
		nbd_report(base->label, &fault); /* with the offset in the file, which the pages do not know */
		return EIO;
	}
	*got_ret = len;
	return 0;
}

/* A part that cannot be decoded is not known to be zeros. */
static int next_data(void *ctx, uint64_t off, uint64_t *start_ret, uint64_t *end_ret)
{
	enum { DAMAGED_LEN = 1 << 16 };
	const struct base *base = ctx;
	uint64_t size = base->source.size, len = size - off;
	bool zeros = true;
	for (; off < size; off += len) {
		if (blockz_disk_extent(base->disk, off, size - off, &zeros, &len, NULL) != BLOCKZ_OK) {
			zeros = false;
			len = size - off < DAMAGED_LEN ? size - off : DAMAGED_LEN;
		}
		if (!zeros)
			break;
	}
	*start_ret = off < size ? off : size;
	*end_ret = off < size ? off + len : size;
	return 0;
}

static void warn_appended(const struct base *base, const struct blockz_map *map)
{
	const struct blockz_map_info info = blockz_map_info(map);
	char text[APPENDED_TEXT];
	if (appended_text(text, &info))
		say("%s: %s", base->label, text);
}

/* Without an index there may be one check for all, which reading parts does not look at. */
static enum blockz_status verify(const struct base *base, const struct blockz_map *map, struct blockz_fault *fault)
{
	struct blockz_verify_options options = { 0 };
	struct blockz_verify_result result;
	if (blockz_map_info(map).index != BLOCKZ_INDEX_NONE)
		return BLOCKZ_OK;
	return blockz_verify(&base->file.source, &options, &result, fault);
}

/* It is copied if its pieces are too large. */
static enum blockz_status open_whole(struct base *base, struct blockz_fault *fault)
{
	enum blockz_status status = blockz_map_read(&base->file.source, NULL, &base->whole, fault);
	if (status != BLOCKZ_OK)
		return status;
	base->source.size = blockz_map_info(base->whole).image_size;
	warn_appended(base, base->whole);
	return verify(base, base->whole, fault);
}

static enum blockz_status open_compressed(struct base *base, uint64_t cache, struct blockz_fault *fault)
{
	static const struct blockz_source_ops ops = { .read = read_disk, .next_data = next_data };
	struct blockz_disk_options options = { .cache = cache };
	enum blockz_status status = blockz_disk_open(&base->file.file.store, &options, &base->disk, fault);
	if (status == BLOCKZ_LIMIT)
		return open_whole(base, fault);
	if (status != BLOCKZ_OK)
		return status;
	const struct blockz_map *map = blockz_disk_map(base->disk);
	base->source = (struct blockz_source){ &ops, base, blockz_map_info(map).image_size };
	base->cache = cache;
	warn_appended(base, map);
	return verify(base, map, fault);
}

/* ---- Any file */

static enum blockz_status open_plain(struct base *base, const char *path, struct blockz_fault *fault)
{
	enum blockz_status status = input_open(&base->plain, path, fault);
	if (status == BLOCKZ_OK)
		base->source = base->plain.source;
	return status;
}

static enum blockz_status open_by_content(struct base *base, const char *path, uint64_t cache,
					  struct blockz_fault *fault)
{
	uint8_t head[HEAD_LEN];
	size_t len = 0;
	const struct blockz_source *file = &base->file.source;
	int error = file->ops->read(file->ctx, head, sizeof(head), 0, &len);
	if (error != 0)
		return tool_fault_errno(fault, error, "read");
	base->format = blockz_format_by_magic(head, len);
	if (base->format == NULL)
		return open_plain(base, path, fault);
	return open_compressed(base, cache, fault);
}

enum blockz_status base_open(struct base *base, const char *path, const char *label, uint64_t cache,
			     struct blockz_fault *fault)
{
	*base = (struct base){ .label = label };
	enum blockz_status status = input_open_image(&base->file, path, false, fault);
	if (status == BLOCKZ_OK && base->file.file.store.note != NULL)
		say("%s: warning: %s", label, base->file.file.store.note);
	if (status == BLOCKZ_OK)
		status = open_by_content(base, path, cache, fault);
	if (status != BLOCKZ_OK)
		base_close(base);
	return status;
}

const struct blockz_map *base_map(const struct base *base)
{
	return base->disk != NULL ? blockz_disk_map(base->disk) : base->whole;
}

const struct blockz_store *base_store(const struct base *base)
{
	return base->file.file.store.ops != NULL ? &base->file.file.store : NULL;
}

void base_add_to(const struct base *base, struct audience *audience)
{
	if (base->label != NULL)
		input_add_to(&base->file, audience);
}

void base_close(struct base *base)
{
	blockz_disk_close(base->disk, NULL);
	blockz_map_free(base->whole);
	input_close(&base->plain);
	input_close(&base->file);
	*base = (struct base){ 0 };
}

/* ---- A compressed file that has to be decoded from its beginning */

struct copy {
	struct blockz_pages *pages;
	uint64_t off;
	enum blockz_status status;
	struct blockz_fault fault;
};

static int append_bytes(void *ctx, const void *buf, size_t len)
{
	struct copy *copy = ctx;
	copy->status = blockz_pages_write(copy->pages, buf, len, copy->off, &copy->fault);
	copy->off += len;
	return copy->status == BLOCKZ_OK ? 0 : pages_errno(&copy->fault);
}

static int append_zeros(void *ctx, uint64_t len)
{
	struct copy *copy = ctx;
	copy->off += len;
	return 0;
}

enum blockz_status base_copy(struct base *base, struct blockz_pages *pages, struct blockz_fault *fault)
{
	static const struct blockz_sink_ops ops = { .write = append_bytes, .zeros = append_zeros };
	struct copy copy = { .pages = pages };
	struct blockz_sink sink = { &ops, &copy };
	struct blockz_work work = { 0 };
	const struct blockz_range all = { 0, base->source.size };
	enum blockz_status status = blockz_extract(&base->file.source, base->whole, all, &sink, &work, fault);
	if (copy.status != BLOCKZ_OK) {
		status = copy.status;
		*fault = copy.fault;
	}
	return status;
}
