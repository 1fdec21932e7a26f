/* SPDX-License-Identifier: BSD-3-Clause */
/* All bytes but the checks go through a CRC, and each check is compared with what that is by then. */
#include "delta/file/input.h"

#include <inttypes.h>
#include <string.h>

#include "base/bytes.h"
#include "base/checked.h"
#include "base/fault.h"
#include "base/plural.h"
#include "check/crc.h"
#include "delta/file/layout.h"
#include "delta/file/delta.h"

void input_init(struct input *input, const struct blockz_source *source)
{
	*input = (struct input){ .source = source };
}

/* Reads up to len bytes behind those that were read. */
static enum blockz_status read_source(const struct input *input, uint8_t *buf, size_t len, size_t *got_ret,
				      struct blockz_fault *fault)
{
	const struct blockz_source *source = input->source;
	uint64_t off = input->off + (input->end - input->start);
	int error = source->ops->read(source->ctx, buf, len, off, got_ret);
	return error == 0 ? BLOCKZ_OK : fault_errno(fault, error, off, "DELTA: read");
}

/* Makes one byte ready, if there is one. */
static enum blockz_status refill_bytes(struct input *input, struct blockz_fault *fault)
{
	if (input->start < input->end)
		return BLOCKZ_OK;
	size_t got = 0, want = input->off == 0 ? DELTA_HEAD_MAX : sizeof(input->bytes);
	input->start = input->end = 0;
	enum blockz_status status = read_source(input, input->bytes, want, &got, fault);
	input->end = got;
	return status;
}

static enum blockz_status read_some(struct input *input, uint8_t *buf, size_t len, size_t *got_ret,
				    struct blockz_fault *fault)
{
	enum blockz_status status = BLOCKZ_OK;
	bool is_direct = input->start == input->end && len >= sizeof(input->bytes) && input->off > 0;
	*got_ret = 0;
	if (is_direct) {
		status = read_source(input, buf, len, got_ret, fault);
	} else {
		status = refill_bytes(input, fault);
		*got_ret = (size_t)min(len, input->end - input->start);
		memcpy(buf, input->bytes + input->start, *got_ret);
		input->start += *got_ret;
	}
	input->off += *got_ret;
	return status;
}

static enum blockz_status read_exactly(struct input *input, uint8_t *buf, size_t len, struct blockz_fault *fault)
{
	while (len > 0) {
		size_t got = 0;
		enum blockz_status status = read_some(input, buf, len, &got, fault);
		if (status != BLOCKZ_OK)
			return status;
		if (got == 0)
			return fault_set(fault, BLOCKZ_DAMAGED, input->off,
					 "DELTA ends, %zu more byte%s expected: it is truncated", len, plural(len));
		buf += got;
		len -= got;
	}
	return BLOCKZ_OK;
}

enum blockz_status input_read(struct input *input, void *buf, size_t len, struct blockz_fault *fault)
{
	enum blockz_status status = read_exactly(input, buf, len, fault);
	if (status == BLOCKZ_OK)
		input->crc = crc32_update(input->crc, buf, len);
	return fault_about(fault, status, BLOCKZ_ABOUT_DELTA);
}

enum blockz_status input_check(struct input *input, const char *what, uint64_t start, struct blockz_fault *fault)
{
	uint8_t field[DELTA_CHECK_LEN];
	uint64_t off = input->off;
	enum blockz_status status = read_exactly(input, field, sizeof(field), fault);
	if (status == BLOCKZ_OK && load_le32(field) != input->crc)
		status = fault_set(fault, BLOCKZ_DAMAGED, off,
				 "DELTA is damaged: CRC-32 of %s at %" PRIu64 ", expected %08" PRIx32 ", found %08" PRIx32,
				 what, start, load_le32(field), input->crc);
	return fault_about(fault, status, BLOCKZ_ABOUT_DELTA);
}

enum blockz_status input_end(struct input *input, struct blockz_fault *fault)
{
	enum blockz_status status = refill_bytes(input, fault);
	if (status == BLOCKZ_OK && input->start < input->end)
		status = fault_set(fault, BLOCKZ_DAMAGED, input->off, "DELTA goes on behind its end");
	return fault_about(fault, status, BLOCKZ_ABOUT_DELTA);
}
