/* SPDX-License-Identifier: BSD-3-Clause */
/* The first way through NEW, once it is known where its content comes from: what its blocks would cost in the delta. */
#ifndef DELTA_MAKE_MEASURE_H
#define DELTA_MAKE_MEASURE_H

#include "delta/make/findings.h"

/*
 * Finds the price of each open block of NEW, and demotes those that would cost nearly as much as they are long, in the selection
 * of the findings, which is handed over once more to be changed.  prices: one for each block of NEW.
 * Errors: BLOCKZ_FAILED, BLOCKZ_DAMAGED.
 */
enum blockz_status measure_blocks(const struct findings *findings, struct selection *selection, uint64_t *prices,
				  const struct blockz_work *work, struct blockz_fault *fault);

/* Bytes that one of its threads takes, for blocks of OLD and of NEW up to these lengths, decoded. */
uint64_t measure_memory(uint64_t old_longest, uint64_t new_longest);

#endif
