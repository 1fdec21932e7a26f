/* SPDX-License-Identifier: BSD-3-Clause */
/* What a script costs in a delta, found by compressing what it brings, fast and for itself alone. */
#ifndef DELTA_MAKE_PRICE_H
#define DELTA_MAKE_PRICE_H

#include "delta/make/script.h"

/* What one thread needs for prices. */
struct pricer;

/* NULL: no memory.  pricer_free() takes what pricer_new() returned, or NULL. */
struct pricer *pricer_new(void);
void pricer_free(struct pricer *pricer);

/* Bytes that a pricer takes, for items of NEW up to this length, decoded; its encoder is among the contexts of a thread. */
uint64_t pricer_memory(uint64_t new_longest);

/*
 * About how many bytes of a delta a script takes: less than compressed for itself alone, whatever comes before it.
 * Errors: BLOCKZ_FAILED (no memory).
 */
enum blockz_status price_script(struct pricer *pricer, const struct script *script, uint64_t *price_ret,
				struct blockz_fault *fault);

#endif
