/* SPDX-License-Identifier: BSD-3-Clause */
/* The header of a gzip member (RFC 1952, section 2.3), as any writer may have made it. */
#ifndef FORMAT_GZIP_HEAD_H
#define FORMAT_GZIP_HEAD_H

#include "blockz.h"

struct gzip_head {
	uint64_t body_off; /* file offset of the deflate stream behind it */
	uint64_t index_off;  /* of the data of a "BZ" subfield; 0: there is none */
	uint32_t index_len;
	/* What other programs keep in it: */
	uint64_t size_off; /* of the data of bgzip's "BC", 2 bytes: the member's length - 1; 0: there is none */
	bool has_chunks;   /* dictzip's "RA": how long each full flush makes what is before it */
	bool has_others;   /* something else, which may depend on anything */
	uint64_t crc_off;  /* of the header's own CRC-16; 0: there is none */
};

/*
 * Parses the header at file offset off.  Names and comments of any length are passed over with little memory; the
 * header's CRC is checked if there is one.  Errors: BLOCKZ_DAMAGED, BLOCKZ_UNSUPPORTED, BLOCKZ_FAILED.
 */
enum blockz_status gzip_head_read(const struct blockz_source *file, uint64_t off, struct gzip_head *head_ret,
				  struct blockz_fault *fault);

/* Reads a byte of the index's data; 0 where there is no index.  Errors: as above. */
enum blockz_status gzip_index_byte(const struct blockz_source *file, uint32_t off, uint8_t *byte_ret, struct blockz_fault *fault);

/*
 * *own_ret: the file begins as those do that blockz writes, with an index or without; few others do.
 * Errors: BLOCKZ_DAMAGED (it is shorter), BLOCKZ_FAILED.
 */
enum blockz_status gzip_head_is_own(const struct blockz_source *file, bool *own_ret, struct blockz_fault *fault);

#endif
