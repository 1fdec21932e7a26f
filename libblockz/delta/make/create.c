/* SPDX-License-Identifier: BSD-3-Clause */
/* Making a delta, stage by stage: each is a function here, which fills its member of the creation. */
#include <stdlib.h>
#include <string.h>

#include "base/export.h"
#include "base/fault.h"
#include "blockz_delta.h"
#include "delta/file/proved_blocks.h"
#include "delta/make/apply_budget.h"
#include "delta/make/decode_cost.h"
#include "delta/make/make.h"
#include "delta/make/measure.h"
#include "delta/make/sections.h"

static void creation_free(struct creation *creation)
{
	names_free(&creation->names);
	findings_free(&creation->findings);
	selection_free(&creation->selection);
	image_free(&creation->images[0]);
	image_free(&creation->images[1]);
}

/* ---- The stages, in their order ---- */

/* Both images are taken apart into blocks and hashed. */
static enum blockz_status read_images(struct creation *creation, struct blockz_fault *fault)
{
	return images_read(creation->images, creation->files, &creation->env, &creation->options->work, fault);
}

/* Blocks of NEW that OLD has are copied; the others are open for now. */
static enum blockz_status find_equal_blocks(struct creation *creation, struct blockz_fault *fault)
{
	return selection_begin(&creation->images[0], &creation->images[1], creation->options, &creation->selection, fault);
}

/* As soon as it is known what has to be decoded at all. */
static enum blockz_status share_memory(struct creation *creation, struct blockz_fault *fault)
{
	struct memory_budget *budget = &creation->budget;
	unsigned *threads = creation->stages.threads;
	enum blockz_status status =
		memory_budget_make(budget, creation->images, &creation->selection, creation->options, fault);
	threads[STAGE_LOOK_OLD] = threads[STAGE_LOOK_NEW] = budget->look_threads;
	threads[STAGE_PROVE] = budget->prove_threads;
	return status;
}

/* Blocks that OLD has nothing of, and those that no encoder makes again, byte for byte, come packed; the others stay open. */
static enum blockz_status choose_open_blocks(struct creation *creation, struct blockz_fault *fault)
{
	return selection_finish(&creation->selection, &creation->images[0], &creation->images[1], &creation->env,
				creation->options, &creation->stages, fault);
}

/* The plain content of open blocks becomes one text, and that of OLD's blocks that NEW does not have another. */
static enum blockz_status lay_out_texts(struct creation *creation, struct blockz_fault *fault)
{
	struct findings *findings = &creation->findings;
	findings->old = &creation->images[0];
	findings->new = &creation->images[1];
	findings->selection = &creation->selection;
	findings->env = &creation->env;
	return findings_lay_out(findings, fault);
}

/* Where the former comes from in the latter; then it is known what is left of the memory. */
static enum blockz_status match_texts(struct creation *creation, struct blockz_fault *fault)
{
	const struct memory_budget *budget = &creation->budget;
	struct findings *findings = &creation->findings;
	unsigned *threads = creation->stages.threads;
	threads[STAGE_LOOK_OLD] = threads[STAGE_LOOK_NEW] = budget->read_threads;
	const struct text_pair pair = {
		.old = &findings->old_text, .new = &findings->new_text, .env = &creation->env, .stages = &creation->stages,
		.memory = memory_budget_for_windows(budget, findings->new_text.len),
	};
	enum blockz_status status = windows_match(&pair, &findings->matches, &creation->windows, fault);
	if (status != BLOCKZ_OK)
		return status;
	creation->writing = memory_budget_for_writing(budget, findings->matches.count);
	threads[STAGE_MEASURE] = threads[STAGE_WRITE] = creation->writing.threads;
	return BLOCKZ_OK;
}

/* Matches that bring less than decoding their blocks costs the client are given up. */
static enum blockz_status prune_matches(struct creation *creation, struct blockz_fault *fault)
{
	struct findings *findings = &creation->findings;
	return decode_cost_prune(&findings->old_text, &findings->new_text, &findings->matches, fault);
}

/* OLD can be read by the places that scripts say. */
static enum blockz_status open_old_space(struct creation *creation, struct blockz_fault *fault)
{
	const struct writing_share *writing = &creation->writing;
	return findings_open_old(&creation->findings, writing->cache, writing->threads, fault);
}

/* An open block whose differences cost about what it takes packed is packed after all, and what the client has no time for. */
static enum blockz_status keep_what_pays(struct creation *creation, struct blockz_fault *fault)
{
	const struct blocks *blocks = &creation->images[1].blocks;
	uint64_t *prices = calloc(blocks->count + 1, sizeof(*prices));
	if (prices == NULL)
		return fault_nomem(fault);
	struct blockz_work work = stages_next(&creation->stages, STAGE_MEASURE, blocks->size);
	enum blockz_status status =
		measure_blocks(&creation->findings, &creation->selection, prices, &work, fault);
	if (status == BLOCKZ_OK)
		status = apply_budget_keep(&creation->findings, &creation->selection, prices,
					   creation->options->apply_budget_ms, fault);
	free(prices);
	return status;
}

static enum blockz_status choose_names(struct creation *creation, struct blockz_fault *fault)
{
	return names_choose(&creation->findings, &creation->selection, &creation->head, &creation->names, fault);
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

static void fill_result(const struct creation *creation, uint64_t delta_size)
{
	const struct memory_budget *budget = &creation->budget;
	const struct windows *windows = &creation->windows;
	*creation->result = (struct blockz_delta_result){
		.old_size = creation->head.old_size, .new_size = creation->head.new_size, .delta_size = delta_size,
		.windows = windows->count > 0 ? windows->count : 1, .window_size = windows->len,
		.memory = budget->limit,
		.memory_wanted = memory_budget_limit_for(budget, creation->findings.new_text.len, windows->memory_of_one),
		.merge_threads = budget->merge_threads,
	};
	selection_count(&creation->selection, &creation->images[1].blocks, creation->result);
}

/* For the caller, who has the delta applied. */
static enum blockz_status tell_proved(const struct creation *creation, struct blockz_fault *fault)
{
	const struct blocks *blocks = &creation->images[1].blocks;
	struct blockz_proved_blocks *proved = creation->options->proved;
	if (proved == NULL)
		return BLOCKZ_OK;
	if (!proved_blocks_start(proved, creation->files[1], blocks->count))
		return fault_nomem(fault);
	for (size_t i = 0; i < blocks->count; i++) {
		const struct selected *selected = &creation->selection.blocks[i];
		const struct proved_block block = { blocks->items[i].file_off, blocks->items[i].file_len, selected->digest };
		if (selected->fate == FATE_OPEN && selected->candidate != PROVE_NONE)
			proved_blocks_add(proved, &block);
	}
	return BLOCKZ_OK;
}

static enum blockz_status write_sections(struct creation *creation, struct delta_writer *writer, struct blockz_fault *fault)
{
	struct blockz_work work = stages_next(&creation->stages, STAGE_WRITE, creation->images[1].blocks.size);
	enum blockz_status status = sections_write(&creation->findings, &creation->names, writer,
						   creation->writing.sections, &work, fault);
	return status == BLOCKZ_OK ? delta_write_end(writer, fault) : status;
}

/* NEW, item by item, as ops and what they bring; and what the caller is told. */
static enum blockz_status write_delta(struct creation *creation, struct blockz_fault *fault)
{
	struct delta_writer *writer = NULL;
	fill_head(creation);
	enum blockz_status status = delta_writer_new(creation->sink, &creation->head, &creation->names.listed.blocks,
						     creation->writing.threads, &writer, fault);
	if (status != BLOCKZ_OK)
		return status;
	status = write_sections(creation, writer, fault);
	if (status == BLOCKZ_OK)
		status = tell_proved(creation, fault);
	if (status == BLOCKZ_OK)
		fill_result(creation, delta_writer_len(writer));
	delta_writer_free(writer);
	return status;
}

static enum blockz_status go_through_stages(struct creation *creation, struct blockz_fault *fault)
{
	static enum blockz_status (*const stages[])(struct creation *creation, struct blockz_fault *fault) = {
		read_images,   find_equal_blocks, share_memory,   choose_open_blocks, lay_out_texts, match_texts,
		prune_matches, open_old_space,    keep_what_pays, choose_names,       write_delta,
	};
	for (size_t i = 0; i < sizeof(stages) / sizeof(stages[0]); i++) {
		enum blockz_status status = stages[i](creation, fault);
		if (status != BLOCKZ_OK)
			return status;
	}
	return BLOCKZ_OK;
}

EXPORT enum blockz_status blockz_delta(const struct blockz_source *old, const struct blockz_source *new,
				       const struct blockz_sink *delta, const struct blockz_delta_options *options,
				       struct blockz_delta_result *result_ret, struct blockz_fault *fault)
{
	if (old->size == BLOCKZ_UNKNOWN || new->size == BLOCKZ_UNKNOWN)
		return fault_about(fault, fault_set(fault, BLOCKZ_USAGE, BLOCKZ_UNKNOWN, "an image is a stream, expected a file"),
				   old->size == BLOCKZ_UNKNOWN ? BLOCKZ_ABOUT_OLD : BLOCKZ_ABOUT_NEW);
	struct creation creation = {
		.options = options, .env = { options->lzo }, .files = { old, new }, .sink = delta, .result = result_ret,
		.stages = { .outer = &options->work, .size = new->size },
	};
	enum blockz_status status = go_through_stages(&creation, fault);
	creation_free(&creation);
	return status;
}
