/* SPDX-License-Identifier: BSD-3-Clause */
/* The second way through NEW: what the delta says, section by section. */
#ifndef DELTA_MAKE_SECTIONS_H
#define DELTA_MAKE_SECTIONS_H

#include "delta/file/write.h"
#include "delta/make/findings.h"
#include "delta/make/names.h"

/*
 * Writes all sections, at_once of them together (at most DELTA_SECTIONS_AT_ONCE), which makes no difference to the delta; its
 * end is the caller's to write.  Errors: BLOCKZ_FAILED, BLOCKZ_DAMAGED, and what the writer says.
 */
enum blockz_status sections_write(const struct findings *findings, const struct names *names, struct delta_writer *writer,
				  size_t at_once, const struct blockz_work *work, struct blockz_fault *fault);

/*
 * Bytes that so many sections take while they are filled and coded, of a NEW with new_len bytes of content that has to come from
 * somewhere; without scripts, and what makes them.
 */
uint64_t sections_memory(uint64_t new_len, unsigned threads, unsigned at_once);

#endif
