/* SPDX-License-Identifier: BSD-3-Clause */
/* OLD's content has two addresses: that in its text, which the differ matches, and that in OLD's space, which deltas say. */
#include "delta/make/findings.h"

#include "base/fault.h"

enum blockz_status findings_lay_out(struct findings *findings, struct blockz_fault *fault)
{
	const struct selection *selection = findings->selection;
	enum blockz_status status =
		plain_text_layout(findings->old, selection->old_wanted, false, &findings->old_text, fault);
	if (status != BLOCKZ_OK)
		return status;
	return plain_text_layout(findings->new, selection->open, true, &findings->new_text, fault);
}

enum blockz_status findings_open_old(struct findings *findings, uint64_t cache, unsigned threads, struct blockz_fault *fault)
{
	const struct blockz_source *file = &findings->old->file;
	enum blockz_status status =
		listing_make(findings->old, findings->selection->old_wanted, &findings->wanted, fault);
	if (status != BLOCKZ_OK)
		return status;
	findings->space = old_new(file, file->size, &findings->wanted.blocks, cache, threads);
	return findings->space == NULL ? fault_nomem(fault) : BLOCKZ_OK;
}

uint64_t findings_place(const struct findings *findings, uint64_t text_off, uint64_t *together_ret)
{
	const struct plain_text *text = &findings->old_text;
	const struct text_part *part = &text->parts[plain_text_find(text, text_off)];
	uint64_t within = text_off - part->text_off;
	*together_ret = part->len - within;
	bool is_plain = part->block == TEXT_NO_BLOCK || findings->old->blocks.items[part->block].is_plain;
	return (is_plain ? part->file_off : findings->wanted.places[part->block]) + within;
}

void findings_free(struct findings *findings)
{
	old_free(findings->space);
	listing_free(&findings->wanted);
	matches_free(&findings->matches);
	plain_text_free(&findings->old_text);
	plain_text_free(&findings->new_text);
}
