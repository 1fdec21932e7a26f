/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Each pass of the differ goes through OLD window by window, and for each window through NEW chunk by chunk.  What is read
 * stays until something else is read in its place, so that a single window or chunk is read once for both passes.
 */
#include "delta/make/windows.h"

#include <stdlib.h>

#include "base/bisect.h"
#include "base/checked.h"
#include "base/fault.h"

/* Consecutive parts of a text. */
struct excerpt {
	size_t first, end;
	uint64_t off, len;
};

/* From a part on, as much as fits, but at least that part. */
static struct excerpt excerpt_from(const struct plain_text *text, size_t first, uint64_t len_max)
{
	uint64_t off = first < text->count ? text->parts[first].text_off : text->len;
	struct excerpt excerpt = { .first = first, .end = first, .off = off };
	while (excerpt.end < text->count &&
	       (excerpt.end == first || excerpt.len + text->parts[excerpt.end].len <= len_max))
		excerpt.len += text->parts[excerpt.end++].len;
	return excerpt;
}

static unsigned count_excerpts(const struct plain_text *text, uint64_t len_max)
{
	unsigned count = 0;
	for (size_t first = 0; first < text->count; count++)
		first = excerpt_from(text, first, len_max).end;
	return count;
}

static uint64_t longest_part(const struct plain_text *text)
{
	uint64_t len = 1;
	for (size_t i = 0; i < text->count; i++)
		len = text->parts[i].len > len ? text->parts[i].len : len;
	return len;
}

static uint64_t window_memory(enum differ_pass pass, uint64_t len)
{
	return len + differ_memory(pass, len);
}

static bool longer_fits(const void *pass, uint64_t len, uint64_t memory)
{
	return window_memory(*(const enum differ_pass *)pass, len + 1) <= memory;
}

/* The longest window of OLD in so much memory. */
static uint64_t window_in(enum differ_pass pass, uint64_t memory, uint64_t len)
{
	return bisect(min(len, differ_old_max(pass)), longer_fits, &pass, memory);
}

/* Of whichever pass takes more. */
static uint64_t memory_for(uint64_t len)
{
	uint64_t most = 0;
	for (enum differ_pass pass = DIFFER_LONG_RUNS; pass <= DIFFER_THE_REST; pass++) {
		uint64_t memory = window_memory(pass, min(len, differ_old_max(pass)));
		most = memory > most ? memory : most;
	}
	return most;
}

uint64_t windows_memory(uint64_t old_longest, uint64_t new_longest)
{
	return new_longest + memory_for(old_longest);
}

/*
 * NEW is read in chunks of this length: all of it, where an eighth of the memory holds it; less, where that would leave none
 * for the longest part of OLD.
 */
static uint64_t chunk_in(uint64_t memory, const struct text_pair *pair)
{
	uint64_t longest = longest_part(pair->new), needed = memory_for(longest_part(pair->old));
	uint64_t len = min(min(pair->new->len, memory / 8), memory > needed ? memory - needed : 0);
	return len > longest ? len : longest;
}

/* With so much memory more than what is needed for OLD alone. */
static bool chunk_takes_too_much(const void *ctx, uint64_t more, uint64_t needed)
{
	const struct text_pair *pair = ctx;
	uint64_t memory = needed + more, chunk = chunk_in(memory, pair);
	return memory <= chunk || memory - chunk < needed;
}

/* The least memory in which OLD, or as much of it as one window can hold, is one window in each pass. */
static uint64_t memory_of_one(const struct text_pair *pair)
{
	uint64_t needed = memory_for(pair->old->len);
	return needed + bisect(needed + 8 * longest_part(pair->new), chunk_takes_too_much, pair, needed);
}

/* One of the texts, and the excerpt of it that was read last. */
struct side {
	const struct plain_text *text;
	enum stage stage; /* with the threads of which it is read */
	struct excerpt there;
	uint8_t *bytes; /* its own; NULL at first */
};

struct matching {
	const struct codec_env *env;
	struct stages *stages;
	struct side old, new; /* by windows, and by chunks */
	struct excerpt *chunks;
	struct matches *chunk_matches;
	unsigned chunk_count;
};

static void matching_free(struct matching *matching)
{
	for (unsigned i = 0; matching->chunk_matches != NULL && i < matching->chunk_count; i++)
		matches_free(&matching->chunk_matches[i]);
	free(matching->chunk_matches);
	free(matching->chunks);
	free(matching->old.bytes);
	free(matching->new.bytes);
}

/* Reads an excerpt into a side's bytes, which have room for it, unless it is there. */
static enum blockz_status read_excerpt(const struct matching *matching, struct side *side, const struct excerpt *excerpt,
				       struct blockz_fault *fault)
{
	struct blockz_work quiet = { .threads = matching->stages->threads[side->stage] };
	if (side->there.first == excerpt->first && side->there.end == excerpt->end)
		return BLOCKZ_OK;
	side->there = (struct excerpt){ 0 };
	enum blockz_status status = plain_text_read(side->text, excerpt->first, excerpt->end, matching->env, side->bytes,
						    &quiet, fault);
	if (status == BLOCKZ_OK)
		side->there = *excerpt;
	return status;
}

static enum blockz_status match_chunk(struct matching *matching, const struct differ *differ, enum differ_pass pass,
				      unsigned i, struct blockz_fault *fault)
{
	const struct excerpt *chunk = &matching->chunks[i];
	struct blockz_work work =
		stages_next(matching->stages, pass == DIFFER_LONG_RUNS ? STAGE_RUNS : STAGE_MATCH, chunk->len);
	enum blockz_status status = read_excerpt(matching, &matching->new, chunk, fault);
	if (status != BLOCKZ_OK)
		return status;
	return differ_match(differ, matching->new.bytes, (size_t)chunk->len, &work, &matching->chunk_matches[i], fault);
}

/* One list of what was found for all chunks. */
static enum blockz_status join_matches(const struct matching *matching, struct matches *matches_ret,
				       struct blockz_fault *fault)
{
	struct matches all = { 0 };
	size_t count = 0;
	for (unsigned i = 0; i < matching->chunk_count; i++)
		count += matching->chunk_matches[i].count;
	all.items = malloc((count + 1) * sizeof(*all.items));
	if (all.items == NULL)
		return fault_nomem(fault);
	for (unsigned i = 0; i < matching->chunk_count; i++)
		for (size_t j = 0; j < matching->chunk_matches[i].count; j++) {
			all.items[all.count] = matching->chunk_matches[i].items[j];
			all.items[all.count++].new_off += matching->chunks[i].off;
		}
	*matches_ret = all;
	return BLOCKZ_OK;
}

static enum blockz_status match_chunks(struct matching *matching, const struct differ *differ, enum differ_pass pass,
				       struct blockz_fault *fault)
{
	for (unsigned i = 0; i < matching->chunk_count; i++) {
		enum blockz_status status = match_chunk(matching, differ, pass, i, fault);
		if (status != BLOCKZ_OK)
			return status;
	}
	return BLOCKZ_OK;
}

static enum blockz_status match_window(struct matching *matching, enum differ_pass pass, const struct excerpt *window,
				       struct blockz_fault *fault)
{
	struct side *old = &matching->old;
	struct matches used = { 0 };
	struct differ *differ = NULL;
	enum blockz_status status = read_excerpt(matching, old, window, fault);
	if (status == BLOCKZ_OK)
		status = join_matches(matching, &used, fault);
	if (status == BLOCKZ_OK)
		status = differ_new(pass, old->bytes, (size_t)window->len, window->off, &used, &differ, fault);
	matches_free(&used);
	if (status == BLOCKZ_OK)
		status = match_chunks(matching, differ, pass, fault);
	differ_free(differ);
	return status;
}

static enum blockz_status make_chunks(struct matching *matching, uint64_t chunk_max, struct blockz_fault *fault)
{
	const struct plain_text *new = matching->new.text;
	size_t first = 0;
	matching->chunk_count = count_excerpts(new, chunk_max);
	matching->chunks = calloc(matching->chunk_count + 1u, sizeof(*matching->chunks));
	matching->chunk_matches = calloc(matching->chunk_count + 1u, sizeof(*matching->chunk_matches));
	matching->new.bytes = malloc((size_t)chunk_max + 1);
	if (matching->chunks == NULL || matching->chunk_matches == NULL || matching->new.bytes == NULL)
		return fault_nomem(fault);
	for (unsigned i = 0; i < matching->chunk_count; i++) {
		matching->chunks[i] = excerpt_from(new, first, chunk_max);
		first = matching->chunks[i].end;
	}
	return BLOCKZ_OK;
}

/* Windows of about the same length, so that the last is no scrap. */
static struct windows windows_in(enum differ_pass pass, const struct plain_text *old, uint64_t memory)
{
	uint64_t len = window_in(pass, memory, old->len);
	unsigned count = count_excerpts(old, len);
	if (count > 1)
		len = min(len, old->len / count + longest_part(old));
	return (struct windows){ .count = count_excerpts(old, len), .len = len };
}

/* Memory for windows of another length than those before is taken in the place of theirs. */
static enum blockz_status match_pass(struct matching *matching, enum differ_pass pass, uint64_t memory,
				     struct windows *windows, struct blockz_fault *fault)
{
	struct side *old = &matching->old;
	uint64_t len_before = windows->len;
	*windows = windows_in(pass, old->text, memory);
	if (old->bytes == NULL || windows->len != len_before) {
		free(old->bytes);
		old->bytes = malloc((size_t)windows->len + 1);
		old->there = (struct excerpt){ 0 };
	}
	if (old->bytes == NULL)
		return fault_nomem(fault);
	struct excerpt window = { 0 };
	while (window.end < old->text->count) {
		window = excerpt_from(old->text, window.end, windows->len);
		enum blockz_status status = match_window(matching, pass, &window, fault);
		if (status != BLOCKZ_OK)
			return status;
	}
	return BLOCKZ_OK;
}

/* In both passes; memory is what chunks leave. */
static enum blockz_status match_passes(struct matching *matching, uint64_t memory, struct windows *windows,
				       struct blockz_fault *fault)
{
	for (enum differ_pass pass = DIFFER_LONG_RUNS; pass <= DIFFER_THE_REST; pass++) {
		enum blockz_status status = match_pass(matching, pass, memory, windows, fault);
		if (status != BLOCKZ_OK)
			return status;
	}
	return BLOCKZ_OK;
}

enum blockz_status windows_match(const struct text_pair *pair, struct matches *matches_ret, struct windows *windows_ret,
				 struct blockz_fault *fault)
{
	uint64_t least = windows_memory(longest_part(pair->old), longest_part(pair->new));
	uint64_t memory = pair->memory > least ? pair->memory : least;
	uint64_t chunk_max = chunk_in(memory, pair);
	struct matching matching = {
		.env = pair->env, .stages = pair->stages,
		.old = { .text = pair->old, .stage = STAGE_LOOK_OLD }, .new = { .text = pair->new, .stage = STAGE_LOOK_NEW },
	};
	struct windows windows = { 0 };
	enum blockz_status status = make_chunks(&matching, chunk_max, fault);
	if (status == BLOCKZ_OK)
		status = match_passes(&matching, memory - chunk_max, &windows, fault);
	if (status == BLOCKZ_OK)
		status = join_matches(&matching, matches_ret, fault);
	matching_free(&matching);
	if (status != BLOCKZ_OK)
		return status;
	windows.memory_of_one = memory_of_one(pair);
	*windows_ret = windows;
	return BLOCKZ_OK;
}
