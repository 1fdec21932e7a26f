/* SPDX-License-Identifier: BSD-3-Clause */
/* Runs the program xdelta3, which makes and applies VCDIFFs. */
#ifndef DELTAS_XDELTA_H
#define DELTAS_XDELTA_H

#include "blockz.h"

/*
 * Writes the VCDIFF that makes one file of another.  All three are descriptors of regular files, source and target are read
 * from their beginning, out is written from where it stands.  Of work only the progress is used: it is asked ten times
 * a second whether to go on, with the bytes of out, and the program is killed if not, or if this one ends.
 * Errors: BLOCKZ_FAILED, with what the program said: it is missing, or failed; interrupted.
 */
enum blockz_status xdelta_encode(int source, int target, int out, const struct blockz_work *work,
				 struct blockz_fault *fault);

/*
 * Writes the file that a VCDIFF makes of source.  No other program is run, whatever the VCDIFF says, and out does not
 * grow beyond XDELTA_OUT_MAX_GIB.  Errors: BLOCKZ_FAILED as above; BLOCKZ_DAMAGED where the program ran and refused: the
 * VCDIFF is damaged, or for another source; BLOCKZ_LIMIT.
 */
enum { XDELTA_OUT_MAX_GIB = 64 };
enum blockz_status xdelta_decode(int source, int vcdiff, int out, const struct blockz_work *work,
				 struct blockz_fault *fault);

#endif
