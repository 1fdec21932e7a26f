/* SPDX-License-Identifier: BSD-3-Clause */
/* Names are given last, when no block is demoted any more but for the lack of one. */
#include "delta/make/names.h"

#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/fault.h"
#include "delta/make/walk.h"

/* ---- Encoders ---- */

static bool needs_encoder(const struct selected *selected)
{
	return selected->fate == FATE_OPEN && selected->candidate != PROVE_NONE;
}

/* Of equally many uses, the first. */
static size_t most_used(const uint64_t uses[PROVE_NONE])
{
	size_t most = 0;
	for (size_t i = 1; i < PROVE_NONE; i++)
		most = uses[i] > uses[most] ? i : most;
	return most;
}

static enum blockz_status name_encoders(const struct findings *findings, struct delta_head *head,
					uint8_t encoders[PROVE_NONE], struct blockz_fault *fault)
{
	const struct blocks *blocks = &findings->new->blocks;
	uint64_t uses[PROVE_NONE] = { 0 };
	memset(encoders, PROVE_NONE, PROVE_NONE);
	for (size_t i = 0; i < blocks->count; i++)
		if (needs_encoder(&findings->selection->blocks[i]))
			uses[findings->selection->blocks[i].candidate]++;
	while (head->encoder_count < DELTA_ENCODERS_MAX) {
		size_t most = most_used(uses);
		if (uses[most] == 0)
			break;
		struct delta_encoder *encoder = &head->encoders[head->encoder_count];
		encoder->params = blocks->candidates[most];
		enum blockz_status status =
			codec_fingerprint(findings->env, &encoder->params, encoder->fingerprint, fault);
		if (status != BLOCKZ_OK)
			return status;
		encoders[most] = (uint8_t)head->encoder_count++;
		uses[most] = 0;
	}
	return BLOCKZ_OK;
}

static void demote_nameless(struct selection *selection, size_t count, const uint8_t encoders[PROVE_NONE])
{
	for (size_t i = 0; i < count; i++) {
		const struct selected *selected = &selection->blocks[i];
		if (needs_encoder(selected) && encoders[selected->candidate] == PROVE_NONE)
			selection_demote(selection, i);
	}
}

/* ---- Blocks of OLD ---- */

static void mark_parts(const struct plain_text *text, uint64_t first_off, uint64_t last_off, bool *used)
{
	for (size_t i = plain_text_find(text, first_off); i < text->count && text->parts[i].text_off <= last_off; i++)
		if (text->parts[i].block != TEXT_NO_BLOCK)
			used[text->parts[i].block] = true;
}

/* Marks the blocks of OLD that a match within a part of NEW's text goes to.  *match: the first that may; parts come in order. */
static void mark_used(const struct findings *findings, const struct text_part *part, size_t *match, bool *used)
{
	const struct matches *matches = &findings->matches;
	uint64_t start = part->text_off, end = start + part->len;
	while (*match < matches->count && matches->items[*match].new_off + matches->items[*match].len <= start)
		(*match)++;
	for (size_t i = *match; i < matches->count && matches->items[i].new_off < end; i++) {
		const struct match *found = &matches->items[i];
		uint64_t from = found->new_off < start ? start : found->new_off;
		uint64_t to = min(found->new_off + found->len, end);
		uint64_t first_off = found->old_off + (from - found->new_off);
		mark_parts(&findings->old_text, first_off, first_off + (to - from) - 1, used);
	}
}

static enum blockz_status list_used(const struct findings *findings, struct listing *listed_ret, struct blockz_fault *fault)
{
	struct walk walk = { 0 };
	struct item item;
	bool *used = calloc(findings->old->blocks.count + 1, sizeof(bool));
	if (used == NULL)
		return fault_nomem(fault);
	for (size_t match = 0; walk_next(findings, &walk, &item);)
		if (item.fate == FATE_OPEN)
			mark_used(findings, &findings->new_text.parts[item.part], &match, used);
	enum blockz_status status = listing_make(findings->old, used, listed_ret, fault);
	free(used);
	return status;
}

/* ---- Both ---- */

enum blockz_status names_choose(const struct findings *findings, struct selection *selection, struct delta_head *head,
				struct names *names_ret, struct blockz_fault *fault)
{
	enum blockz_status status = name_encoders(findings, head, names_ret->encoders, fault);
	if (status != BLOCKZ_OK)
		return status;
	demote_nameless(selection, findings->new->blocks.count, names_ret->encoders);
	return list_used(findings, &names_ret->listed, fault);
}

void names_free(struct names *names)
{
	listing_free(&names->listed);
}
