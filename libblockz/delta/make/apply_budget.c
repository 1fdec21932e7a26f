/* SPDX-License-Identifier: BSD-3-Clause */
/* Of each block it is known what it saves and what time it takes; the best bargains are kept until the time is spent. */
#include "delta/make/apply_budget.h"

#include <stdlib.h>

#include "base/checked.h"
#include "base/fault.h"
#include "codec/prove.h"
#include "delta/make/decode_cost.h"

enum { NS_A_MS = 1000000 };

struct bargain {
	uint32_t block;
	uint64_t saved, ns;
};

/* The most bytes saved for the time come first; then the order of the file. */
static int compare_bargains(const void *a, const void *b)
{
	const struct bargain *ba = a, *bb = b;
	double left = (double)ba->saved * (double)bb->ns, right = (double)bb->saved * (double)ba->ns;
	if (left != right)
		return left > right ? -1 : 1;
	return (ba->block > bb->block) - (ba->block < bb->block);
}

/* One for each block that is encoded. */
static size_t list_bargains(const struct findings *findings, const uint64_t *prices, const uint64_t *decoded,
			    struct bargain *bargains)
{
	const struct blocks *blocks = &findings->new->blocks;
	double decode_ns = old_decode_ns(findings->space);
	size_t count = 0;
	for (size_t i = 0; i < blocks->count; i++) {
		const struct selected *selected = &findings->selection->blocks[i];
		if (selected->fate == FATE_OPEN && selected->candidate != PROVE_NONE)
			bargains[count++] = (struct bargain){
				.block = (uint32_t)i, .saved = blocks->items[i].file_len - prices[i],
				.ns = selected->encode_ns + (uint64_t)((double)decoded[i] * decode_ns),
			};
	}
	qsort(bargains, count, sizeof(*bargains), compare_bargains);
	return count;
}

/* A bargain for which the time that is left is too short does not end it: a smaller one may still fit. */
static void spend(struct selection *selection, const struct bargain *bargains, size_t count, uint64_t budget_ns)
{
	uint64_t spent = 0;
	for (size_t i = 0; i < count; i++) {
		if (bargains[i].ns > budget_ns - spent)
			selection_demote(selection, bargains[i].block);
		else
			spent += bargains[i].ns;
	}
}

enum blockz_status apply_budget_keep(const struct findings *findings, struct selection *selection, const uint64_t *prices,
				 uint64_t budget_ms, struct blockz_fault *fault)
{
	uint64_t budget_ns = min(budget_ms, UINT64_MAX / NS_A_MS) * NS_A_MS;
	if (budget_ms == 0)
		return BLOCKZ_OK;
	struct bargain *bargains = calloc(findings->new->blocks.count + 1, sizeof(*bargains));
	uint64_t *decoded = calloc(findings->new->blocks.count + 1, sizeof(*decoded));
	enum blockz_status status = bargains == NULL || decoded == NULL ? fault_nomem(fault) : BLOCKZ_OK;
	if (status == BLOCKZ_OK)
		status = decode_cost_count(&findings->old_text, &findings->new_text, &findings->matches, decoded, fault);
	if (status == BLOCKZ_OK)
		spend(selection, bargains, list_bargains(findings, prices, decoded, bargains), budget_ns);
	free(decoded);
	free(bargains);
	return status;
}
