/* SPDX-License-Identifier: BSD-3-Clause */
#include "delta/make/windows.h"

#include <stdlib.h>

#include "base/checked.h"
#include "base/fault.h"

/* Consecutive spans of a text. */
struct part {
	size_t first, end;
	uint64_t off, len;
};

/* From a span on, as much as fits, but at least that span. */
static struct part part_from(const struct text *text, size_t first, uint64_t len_max)
{
	struct part part = { .first = first, .end = first, .off = first < text->count ? text->spans[first].text_off : text->len };
	while (part.end < text->count &&
	       (part.end == first || part.len + text->spans[part.end].len <= len_max))
		part.len += text->spans[part.end++].len;
	return part;
}

static unsigned count_parts(const struct text *text, uint64_t len_max)
{
	unsigned count = 0;
	for (size_t first = 0; first < text->count; count++)
		first = part_from(text, first, len_max).end;
	return count;
}

static uint64_t longest_span(const struct text *text)
{
	uint64_t len = 1;
	for (size_t i = 0; i < text->count; i++)
		len = text->spans[i].len > len ? text->spans[i].len : len;
	return len;
}

static uint64_t window_memory(enum differ_pass pass, uint64_t len)
{
	return len + differ_memory(pass, len);
}

/* The longest window of OLD in so much memory. */
static uint64_t window_in(enum differ_pass pass, uint64_t memory, uint64_t len)
{
	uint64_t low = 0, high = min(len, differ_old_max(pass));
	while (low < high) {
		uint64_t middle = high - (high - low) / 2;
		if (window_memory(pass, middle) <= memory)
			low = middle;
		else
			high = middle - 1;
	}
	return low;
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

uint64_t windows_least(uint64_t old_longest, uint64_t new_longest)
{
	return new_longest + memory_for(old_longest);
}

/*
 * NEW is read in chunks of this length: all of it, where an eighth of the memory holds it; less, where that would leave none
 * for the longest span of OLD.
 */
static uint64_t chunk_in(uint64_t memory, const struct text *old, const struct text *new)
{
	uint64_t longest = longest_span(new), needed = memory_for(longest_span(old));
	uint64_t len = min(min(new->len, memory / 8), memory > needed ? memory - needed : 0);
	return len > longest ? len : longest;
}

/* The least memory in which OLD, or as much of it as one window can hold, is one window in each pass. */
static uint64_t memory_of_one(const struct text *old, const struct text *new)
{
	uint64_t needed = memory_for(old->len), low = needed, high = 2 * needed + 8 * longest_span(new);
	while (low < high) {
		uint64_t middle = low + (high - low) / 2, chunk = chunk_in(middle, old, new);
		if (middle > chunk && middle - chunk >= needed)
			high = middle;
		else
			low = middle + 1;
	}
	return high;
}

struct matching {
	const struct text *old, *new;
	const struct codec_env *env;
	struct stages *stages;
	struct part *chunks;
	struct matches *chunk_matches;
	unsigned chunk_count;
	/* What was read last, and of which part of its text that is. */
	uint8_t *old_bytes, *new_bytes;
	struct part window, chunk;
};

/* Reads a part of a text into bytes, which have room for it, unless it is there. */
static enum blockz_status read_part(const struct matching *matching, const struct text *text, enum stage stage,
				    const struct part *part, struct part *there, uint8_t *bytes, struct blockz_fault *fault)
{
	struct blockz_work quiet = { .threads = matching->stages->threads[stage] };
	if (there->first == part->first && there->end == part->end)
		return BLOCKZ_OK;
	*there = (struct part){ 0 };
	enum blockz_status status = text_read(text, part->first, part->end, matching->env, bytes, &quiet, fault);
	if (status == BLOCKZ_OK)
		*there = *part;
	return status;
}

static enum blockz_status match_chunk(struct matching *matching, const struct differ *differ, enum differ_pass pass,
				      unsigned i, struct blockz_fault *fault)
{
	const struct part *chunk = &matching->chunks[i];
	struct blockz_work work =
		stages_next(matching->stages, pass == DIFFER_LONG_RUNS ? STAGE_RUNS : STAGE_MATCH, chunk->len);
	enum blockz_status status = read_part(matching, matching->new, STAGE_LOOK_NEW, chunk, &matching->chunk,
					      matching->new_bytes, fault);
	if (status == BLOCKZ_OK)
		status = differ_match(differ, matching->new_bytes, (size_t)chunk->len, &work, &matching->chunk_matches[i],
				      fault);
	return status;
}

/* One list of what was found for all chunks. */
static enum blockz_status join(const struct matching *matching, struct matches *matches_ret, struct blockz_fault *fault)
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

static enum blockz_status match_window(struct matching *matching, enum differ_pass pass, const struct part *window,
				       struct blockz_fault *fault)
{
	struct differ *differ = NULL;
	struct matches used = { 0 };
	enum blockz_status status = read_part(matching, matching->old, STAGE_LOOK_OLD, window, &matching->window,
					      matching->old_bytes, fault);
	if (status == BLOCKZ_OK)
		status = join(matching, &used, fault);
	if (status == BLOCKZ_OK)
		status = differ_new(pass, matching->old_bytes, (size_t)window->len, window->off, &used, &differ, fault);
	matches_free(&used);
	for (unsigned i = 0; i < matching->chunk_count && status == BLOCKZ_OK; i++)
		status = match_chunk(matching, differ, pass, i, fault);
	differ_free(differ);
	return status;
}

static enum blockz_status make_chunks(struct matching *matching, uint64_t chunk_max, struct blockz_fault *fault)
{
	size_t first = 0;
	matching->chunk_count = count_parts(matching->new, chunk_max);
	matching->chunks = calloc(matching->chunk_count + 1u, sizeof(*matching->chunks));
	matching->chunk_matches = calloc(matching->chunk_count + 1u, sizeof(*matching->chunk_matches));
	matching->new_bytes = malloc((size_t)chunk_max + 1);
	if (matching->chunks == NULL || matching->chunk_matches == NULL || matching->new_bytes == NULL)
		return fault_nomem(fault);
	for (unsigned i = 0; i < matching->chunk_count; i++) {
		matching->chunks[i] = part_from(matching->new, first, chunk_max);
		first = matching->chunks[i].end;
	}
	return BLOCKZ_OK;
}

/* Windows of about the same length, so that the last is no scrap. */
static struct windows windows_in(enum differ_pass pass, const struct text *old, uint64_t memory)
{
	uint64_t len = window_in(pass, memory, old->len);
	unsigned count = count_parts(old, len);
	if (count > 1)
		len = min(len, old->len / count + longest_span(old));
	return (struct windows){ .count = count_parts(old, len), .len = len };
}

/* Memory for windows of another length than those before is taken in the place of theirs. */
static enum blockz_status match_pass(struct matching *matching, enum differ_pass pass, uint64_t memory,
				     struct windows *windows_ret, struct blockz_fault *fault)
{
	struct windows windows = windows_in(pass, matching->old, memory);
	enum blockz_status status = BLOCKZ_OK;
	if (matching->old_bytes == NULL || windows.len != windows_ret->len) {
		free(matching->old_bytes);
		matching->old_bytes = malloc((size_t)windows.len + 1);
		matching->window = (struct part){ 0 };
	}
	*windows_ret = windows;
	if (matching->old_bytes == NULL)
		return fault_nomem(fault);
	struct part window = { 0 };
	while (window.end < matching->old->count && status == BLOCKZ_OK) {
		window = part_from(matching->old, window.end, windows.len);
		status = match_window(matching, pass, &window, fault);
	}
	return status;
}

enum blockz_status windows_match(const struct text *old, const struct text *new, const struct codec_env *env,
				 uint64_t memory, struct stages *stages, struct matches *matches_ret,
				 struct windows *windows_ret, struct blockz_fault *fault)
{
	uint64_t least = windows_least(longest_span(old), longest_span(new));
	memory = memory > least ? memory : least;
	uint64_t chunk_max = chunk_in(memory, old, new);
	struct matching matching = { .old = old, .new = new, .env = env, .stages = stages };
	struct windows windows = { 0 };
	enum blockz_status status = make_chunks(&matching, chunk_max, fault);
	for (enum differ_pass pass = DIFFER_LONG_RUNS; pass <= DIFFER_THE_REST && status == BLOCKZ_OK; pass++)
		status = match_pass(&matching, pass, memory - chunk_max, &windows, fault);
	if (status == BLOCKZ_OK)
		status = join(&matching, matches_ret, fault);
	windows.memory_of_one = memory_of_one(old, new);
	if (status == BLOCKZ_OK)
		*windows_ret = windows;
	for (unsigned i = 0; matching.chunk_matches != NULL && i < matching.chunk_count; i++)
		matches_free(&matching.chunk_matches[i]);
	free(matching.chunk_matches);
	free(matching.chunks);
	free(matching.old_bytes);
	free(matching.new_bytes);
	return status;
}
