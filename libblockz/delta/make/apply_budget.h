/* SPDX-License-Identifier: BSD-3-Clause */
/* A delta for which a client does not need more time than it is given. */
#ifndef DELTA_MAKE_APPLY_BUDGET_H
#define DELTA_MAKE_APPLY_BUDGET_H

#include "delta/make/findings.h"

/*
 * Demotes the open blocks that save least for the time that the client needs for them, to encode them and to decode what they
 * take of OLD, until the rest keeps to the budget.  prices: what each block of NEW costs in the delta if it stays open.
 * budget_ms: CPU time as measured here; 0: no limit.  Errors: BLOCKZ_FAILED (no memory).
 */
enum blockz_status apply_budget_keep(const struct findings *findings, struct selection *selection, const uint64_t *prices,
				 uint64_t budget_ms, struct blockz_fault *fault);

#endif
