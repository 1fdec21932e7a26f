/* SPDX-License-Identifier: BSD-3-Clause */
/* By what an overlay knows a file, as far as it takes a map. */
#ifndef EDIT_OVERLAY_IDENTITY_H
#define EDIT_OVERLAY_IDENTITY_H

#include "journal/overlay.h"

/*
 * The digest of the ends of all pieces, where their checks stand: XXH64 (seed 0) of the last 32 bytes of each, or of all that a
 * shorter one has, piece after piece; of zeros that are one item of the map, those of the last piece.  0: the file cannot be
 * mapped.  Errors: BLOCKZ_FAILED.
 */
overlay_digest overlay_identity_pieces;

#endif
