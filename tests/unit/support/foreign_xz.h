/* SPDX-License-Identifier: BSD-3-Clause */
/* xz files that others write: by liblzma's encoders, and Block by Block. */
#ifndef FOREIGN_XZ_H
#define FOREIGN_XZ_H

#include <lzma.h>

#include "images.h"

/* ---- liblzma's encoders ---- */

struct bytes xz_easy(struct bytes image, uint32_t preset, lzma_check check);
struct bytes xz_threaded(struct bytes image, uint32_t preset, lzma_check check, uint64_t block_size);

/* LZMA2 data of the image, by a chain that ends with LZMA2. */
struct bytes lzma2_data(struct bytes image, const lzma_filter *filters);

/* ---- By hand ---- */

struct xz_stream {
	struct bytes bytes; /* grows */
	lzma_index *index;
	lzma_check check;
	bool no_sizes; /* of Blocks to come: their headers hold none */
};

struct xz_stream *xz_begin(lzma_check check);

/* A Block of LZMA2 data that decodes to image; filters NULL: LZMA2 with a dictionary of 1 MiB. */
void xz_put_data(struct xz_stream *stream, struct bytes data, struct bytes image, const lzma_filter *filters);

/* A Block that liblzma encodes; one of raw chunks that it makes. */
void xz_put(struct xz_stream *stream, struct bytes image, const lzma_filter *filters);
void xz_put_raw(struct xz_stream *stream, struct bytes image);

struct bytes xz_end(struct xz_stream *stream);

/* Chunks: data that grows, raw chunks, and LZMA chunks whose first one gets another control byte. */
void chunks_raw(struct bytes *data, struct bytes payload, bool reset);
void chunks_lzma(struct bytes *data, struct bytes image, uint8_t control, const lzma_options_lzma *options);
void chunks_end(struct bytes *data);

/* ---- Lies ---- */

/* File offsets in a file of one Stream. */
size_t xz_index_off(struct bytes file);
/* Makes the CRC32 of the Index, or that of the Block Header at off, right again. */
void xz_reseal_index(struct bytes file);
void xz_reseal_block_header(struct bytes file, size_t off);

#endif
