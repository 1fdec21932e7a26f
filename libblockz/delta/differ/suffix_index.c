/* SPDX-License-Identifier: BSD-3-Clause */
/* A suffix array by libdivsufsort, entered by the first bytes of what is looked for. */
#include "delta/differ/suffix_index.h"

#include <divsufsort.h>
#include <stdlib.h>

#include "base/bisect.h"

enum {
	LEN_MIN = 12,
	GAIN_MIN = 8,
	PREFIX_BITS_MIN = 8,
	PREFIX_BITS_MAX = 24,
};

struct place {
	size_t text_off, old_off;
};

struct suffix_index {
	uint8_t *text;
	size_t len;
	struct place *places; /* where stretches are in the text, and one more behind the last */
	size_t place_count;
	int32_t *suffixes;
	unsigned prefix_bits; /* first bits of suffixes, zeros where the text is at its end */
	uint32_t *first;      /* of the suffixes with this prefix; one more behind the last */
};

/* About one prefix for each suffix. */
static unsigned prefix_bits(uint64_t len)
{
	unsigned bits = PREFIX_BITS_MIN;
	while (bits < PREFIX_BITS_MAX && len >> bits != 0)
		bits++;
	return bits;
}

static size_t prefixes(unsigned bits)
{
	return ((size_t)1 << bits) + 1;
}

uint64_t suffix_index_memory(uint64_t len, uint64_t stretch_count)
{
	uint64_t sorting = 1 << 19; /* divsufsort's own: two tables over pairs of bytes */
	return len * (1 + sizeof(int32_t)) + (stretch_count + 1) * sizeof(struct place) +
	       prefixes(prefix_bits(len)) * sizeof(uint32_t) + sorting;
}

static uint32_t prefix(const struct suffix_index *index, const uint8_t *p, size_t len)
{
	uint32_t three = (uint32_t)p[0] << 16 | (len > 1 ? (uint32_t)p[1] << 8 : 0) | (len > 2 ? p[2] : 0);
	return three >> (PREFIX_BITS_MAX - index->prefix_bits);
}

static void copy_stretches(struct suffix_index *index, const uint8_t *old, const struct stretch *stretches,
			   size_t stretch_count)
{
	size_t off = 0;
	for (size_t i = 0; i < stretch_count; i++) {
		memcpy(index->text + off, old + stretches[i].off, stretches[i].len);
		index->places[i] = (struct place){ .text_off = off, .old_off = stretches[i].off };
		off += stretches[i].len;
	}
	index->places[stretch_count] = (struct place){ .text_off = off };
	index->place_count = stretch_count;
}

static void count_prefixes(struct suffix_index *index)
{
	for (size_t i = 0; i < index->len; i++)
		index->first[prefix(index, index->text + i, index->len - i) + 1]++;
	for (size_t i = 0; i < (size_t)1 << index->prefix_bits; i++)
		index->first[i + 1] += index->first[i];
}

struct suffix_index *suffix_index_new(const uint8_t *old, const struct stretch *stretches, size_t stretch_count)
{
	struct suffix_index *index = calloc(1, sizeof(*index));
	if (index == NULL)
		return NULL;
	for (size_t i = 0; i < stretch_count; i++)
		index->len += stretches[i].len;
	index->text = malloc(index->len + 1);
	index->places = malloc((stretch_count + 1) * sizeof(*index->places));
	index->suffixes = malloc((index->len + 1) * sizeof(*index->suffixes));
	index->prefix_bits = prefix_bits(index->len);
	index->first = calloc(prefixes(index->prefix_bits), sizeof(*index->first));
	if (index->text != NULL && index->places != NULL && index->suffixes != NULL && index->first != NULL) {
		copy_stretches(index, old, stretches, stretch_count);
		count_prefixes(index);
		if (divsufsort(index->text, index->suffixes, (saidx_t)index->len) == 0)
			return index;
	}
	suffix_index_free(index);
	return NULL;
}

void suffix_index_free(struct suffix_index *index)
{
	if (index == NULL)
		return;
	free(index->text);
	free(index->places);
	free(index->suffixes);
	free(index->first);
	free(index);
}

static bool starts_at_or_before(const void *index, uint64_t i, uint64_t text_off)
{
	return ((const struct suffix_index *)index)->places[i].text_off <= text_off;
}

static const struct place *find_place(const struct suffix_index *index, size_t text_off)
{
	return &index->places[bisect_last(index->place_count, starts_at_or_before, index, text_off)];
}

/* The longest run in the text; what both ends of the interval share with it need not be compared again. */
static size_t longest_run(const struct suffix_index *index, const uint8_t *new, size_t len, size_t *text_off_ret)
{
	uint32_t key = prefix(index, new, len);
	size_t low = index->first[key], high = index->first[key + 1];
	size_t low_len = 0, high_len = 0, best = 0;
	while (low < high) {
		size_t mid = low + (high - low) / 2, off = (size_t)index->suffixes[mid];
		size_t equal = low_len < high_len ? low_len : high_len, max = index->len - off;
		max = max < len ? max : len;
		equal += equal_ahead(new + equal, index->text + off + equal, max - equal);
		if (equal > best) {
			best = equal;
			*text_off_ret = off;
		}
		if (equal == len)
			break;
		if (equal == max || index->text[off + equal] < new[equal]) {
			low = mid + 1;
			low_len = equal;
		} else {
			high = mid;
			high_len = equal;
		}
	}
	return best;
}

static size_t find_run(const void *self, const struct texts *texts, size_t new_off, size_t new_end, size_t old_hint,
		       size_t *old_off_ret)
{
	(void)old_hint;
	const struct suffix_index *index = self;
	size_t text_off = 0, len = longest_run(index, texts->new + new_off, new_end - new_off, &text_off);
	if (len < LEN_MIN)
		return 0;
	const struct place *place = find_place(index, text_off);
	size_t max = place[1].text_off - text_off;
	*old_off_ret = place->old_off + (text_off - place->text_off);
	return len < max ? len : max;
}

struct finder suffix_index_finder(const struct suffix_index *index)
{
	return (struct finder){ .index = index, .find = find_run, .min_len = LEN_MIN, .min_gain = GAIN_MIN };
}
