/* SPDX-License-Identifier: BSD-3-Clause */
/* A base ends where it ends, in the middle of a page maybe; the store has zeros from there on. */
#include "pagestore/base_image.h"

#include <string.h>

#include "base/checked.h"
#include "base/fault.h"
#include "io/access.h"

enum blockz_status base_image_read(const struct blockz_source *base, uint8_t *buf, size_t len, uint64_t off,
				   struct blockz_fault *fault)
{
	size_t part = off < base->size ? (size_t)min(len, base->size - off) : 0, got = 0;
	int error = part > 0 ? base->ops->read(base->ctx, buf, part, off, &got) : 0;
	if (error != 0)
		return fault_errno(fault, error, off, "read of the base");
	if (got < part)
		return fault_set(fault, BLOCKZ_FAILED, off + got, "the base ends: it shrank");
	memset(buf + part, 0, len - part);
	return BLOCKZ_OK;
}

enum blockz_status base_image_extent(const struct blockz_source *base, uint32_t page_size, uint64_t page, uint64_t end,
				     bool *zeros_ret, uint64_t *end_ret, struct blockz_fault *fault)
{
	uint64_t off = page * page_size, start, stop;
	int error = find_data(base, off, &start, &stop);
	if (error != 0)
		return fault_errno(fault, error, off, "search for data in the base");
	*zeros_ret = start >= base->size || start / page_size > page;
	if (start >= base->size)
		*end_ret = end;
	else if (*zeros_ret)
		*end_ret = min(end, start / page_size);
	else
		*end_ret = min(end, stop / page_size + (stop % page_size != 0));
	return BLOCKZ_OK;
}
