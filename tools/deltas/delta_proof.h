/* SPDX-License-Identifier: BSD-3-Clause */
/* A delta counts when it makes NEW, here and now, of what was written. */
#ifndef DELTAS_DELTA_PROOF_H
#define DELTAS_DELTA_PROOF_H

#include "blockz.h"
#include "files/comparison.h"

/*
 * Judges a delta that was applied with this status to a comparison with NEW.  What failed and speaks of the delta, or of NEW,
 * means that the delta is not good: BLOCKZ_FAILED, "it was applied and does not make NEW".  What the system refused stays as
 * it is.  Returns the status.
 */
enum blockz_status delta_proof_judge(const struct comparison *comparison, enum blockz_status status, struct blockz_fault *fault);

#endif
