/* SPDX-License-Identifier: BSD-3-Clause */
/* A read that goes on from the one before is likely not to be the last: it reads four times as much. */
#include "io/peek.h"

#include "base/fault.h"
#include "base/plural.h"

enum { PEEK_MIN = 64, PEEK_GROWTH = 4 };

enum blockz_status peek_some(struct peek *peek, uint64_t off, size_t len, const uint8_t **bytes_ret, size_t *len_ret,
			     struct blockz_fault *fault)
{
	if (off < peek->off || off - peek->off > peek->len || len > peek->len - (off - peek->off)) {
		bool next = off >= peek->off && off - peek->off <= peek->len;
		size_t want = next ? peek->want * PEEK_GROWTH : PEEK_MIN, got = 0;
		want = want < PEEK_MIN ? PEEK_MIN : want > PEEK_MAX ? PEEK_MAX : want;
		want = want < len ? len : want;
		int error = peek->file->ops->read(peek->file->ctx, peek->bytes, want, off, &got);
		if (error != 0)
			return fault_errno(fault, error, off, "read");
		peek->off = off;
		peek->len = got;
		peek->want = want;
	}
	size_t left = peek->len - (size_t)(off - peek->off);
	*bytes_ret = peek->bytes + (off - peek->off);
	*len_ret = left < len ? left : len;
	return BLOCKZ_OK;
}

enum blockz_status peek_all(struct peek *peek, uint64_t off, size_t len, const uint8_t **bytes_ret,
			    struct blockz_fault *fault)
{
	size_t got = 0;
	enum blockz_status status = peek_some(peek, off, len, bytes_ret, &got, fault);
	if (status == BLOCKZ_OK && got < len)
		return fault_set(fault, BLOCKZ_DAMAGED, off + got, "file ends, %zu more byte%s expected", len - got,
				 plural(len - got));
	return status;
}
