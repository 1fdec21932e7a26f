/* SPDX-License-Identifier: BSD-3-Clause */
/* Puts into words that a delta does not make what it was made for. */
#include "deltas/delta_proof.h"

#include <inttypes.h>

#include "cli/fault.h"

enum blockz_status delta_proof_judge(const struct comparison *comparison, enum blockz_status status, struct blockz_fault *fault)
{
	if (comparison->differs || (status == BLOCKZ_OK && !comparison_is_equal(comparison)))
		return tool_fault(fault, BLOCKZ_FAILED,
				  "it was applied and does not make NEW: not the same bytes up to %" PRIu64 " of %" PRIu64,
				  comparison->off, comparison->wanted->size);
	if (status == BLOCKZ_OK || status == BLOCKZ_FAILED)
		return status;
	const struct blockz_fault why = *fault;
	return tool_fault(fault, BLOCKZ_FAILED, "it was applied and does not make NEW: %s", why.text);
}
