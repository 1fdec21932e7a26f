/* SPDX-License-Identifier: BSD-3-Clause */
/* Blocks of .xz files that are encoded again after an edit, by the row of struct format. */
#ifndef XZ_RENEWALS_H
#define XZ_RENEWALS_H

#include "splices.h"

enum { XZ_RENEWED_MAX = 64 };

/* A file with other bytes in some places. */
struct xz_renewing {
	struct splice_record record; /* of which only what is replaced is of use */
	struct blockz_source source;
	struct blockz_map *map;
	struct renewed_piece pieces[XZ_RENEWED_MAX];
	size_t count;
	size_t index_replaced; /* how often renew_index did */
};

/* Whoever does not finish it frees the map. */
struct xz_renewing *xz_renewing_new(struct bytes file);
struct pack_params xz_renewing_params(const struct xz_renewing *self, size_t piece);

/* Encodes bytes as a piece is encoded again, by one of the levels for that, and by the first of them. */
struct encoding xz_renewing_encode_by(const struct xz_renewing *self, size_t piece, struct bytes plain, int level);
struct encoding xz_renewing_encode(const struct xz_renewing *self, size_t piece, struct bytes plain);

/* Has an encoding stand for one copy of a piece. */
void xz_renewing_put(struct xz_renewing *self, size_t index, uint64_t copy, const struct encoding *encoding);
/* Encodes one copy of a piece again, of an image that was edited. */
void xz_renewing_piece(struct xz_renewing *self, size_t index, uint64_t copy, struct bytes edited);
/* All pieces in which a range of the image was edited, to the lengths that come out. */
void xz_renewing_range(struct xz_renewing *self, struct bytes edited, struct blockz_range range);

/* Has the Indexes made anew, and puts the new file together. */
struct bytes xz_renewing_finish(struct xz_renewing *self);

/* An edited range in a file by any writer, and one that is turned over; the latter is read back. */
struct bytes xz_renewing_file(struct bytes file, struct bytes edited, struct blockz_range range);
struct bytes xz_renewing_check(struct bytes file, struct bytes image, struct blockz_range range);

#endif
