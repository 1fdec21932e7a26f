/* SPDX-License-Identifier: BSD-3-Clause */
/* Pieces made longer by blocks of nothing: a row of struct format. */
#ifndef FORMAT_DEFLATE_FILL_H
#define FORMAT_DEFLATE_FILL_H

#include "format/format.h"

/* Of what deflate_encode() has made of a compressed piece.  All differences can be filled but one, which is below five. */
enum blockz_status deflate_fill(struct encoding *encoding, size_t len, bool *filled_ret, struct blockz_fault *fault);

#endif
