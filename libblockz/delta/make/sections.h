/* SPDX-License-Identifier: BSD-3-Clause */
/* The two ways through NEW, once it is known where its content comes from: what pays, and then what the delta says. */
#ifndef DELTA_MAKE_SECTIONS_H
#define DELTA_MAKE_SECTIONS_H

#include "delta/make/script.h"
#include "delta/file/write.h"

/*
 * Prices each open block, and demotes those that would cost nearly as much as they are long.  prices: one for each block of
 * NEW.  Errors: BLOCKZ_FAILED, BLOCKZ_DAMAGED.
 */
enum blockz_status pass_measure(const struct items *items, struct selection *selection, uint64_t *prices,
				const struct blockz_work *work, struct blockz_fault *fault);

/* How blocks are named in the delta. */
struct delta_names {
	const uint8_t *encoders;  /* of each of NEW's candidates: its index in the head, if it is used at all */
	const uint64_t *places;   /* of each of OLD's blocks: where its content begins in OLD's space, if the delta lists it */
};

/* Writes all sections, so many of them at once, which makes no difference to the delta. */
enum blockz_status pass_write(const struct items *items, const struct delta_names *names, struct delta_writer *writer,
			      size_t sections, const struct blockz_work *work, struct blockz_fault *fault);

#endif
