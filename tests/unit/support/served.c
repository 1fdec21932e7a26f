/* SPDX-License-Identifier: BSD-3-Clause */
/* The file is read and written by its name while it is served, as other programs would. */
#include "served.h"

#include <stdio.h>
#include <string.h>

#include "base/checked.h"
#include "files.h"
#include "grouped.h"

const struct blockz_range served_raw[SERVED_RAWS] = {
	{ 0, 5000 }, { 70 * KIB + 11, 3 * MIB + 77 }, { SERVED_LEN - 12000, SERVED_LEN },
};

const struct served_variant served_variants[SERVED_VARIANTS] = {
	{ "gzip", NULL, false, 0 }, { "gzip", NULL, true, 0 }, { "xz", "crc32", false, 0 },  { "xz", "crc64", false, 0 },
	{ "xz", "sha256", false, 0 }, { "xz", "none", false, 0 }, { "zstd", NULL, false, 0 }, { "gzip", NULL, false, 2 * MIB },
};

struct bytes served_image(void)
{
	struct bytes image = image_new(IMAGE_DISK, SERVED_LEN);
	for (size_t off = 24 * KIB; off < SERVED_LEN; off += 64 * KIB) /* which no encoder spends time on */
		memset(image.data + off, 0, min(40 * KIB, SERVED_LEN - off));
	memset(image.data + 3 * MIB + 256 * KIB, 0, MIB);
	return image;
}

void served_prepare(struct served *self, const char *format, struct bytes image, struct bytes file)
{
	*self = (struct served){ .format = format, .image = image };
	scratch_init(&self->scratch);
	served_write_file(self, file);
}

void served_pack(struct served *self, const struct served_variant *variant, struct bytes image)
{
	struct blockz_pack_options options = {
		.level = 2, .check = variant->check, .piece_size = SERVED_PIECE, .raw = served_raw, .raw_count = SERVED_RAWS,
		.no_index = variant->no_index,
	};
	struct bytes file = pack_image(format_named(variant->format), image, options, NULL);
	served_prepare(self, variant->format, image, variant->group != 0 ? gzip_grouped(file, variant->group) : file);
}

void served_prepare_variant(struct served *self, const struct served_variant *variant)
{
	served_pack(self, variant, served_image());
}

void served_free(struct served *self)
{
	scratch_free(&self->scratch);
}

struct bytes served_file(const struct served *self)
{
	char path[PATH_MAX + sizeof(SCRATCH_NAME)];
	snprintf(path, sizeof(path), "%s/%s", self->scratch.path, SCRATCH_NAME);
	return load(path);
}

void served_write_file(const struct served *self, struct bytes file)
{
	scratch_write(&self->scratch, SCRATCH_NAME, file.data, file.len);
}

bool served_has_journal(const struct served *self)
{
	return scratch_exists(&self->scratch, SCRATCH_JOURNAL);
}

enum blockz_status served_open(struct served *self, enum blockz_store_mode mode, enum blockz_commit commit)
{
	const struct blockz_disk_options options = { .cache = SERVED_CACHE, .commit = commit };
	ck_assert_int_eq(scratch_open(&self->scratch, mode), BLOCKZ_OK);
	enum blockz_status status = blockz_disk_open(&self->scratch.store, &options, &self->disk, &self->fault);
	if (status != BLOCKZ_OK)
		blockz_store_close(&self->scratch.store);
	return status;
}

void served_start(struct served *self, enum blockz_commit commit)
{
	enum blockz_status status = served_open(self, BLOCKZ_STORE_WRITE, commit);
	ck_assert_msg(status == BLOCKZ_OK, "open: %s", self->fault.text);
	ck_assert(blockz_disk_is_writable(self->disk));
}

void served_close(struct served *self)
{
	enum blockz_status status = blockz_disk_close(self->disk, &self->fault);
	ck_assert_msg(status == BLOCKZ_OK, "close: %s", self->fault.text);
	blockz_store_close(&self->scratch.store);
	ck_assert(!served_has_journal(self));
}

/* ---- With an overlay ---- */

#define OVERLAY "." SCRATCH_NAME ".blockz-overlay"

static void open_overlay(struct served *self)
{
	enum blockz_status status = blockz_overlay_open(self->scratch.dir, SCRATCH_NAME, &self->scratch.store, BLOCKZ_OVERLAY_WRITE,
							&self->overlay, &self->fault);
	ck_assert_msg(status == BLOCKZ_OK, "overlay: %s", self->fault.text);
}

static void close_all(struct served *self)
{
	blockz_overlay_close(self->overlay);
	blockz_store_close(&self->scratch.store);
	growing_store_free(&self->memory);
	self->overlay = NULL;
}

enum blockz_status served_open_anywhere(struct served *self, enum blockz_commit commit)
{
	ck_assert_int_eq(scratch_open(&self->scratch, BLOCKZ_STORE_WRITE), BLOCKZ_OK);
	open_overlay(self);
	self->memory = (struct growing_store){ 0 };
	self->temporary = growing_store(&self->memory);
	const struct blockz_disk_options options = {
		.cache = SERVED_CACHE, .commit = commit, .overlay = self->overlay, .scratch = &self->temporary,
	};
	enum blockz_status status = blockz_disk_open(&self->scratch.store, &options, &self->disk, &self->fault);
	if (status != BLOCKZ_OK)
		close_all(self);
	return status;
}

void served_start_anywhere(struct served *self, enum blockz_commit commit)
{
	enum blockz_status status = served_open_anywhere(self, commit);
	ck_assert_msg(status == BLOCKZ_OK, "open: %s", self->fault.text);
	ck_assert(blockz_disk_is_writable(self->disk));
}

void served_leave(struct served *self)
{
	enum blockz_status status = blockz_disk_close(self->disk, &self->fault);
	ck_assert_msg(status == BLOCKZ_OK, "close: %s", self->fault.text);
	close_all(self);
	ck_assert(!served_has_journal(self));
}

bool served_has_overlay(const struct served *self)
{
	return scratch_exists(&self->scratch, OVERLAY);
}

void served_bring_in(struct served *self, enum blockz_way way)
{
	ck_assert_int_eq(scratch_open(&self->scratch, BLOCKZ_STORE_WRITE), BLOCKZ_OK);
	open_overlay(self);
	if (way == BLOCKZ_WAY_IN_PLACE) {
		enum blockz_status status = commit_in_place(self->overlay, &self->scratch.store, &self->fault);
		ck_assert_msg(status == BLOCKZ_OK, "commit: %s", self->fault.text);
	} else {
		const struct blockz_source file = blockz_store_source(&self->scratch.store);
		served_write_file(self, commit_to_copy(self->overlay, &file));
		ck_assert_int_eq(blockz_overlay_drop(self->overlay, &self->fault), BLOCKZ_OK);
	}
	close_all(self);
	ck_assert(!served_has_overlay(self) && !served_has_journal(self));
}

void assert_file_is_right(const struct served *self)
{
	struct bytes file = served_file(self);
	assert_decodes(self->format, file, self->image);
	assert_verifies(file);
}

void assert_served(struct served *self)
{
	struct bytes found = bytes_new(self->image.len);
	ck_assert_int_eq(blockz_disk_read(self->disk, found.data, found.len, 0, &self->fault), BLOCKZ_OK);
	assert_bytes(found, self->image);
}
