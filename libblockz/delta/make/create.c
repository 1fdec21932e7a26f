/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Making a delta.
 *
 *	images      both are taken apart into blocks and hashed
 *	selection   blocks of NEW that OLD has are copied; those that OLD has nothing of, and those that no encoder makes
 *	            again, byte for byte, come packed; the others are open
 *	texts       the plain content of open blocks, and that of OLD's blocks that NEW does not have
 *	matches     where the former comes from in the latter
 *	measure     an open block whose differences cost about what it takes packed is packed after all
 *	write       NEW, item by item, as ops
 */
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/export.h"
#include "base/fault.h"
#include "blockz_delta.h"
#include "codec/prove.h"
#include "delta/make/apply_budget.h"
#include "delta/make/decode_cost.h"
#include "delta/make/memory_budget.h"
#include "delta/make/sections.h"
#include "delta/make/windows.h"

enum { NS_A_MS = 1000000 };

struct creation {
	struct codec_env env;
	const struct blockz_delta_options *options;
	struct stages stages;
	struct image images[2]; /* OLD, NEW */
	struct selection selection;
	struct plain_text old_text, new_text;
	struct matches matches;
	struct budget budget;
	struct windows windows;
	struct budget_writing writing;
	/* All wanted blocks of OLD, and those that the delta lists. */
	struct delta_old_blocks wanted, listed;
	uint64_t *wanted_places, *listed_places;
	struct old *space;
	uint64_t *prices;
	struct delta_head head;
	uint8_t *encoders; /* of each candidate: its index in the head's */
};

static void creation_free(struct creation *creation)
{
	old_free(creation->space);
	free(creation->wanted.items);
	free(creation->listed.items);
	free(creation->wanted_places);
	free(creation->listed_places);
	free(creation->prices);
	free(creation->encoders);
	matches_free(&creation->matches);
	plain_text_free(&creation->old_text);
	plain_text_free(&creation->new_text);
	selection_free(&creation->selection);
	image_free(&creation->images[0]);
	image_free(&creation->images[1]);
}

/* Of OLD's blocks those that are wanted, and where each begins in OLD's space. */
static enum blockz_status list_blocks(const struct image *old, const bool *wanted, struct delta_old_blocks *list,
				      uint64_t **places, struct blockz_fault *fault)
{
	list->items = calloc(old->blocks.count + 1, sizeof(*list->items));
	*places = calloc(old->blocks.count + 1, sizeof(**places));
	if (list->items == NULL || *places == NULL)
		return fault_nomem(fault);
	uint64_t place = old->blocks.size;
	for (size_t i = 0; i < old->blocks.count; i++) {
		const struct block *block = &old->blocks.items[i];
		(*places)[i] = place;
		if (!wanted[i] || block->is_plain)
			continue;
		list->items[list->count++] = (struct delta_old_block){
			.file_off = block->file_off, .plain_len = block->plain_len,
			.file_len = block->file_len & 0x3ffffff, .codec = block->codec & 0x3f,
		};
		place += block->plain_len;
	}
	return BLOCKZ_OK;
}

/* As soon as it is known what has to be decoded at all. */
static enum blockz_status share_memory(struct creation *creation, struct blockz_fault *fault)
{
	const struct blockz_delta_options *options = creation->options;
	struct budget *budget = &creation->budget;
	enum blockz_status status = budget_make(budget, creation->images, &creation->selection, options, fault);
	unsigned *threads = creation->stages.threads;
	threads[STAGE_LOOK_OLD] = threads[STAGE_LOOK_NEW] = budget->look_threads;
	threads[STAGE_PROVE] = budget->prove_threads;
	return status;
}

static enum blockz_status match_texts(struct creation *creation, struct blockz_fault *fault)
{
	const struct budget *budget = &creation->budget;
	unsigned *threads = creation->stages.threads;
	threads[STAGE_LOOK_OLD] = threads[STAGE_LOOK_NEW] = budget->read_threads;
	enum blockz_status status =
		windows_match(&creation->old_text, &creation->new_text, &creation->env,
			      budget_for_windows(budget, creation->new_text.len), &creation->stages,
			      &creation->matches, &creation->windows, fault);
	creation->writing = budget_writing(budget, creation->matches.count);
	threads[STAGE_MEASURE] = threads[STAGE_WRITE] = creation->writing.threads;
	return status;
}

static enum blockz_status match(struct creation *creation, struct blockz_fault *fault)
{
	const struct image *old = &creation->images[0], *new = &creation->images[1];
	const struct selection *selection = &creation->selection;
	enum blockz_status status = plain_text_layout(old, selection->old_wanted, false, &creation->old_text, fault);
	if (status == BLOCKZ_OK)
		status = plain_text_layout(new, selection->open, true, &creation->new_text, fault);
	if (status == BLOCKZ_OK)
		status = match_texts(creation, fault);
	if (status == BLOCKZ_OK)
		status = decode_cost_prune(&creation->old_text, &creation->new_text, &creation->matches, fault);
	if (status == BLOCKZ_OK)
		status = list_blocks(old, selection->old_wanted, &creation->wanted, &creation->wanted_places, fault);
	if (status == BLOCKZ_OK)
		creation->space = old_new(&old->file, old->file.size, &creation->wanted, creation->writing.cache,
					  creation->writing.threads);
	return status == BLOCKZ_OK && creation->space == NULL ? fault_nomem(fault) : status;
}

static struct items items_of(const struct creation *creation)
{
	return (struct items){
		.old = &creation->images[0], .new = &creation->images[1], .selection = &creation->selection,
		.env = &creation->env, .old_text = &creation->old_text, .new_text = &creation->new_text,
		.matches = &creation->matches, .space = creation->space, .places = creation->wanted_places,
	};
}

/* The head names the encoders in use, those used most if there are too many; what needs others is packed. */
static enum blockz_status name_encoders(struct creation *creation, struct blockz_fault *fault)
{
	const struct blocks *blocks = &creation->images[1].blocks;
	struct selection *selection = &creation->selection;
	struct delta_head *head = &creation->head;
	uint64_t uses[PROVE_NONE] = { 0 };
	creation->encoders = malloc(PROVE_NONE);
	if (creation->encoders == NULL)
		return fault_nomem(fault);
	memset(creation->encoders, PROVE_NONE, PROVE_NONE);
	for (size_t i = 0; i < blocks->count; i++)
		if (selection->blocks[i].fate == FATE_OPEN && selection->blocks[i].candidate != PROVE_NONE)
			uses[selection->blocks[i].candidate]++;
	while (head->encoder_count < DELTA_ENCODERS_MAX) {
		size_t most = 0;
		for (size_t i = 1; i < PROVE_NONE; i++)
			most = uses[i] > uses[most] ? i : most;
		if (uses[most] == 0)
			break;
		struct delta_encoder *encoder = &head->encoders[head->encoder_count];
		encoder->params = blocks->candidates[most];
		enum blockz_status status =
			codec_fingerprint(&creation->env, &encoder->params, encoder->fingerprint, fault);
		if (status != BLOCKZ_OK)
			return status;
		creation->encoders[most] = (uint8_t)head->encoder_count++;
		uses[most] = 0;
	}
	for (size_t i = 0; i < blocks->count; i++) {
		const struct selected *selected = &selection->blocks[i];
		if (selected->fate == FATE_OPEN && selected->candidate != PROVE_NONE &&
		    creation->encoders[selected->candidate] == PROVE_NONE)
			selection_demote(selection, i);
	}
	return BLOCKZ_OK;
}

/* Marks the blocks of OLD that a match within [start, end) of NEW's text goes to. */
static void mark_used(const struct creation *creation, uint64_t start, uint64_t end, size_t *match, bool *used)
{
	const struct matches *matches = &creation->matches;
	const struct plain_text *text = &creation->old_text;
	while (*match < matches->count && matches->items[*match].new_off + matches->items[*match].len <= start)
		(*match)++;
	for (size_t i = *match; i < matches->count && matches->items[i].new_off < end; i++) {
		const struct match *found = &matches->items[i];
		uint64_t from = found->new_off < start ? start : found->new_off;
		uint64_t to = found->new_off + found->len > end ? end : found->new_off + found->len;
		uint64_t first = found->old_off + (from - found->new_off), last = first + (to - from) - 1;
		for (size_t part = plain_text_find(text, first); part < text->count && text->parts[part].text_off <= last; part++)
			if (text->parts[part].block != TEXT_NO_BLOCK)
				used[text->parts[part].block] = true;
	}
}

/* The delta lists the blocks of OLD that it refers to, no others. */
static enum blockz_status list_used(struct creation *creation, struct blockz_fault *fault)
{
	const struct image *old = &creation->images[0];
	struct items items = items_of(creation);
	bool *used = calloc(old->blocks.count + 1, sizeof(bool));
	if (used == NULL)
		return fault_nomem(fault);
	struct items_walk walk = { 0 };
	struct item item;
	for (size_t next = 0; items_next(&items, &walk, &item);) {
		if (item.fate != FATE_OPEN)
			continue;
		const struct text_part *part = &creation->new_text.parts[item.part];
		mark_used(creation, part->text_off, part->text_off + part->len, &next, used);
	}
	enum blockz_status status = list_blocks(old, used, &creation->listed, &creation->listed_places, fault);
	free(used);
	return status;
}

static enum blockz_status decide(struct creation *creation, struct blockz_fault *fault)
{
	struct items items = items_of(creation);
	creation->prices = calloc(creation->images[1].blocks.count + 1, sizeof(*creation->prices));
	if (creation->prices == NULL)
		return fault_nomem(fault);
	struct blockz_work work = stages_next(&creation->stages, STAGE_MEASURE, creation->images[1].blocks.size);
	enum blockz_status status = pass_measure(&items, &creation->selection, creation->prices, &work, fault);
	if (status == BLOCKZ_OK)
		status = apply_budget_keep(&items, &creation->selection, creation->prices,
				       creation->options->apply_budget_ms, fault);
	if (status == BLOCKZ_OK)
		status = name_encoders(creation, fault);
	if (status == BLOCKZ_OK)
		status = list_used(creation, fault);
	return status;
}

static void fill_head(struct creation *creation)
{
	struct delta_head *head = &creation->head;
	const struct image *old = &creation->images[0], *new = &creation->images[1];
	head->old_size = old->blocks.size;
	head->new_size = new->blocks.size;
	memcpy(head->old_sha256, old->sha256, sizeof(head->old_sha256));
	memcpy(head->new_sha256, new->sha256, sizeof(head->new_sha256));
	memcpy(head->old_container, old->blocks.container, sizeof(head->old_container));
	memcpy(head->new_container, new->blocks.container, sizeof(head->new_container));
	memcpy(head->note, new->blocks.note[0] != '\0' ? new->blocks.note : old->blocks.note, sizeof(head->note));
	selection_note(&creation->selection, &new->blocks, creation->options, head->note, sizeof(head->note));
}

static enum blockz_status write_delta(struct creation *creation, const struct blockz_sink *sink, uint64_t *len_ret,
				      struct blockz_fault *fault)
{
	struct items items = items_of(creation);
	const struct delta_names names = { creation->encoders, creation->listed_places };
	struct delta_writer *writer = NULL;
	fill_head(creation);
	enum blockz_status status = delta_writer_new(sink, &creation->head, &creation->listed,
						     creation->writing.threads, &writer, fault);
	if (status == BLOCKZ_OK) {
		struct blockz_work work = stages_next(&creation->stages, STAGE_WRITE, creation->images[1].blocks.size);
		status = pass_write(&items, &names, writer, creation->writing.sections, &work, fault);
	}
	if (status == BLOCKZ_OK)
		status = delta_write_end(writer, fault);
	if (status == BLOCKZ_OK)
		*len_ret = delta_writer_len(writer);
	delta_writer_free(writer);
	return status;
}

static void fill_result(const struct creation *creation, uint64_t delta_size, struct blockz_delta_result *result)
{
	const struct blocks *blocks = &creation->images[1].blocks;
	uint64_t encode_ns = 0;
	*result = (struct blockz_delta_result){
		.old_size = creation->head.old_size, .new_size = creation->head.new_size, .delta_size = delta_size,
		.windows = creation->windows.count > 0 ? creation->windows.count : 1,
		.window_size = creation->windows.len, .memory = creation->budget.limit,
		.memory_wanted = budget_limit_for(&creation->budget, creation->new_text.len,
						  creation->windows.memory_of_one),
		.merge_threads = creation->budget.merge_threads,
	};
	for (size_t i = 0; i < blocks->count; i++) {
		const struct selected *selected = &creation->selection.blocks[i];
		if (blocks->items[i].is_plain)
			continue;
		result->blocks++;
		result->blocks_equal += selected->fate == FATE_EQUAL;
		result->blocks_packed += selected->fate == FATE_PACKED;
		result->blocks_unproved += selected->unproved;
		if (selected->fate != FATE_OPEN)
			continue;
		result->blocks_encoded += selected->candidate != PROVE_NONE;
		result->blocks_stored += selected->candidate == PROVE_NONE;
		encode_ns += selected->encode_ns;
	}
	result->encode_ms = encode_ns / NS_A_MS;
}

EXPORT enum blockz_status blockz_delta(const struct blockz_source *old, const struct blockz_source *new,
				       const struct blockz_sink *delta, const struct blockz_delta_options *options,
				       struct blockz_delta_result *result_ret, struct blockz_fault *fault)
{
	uint64_t delta_size = 0;
	if (old->size == BLOCKZ_UNKNOWN || new->size == BLOCKZ_UNKNOWN)
		return fault_about(fault, fault_set(fault, BLOCKZ_USAGE, BLOCKZ_UNKNOWN, "an image is a stream, expected a file"),
				   old->size == BLOCKZ_UNKNOWN ? BLOCKZ_ABOUT_OLD : BLOCKZ_ABOUT_NEW);
	const struct blockz_source *const files[2] = { old, new };
	struct creation creation = {
		.env = { options->lzo }, .options = options, .stages = { .outer = &options->work, .size = new->size },
	};
	enum blockz_status status = images_read(creation.images, files, &creation.env, &options->work, fault);
	if (status == BLOCKZ_OK)
		status = selection_begin(&creation.images[0], &creation.images[1], options, &creation.selection, fault);
	if (status == BLOCKZ_OK)
		status = share_memory(&creation, fault);
	if (status == BLOCKZ_OK)
		status = selection_finish(&creation.selection, &creation.images[0], &creation.images[1], &creation.env,
					  options, &creation.stages, fault);
	if (status == BLOCKZ_OK)
		status = match(&creation, fault);
	if (status == BLOCKZ_OK)
		status = decide(&creation, fault);
	if (status == BLOCKZ_OK)
		status = write_delta(&creation, delta, &delta_size, fault);
	if (status == BLOCKZ_OK)
		fill_result(&creation, delta_size, result_ret);
	creation_free(&creation);
	return status;
}
