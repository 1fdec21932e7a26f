/* SPDX-License-Identifier: BSD-3-Clause */
/* Nothing is kept from one opening to the next but what is in the stores. */
#include "overlays.h"

#include <string.h>

void beside_init(struct beside *self, struct bytes file)
{
	*self = (struct beside){ 0 };
	memory_store_init(&self->file, file.data, file.len);
	memory_store_init(&self->place, file.data, 1);
}

void beside_free(struct beside *self)
{
	beside_close(self);
	memory_store_free(&self->file);
	memory_store_free(&self->place);
}

enum blockz_status beside_open(struct beside *self, enum blockz_overlay_mode mode)
{
	beside_close(self);
	self->file_table = memory_store(&self->file);
	self->place_table = memory_store(&self->place);
	return overlay_new(&self->place_table, &self->file_table, self->digest, mode, &self->overlay, &self->fault);
}

void beside_close(struct beside *self)
{
	blockz_overlay_close(self->overlay);
	self->overlay = NULL;
}

struct blockz_overlay_info beside_look(struct beside *self)
{
	enum blockz_status status = beside_open(self, BLOCKZ_OVERLAY_WRITE);
	ck_assert_msg(status == BLOCKZ_OK, "open: %s", self->fault.text);
	return blockz_overlay_info(self->overlay);
}

void beside_begin(struct beside *self, uint64_t image_size)
{
	beside_look(self);
	enum blockz_status status = overlay_begin(self->overlay, image_size, &self->fault);
	ck_assert_msg(status == BLOCKZ_OK, "begin: %s", self->fault.text);
}

enum blockz_status beside_put(struct beside *self, uint64_t page, uint8_t byte)
{
	uint8_t bytes[PAGE];
	memset(bytes, byte, sizeof(bytes));
	return overlay_holds(self->overlay, page)
		       ? overlay_write(self->overlay, bytes, sizeof(bytes), page * PAGE, &self->fault)
		       : overlay_add(self->overlay, bytes, sizeof(bytes), page * PAGE, &self->fault);
}

bool beside_has(struct beside *self, uint64_t page, uint8_t byte)
{
	uint8_t bytes[PAGE];
	if (!overlay_holds(self->overlay, page))
		return false;
	ck_assert_int_eq(overlay_read(self->overlay, bytes, sizeof(bytes), page * PAGE, &self->fault), BLOCKZ_OK);
	for (size_t i = 0; i < sizeof(bytes); i++)
		if (bytes[i] != byte)
			return false;
	return true;
}
