/* SPDX-License-Identifier: BSD-3-Clause */
/* Reading headers that stand between payload: small reads where payload is passed over, larger ones where none is. */
#ifndef IO_PEEK_H
#define IO_PEEK_H

#include "blockz.h"

enum { PEEK_MAX = 65536 };

/* file is to be set, all else zeros at first. */
struct peek {
	const struct blockz_source *file;
	/* Private. */
	uint64_t off;
	size_t len, want;
	uint8_t bytes[PEEK_MAX];
};

/*
 * Bytes of the file from off on, valid until the next call: len of them, at most PEEK_MAX, or fewer at its end.
 * Errors: BLOCKZ_FAILED.
 */
enum blockz_status peek_some(struct peek *peek, uint64_t off, size_t len, const uint8_t **bytes_ret, size_t *len_ret,
			     struct blockz_fault *fault);

/* The same, where fewer are BLOCKZ_DAMAGED. */
enum blockz_status peek_all(struct peek *peek, uint64_t off, size_t len, const uint8_t **bytes_ret,
			    struct blockz_fault *fault);

#endif
