/* SPDX-License-Identifier: BSD-3-Clause */
/* Makes the checks of a delta right again after it was changed, as far as it can be walked: no check stops a lie. */
#ifndef FUZZ_RESEAL_DELTA_H
#define FUZZ_RESEAL_DELTA_H

#include <stdbool.h>

#include "base/bytes.h"
#include "check/crc.h"
#include "delta/file/layout.h"
#include "delta/file/varint.h"

struct delta_walk {
	uint8_t *data;
	size_t len, pos;
	uint32_t crc;
};

/* Passes over len bytes and the check behind them, which is made right; false: they are not there. */
static inline bool delta_walk_sealed(struct delta_walk *walk, uint64_t len)
{
	size_t left = walk->len - walk->pos;
	if (len > left || left - len < DELTA_CHECK_LEN)
		return false;
	walk->crc = crc32_update(walk->crc, walk->data + walk->pos, (size_t)len);
	walk->pos += (size_t)len;
	store_le32(walk->data + walk->pos, walk->crc);
	walk->pos += DELTA_CHECK_LEN;
	return true;
}

/* How many bytes the streams of a record's head take; false: it does not say. */
static inline bool delta_streams_len(const uint8_t *head, size_t len, uint64_t *sum_ret)
{
	size_t pos = RECORD_FIXED_LEN, numbers = head[0] == RECORD_OLD ? 1 : 3;
	size_t streams = head[0] == RECORD_OLD ? OLD_STREAM_COUNT : SECTION_STREAM_COUNT;
	uint64_t sum = 0, value = 0;
	for (size_t i = 0; i < numbers + 2 * streams; i++) {
		if (i >= numbers && (i - numbers) % 2 == 0)
			pos++; /* method */
		size_t part = pos < len ? varint_get(head + pos, len - pos, &value) : 0;
		if (part == 0)
			return false;
		pos += part;
		if (i >= numbers && (i - numbers) % 2 == 0) {
			if (value > UINT32_MAX)
				return false;
			sum += value;
		}
	}
	*sum_ret = sum;
	return true;
}

static inline void reseal_delta(uint8_t *data, size_t len)
{
	struct delta_walk walk = { .data = data, .len = len };
	if (len < HEAD_FIXED_LEN)
		return;
	size_t head_len = load_le16(data + HEAD_LEN_OFF);
	if (head_len < HEAD_FIXED_LEN + DELTA_CHECK_LEN || !delta_walk_sealed(&walk, head_len - DELTA_CHECK_LEN))
		return;
	while (walk.len - walk.pos >= RECORD_FIXED_LEN) {
		const uint8_t *head = data + walk.pos;
		size_t record_len = load_le16(head + 1);
		uint64_t streams_len = 0;
		if (record_len < RECORD_FIXED_LEN + DELTA_CHECK_LEN ||
		    !delta_walk_sealed(&walk, record_len - DELTA_CHECK_LEN) || head[0] == RECORD_END ||
		    !delta_streams_len(head, record_len - DELTA_CHECK_LEN, &streams_len) ||
		    !delta_walk_sealed(&walk, streams_len))
			return;
	}
}

#endif
