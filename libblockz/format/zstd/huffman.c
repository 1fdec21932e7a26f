/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A tree is described by weights: a symbol of weight w has 1 << (w - 1) of the places in the decoder's table, and so a code
 * that is shorter by a bit where the weight is greater by 1.  The last weight is what is left of a power of two.
 */
#include "format/zstd/huffman.h"

#include "format/zstd/fse.h"

enum { WEIGHTS_MAX = 255, WEIGHT_LOG_MAX = 6, PLAIN = 128 };

size_t huffman_description_len(uint8_t first)
{
	return 1 + (first < PLAIN ? first : ((size_t)first - PLAIN + 2) / 2);
}

/* Two to a byte. */
static size_t read_plain(uint8_t *weights, const uint8_t *bytes)
{
	size_t count = (size_t)bytes[0] - PLAIN + 1;
	for (size_t i = 0; i < count; i++)
		weights[i] = i % 2 ? bytes[1 + i / 2] & 15 : bytes[1 + i / 2] >> 4;
	return count;
}

/* By two states in turn; the last symbols are those of the states in which there are no bits any more.  0: damaged. */
static size_t read_packed(uint8_t *weights, const uint8_t *bytes, size_t len)
{
	struct fse_counts counts;
	struct fse_table table;
	struct bits_back bits;
	size_t described = 0, count = 0;
	if (!fse_counts_read(&counts, bytes, len, WEIGHT_LOG_MAX, HUFFMAN_LOG_MAX + 1, &described) ||
	    !bits_back_begin(&bits, bytes + described, len - described))
		return 0;
	fse_table_make(&table, &counts);
	uint16_t states[2] = { (uint16_t)bits_back_read(&bits, table.log), (uint16_t)bits_back_read(&bits, table.log) };
	while (count + 1 < WEIGHTS_MAX && !bits.short_of) {
		uint16_t *state = &states[count % 2];
		weights[count++] = table.states[*state].symbol;
		*state = fse_next(&table, *state, &bits);
	}
	weights[count] = table.states[states[count % 2]].symbol;
	return bits.short_of ? count + 1 : 0;
}

/* Finds the last weight, and how many bits the longest code has; 0: there is no such tree. */
static unsigned complete(uint8_t *weights, size_t *count)
{
	uint32_t sum = 0;
	for (size_t i = 0; i < *count; i++) {
		if (weights[i] > HUFFMAN_LOG_MAX)
			return 0;
		sum += (uint32_t)1 << weights[i] >> 1;
	}
	if (sum == 0)
		return 0;
	unsigned log = highest_bit(sum) + 1;
	uint32_t rest = ((uint32_t)1 << log) - sum;
	weights[(*count)++] = (uint8_t)(highest_bit(rest) + 1);
	return log <= HUFFMAN_LOG_MAX && (rest & (rest - 1)) == 0 ? log : 0;
}

bool huffman_read(struct huffman *huffman, const uint8_t *bytes, size_t len)
{
	uint8_t weights[WEIGHTS_MAX + 1] = { 0 };
	if (len == 0 || huffman_description_len(bytes[0]) != len)
		return false;
	size_t count = bytes[0] < PLAIN ? read_packed(weights, bytes + 1, len - 1) : read_plain(weights, bytes);
	unsigned log = count > 0 ? complete(weights, &count) : 0;
	if (log == 0)
		return false;
	*huffman = (struct huffman){ .bits = { 0 } };
	for (unsigned weight = 1, place = 0; weight <= log; weight++) {
		for (size_t i = 0; i < count; i++) {
			if (weights[i] != weight)
				continue;
			huffman->bits[i] = (uint8_t)(log + 1 - weight);
			huffman->codes[i] = (uint16_t)(place >> (weight - 1));
			place += 1u << (weight - 1);
		}
	}
	return true;
}

size_t huffman_len(const struct huffman *huffman, const uint8_t *bytes, size_t len)
{
	size_t bits = 1; /* the mark */
	for (size_t i = 0; i < len; i++) {
		if (huffman->bits[bytes[i]] == 0)
			return SIZE_MAX;
		bits += huffman->bits[bytes[i]];
	}
	return (bits + 7) / 8;
}

size_t huffman_write(const struct huffman *huffman, const uint8_t *bytes, size_t len, uint8_t *out)
{
	struct bits_out bits = { .bytes = out };
	for (size_t i = len; i-- > 0;)
		bits_put(&bits, huffman->codes[bytes[i]], huffman->bits[bytes[i]]);
	return bits_end(&bits);
}
