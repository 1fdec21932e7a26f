/* SPDX-License-Identifier: BSD-3-Clause */
#include "delta/windows.h"

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

static uint64_t window_memory(uint64_t len)
{
	return len + differ_memory(len);
}

/* The longest window of OLD in so much memory. */
static uint64_t window_in(uint64_t memory, uint64_t len)
{
	uint64_t low = 0, high = min(len, DIFFER_OLD_MAX);
	while (low < high) {
		uint64_t middle = high - (high - low) / 2;
		if (window_memory(middle) <= memory)
			low = middle;
		else
			high = middle - 1;
	}
	return low;
}

uint64_t windows_least(uint64_t old_longest, uint64_t new_longest)
{
	return new_longest + window_memory(old_longest);
}

/*
 * NEW is read in chunks of this length: all of it, where an eighth of the memory holds it; less, where that would leave none
 * for the longest span of OLD.
 */
static uint64_t chunk_in(uint64_t memory, const struct text *old, const struct text *new)
{
	uint64_t longest = longest_span(new), needed = window_memory(longest_span(old));
	uint64_t len = min(min(new->len, memory / 8), memory > needed ? memory - needed : 0);
	return len > longest ? len : longest;
}

/* The least memory in which OLD, or as much of it as one window can hold, is one window. */
static uint64_t memory_of_one(const struct text *old, const struct text *new)
{
	uint64_t low = window_memory(min(old->len, DIFFER_OLD_MAX)), high = 2 * low + 8 * longest_span(new);
	while (low < high) {
		uint64_t middle = low + (high - low) / 2, chunk = chunk_in(middle, old, new);
		if (middle > chunk && window_in(middle - chunk, old->len) >= min(old->len, DIFFER_OLD_MAX))
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
	uint8_t *old_bytes, *new_bytes;
	uint64_t in_memory; /* the text offset of the chunk in new_bytes, or UINT64_MAX */
};

static enum blockz_status match_chunk(struct matching *matching, const struct differ *differ, enum differ_pass pass,
				      uint64_t old_base, unsigned i, struct blockz_fault *fault)
{
	const struct part *chunk = &matching->chunks[i];
	struct blockz_work work =
		stages_next(matching->stages, pass == DIFFER_LONG_RUNS ? STAGE_RUNS : STAGE_MATCH, chunk->len);
	enum blockz_status status = BLOCKZ_OK;
	if (matching->in_memory != chunk->off) {
		struct blockz_work quiet = { .threads = matching->stages->threads[STAGE_LOOK_NEW] };
		status = text_read(matching->new, chunk->first, chunk->end, matching->env, matching->new_bytes, &quiet, fault);
	}
	matching->in_memory = status == BLOCKZ_OK ? chunk->off : UINT64_MAX;
	if (status == BLOCKZ_OK)
		status = differ_match(differ, pass, old_base, matching->new_bytes, (size_t)chunk->len, &work,
				      &matching->chunk_matches[i], fault);
	return status;
}

static enum blockz_status match_window(struct matching *matching, const struct part *window, enum differ_pass first,
				       enum differ_pass last, struct blockz_fault *fault)
{
	struct differ *differ = NULL;
	struct blockz_work quiet = { .threads = matching->stages->threads[STAGE_LOOK_OLD] };
	enum blockz_status status = text_read(matching->old, window->first, window->end, matching->env,
					      matching->old_bytes, &quiet, fault);
	if (status == BLOCKZ_OK)
		status = differ_new(matching->old_bytes, (size_t)window->len, &quiet, &differ, fault);
	for (enum differ_pass pass = first; pass <= last; pass++)
		for (unsigned i = 0; i < matching->chunk_count && status == BLOCKZ_OK; i++)
			status = match_chunk(matching, differ, pass, window->off, i, fault);
	differ_free(differ);
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

static enum blockz_status match_all(struct matching *matching, uint64_t window_max, uint64_t chunk_max,
				    struct blockz_fault *fault)
{
	matching->chunk_count = count_parts(matching->new, chunk_max);
	matching->chunks = calloc(matching->chunk_count + 1u, sizeof(*matching->chunks));
	matching->chunk_matches = calloc(matching->chunk_count + 1u, sizeof(*matching->chunk_matches));
	matching->old_bytes = malloc((size_t)window_max + 1);
	matching->new_bytes = malloc((size_t)chunk_max + 1);
	if (matching->chunks == NULL || matching->chunk_matches == NULL || matching->old_bytes == NULL ||
	    matching->new_bytes == NULL)
		return fault_nomem(fault);
	size_t first = 0;
	for (unsigned i = 0; i < matching->chunk_count; i++) {
		matching->chunks[i] = part_from(matching->new, first, chunk_max);
		first = matching->chunks[i].end;
	}
	struct part window = part_from(matching->old, 0, window_max);
	if (window.end == matching->old->count)
		return match_window(matching, &window, DIFFER_LONG_RUNS, DIFFER_THE_REST, fault);
	enum blockz_status status = BLOCKZ_OK;
	for (enum differ_pass pass = DIFFER_LONG_RUNS; pass <= DIFFER_THE_REST; pass++)
		for (first = 0; first < matching->old->count && status == BLOCKZ_OK; first = window.end) {
			window = part_from(matching->old, first, window_max);
			status = match_window(matching, &window, pass, pass, fault);
		}
	return status;
}

enum blockz_status windows_match(const struct text *old, const struct text *new, const struct codec_env *env,
				 uint64_t memory, struct stages *stages, struct matches *matches_ret,
				 struct windows *windows_ret, struct blockz_fault *fault)
{
	uint64_t longest = longest_span(old), least = windows_least(longest, longest_span(new));
	memory = memory > least ? memory : least;
	uint64_t chunk_max = chunk_in(memory, old, new), window_max = window_in(memory - chunk_max, old->len);
	/* Windows of about the same length, so that the last is no scrap. */
	unsigned count = count_parts(old, window_max);
	if (count > 1)
		window_max = min(window_max, old->len / count + longest);
	struct matching matching = { .old = old, .new = new, .env = env, .stages = stages, .in_memory = UINT64_MAX };
	enum blockz_status status = match_all(&matching, window_max, chunk_max, fault);
	if (status == BLOCKZ_OK)
		status = join(&matching, matches_ret, fault);
	if (status == BLOCKZ_OK)
		*windows_ret = (struct windows){ count_parts(old, window_max), window_max, memory_of_one(old, new) };
	for (unsigned i = 0; matching.chunk_matches != NULL && i < matching.chunk_count; i++)
		matches_free(&matching.chunk_matches[i]);
	free(matching.chunk_matches);
	free(matching.chunks);
	free(matching.old_bytes);
	free(matching.new_bytes);
	return status;
}
