/* SPDX-License-Identifier: BSD-3-Clause */
/* Constants of deflate (RFC 1951), and of the pieces that blockz makes of it. */
#ifndef FORMAT_DEFLATE_LAYOUT_H
#define FORMAT_DEFLATE_LAYOUT_H

/* RFC 1951, section 3.2.4: stored blocks that begin on a byte boundary, as blockz writes them. */
enum {
	STORED_HEADER_LEN = 5, /* BFINAL, BTYPE and padding in one byte, LEN(2), NLEN(2) */
	STORED_PAYLOAD = 32768, /* cut at its multiples in the image, so that no aligned 4 KiB page is cut by a header */
	STORED_RUN_MIN = 4096, /* shorter runs of stored blocks are not worth a place in a map */
	FLUSH_MARK_LEN = 4,    /* 00 00 FF FF: LEN and NLEN of the empty stored block that ends a piece */
	END_LEN = 2,           /* 03 00: an empty fixed block with BFINAL, which ends the stream */
};

/* Who encoded a piece, by the number that stands in a gzip file's index. */
enum deflate_encoder { DEFLATE_BY_LIBDEFLATE = 1, DEFLATE_BY_ISAL = 2 };

#endif
