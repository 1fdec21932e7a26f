/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The probe, which has to be the same on every machine for ever, is made by integer arithmetic alone.
 *
 * Its bytes follow from a sequence of 64-bit numbers x: x starts as 0, and each draw replaces x by
 * x * 6364136223846793005 + 1442695040888963407 (modulo 2^64).  draw(n) is then the upper 32 bits of x, modulo n.
 *
 * First a dictionary of 256 words: word w has 2 + draw(9) letters, each 'a' + draw(26) * draw(26) / 26.
 *
 * Then segments follow one another, number s = 0, 1, 2 ... of kind s modulo 5, each of 256 + draw(1024) bytes or
 * a few more; the probe is cut where its length is reached:
 *   0 text: words, each number draw(16) * draw(17) of the dictionary, and behind it ". " if draw(12) is 0, or a newline if
 *     that is 1, or else a blank
 *   1 code: instructions, by draw(8): 0 and 1 are E8, a 32-bit number that is 4096 * draw(40) less the offset of the E8 in
 *     the probe (modulo 2^32, little-endian); 2 and 3 are 48 8B and 40 + draw(16); 4 and 5 are 0F and 80 + draw(16) and
 *     draw(64) 00 00 00; 6 is C3, 7 times CC; 7 is a little-endian 32-bit number 10000000 (hexadecimal) + 8 * draw(512)
 *   2 runs: a byte draw(4) * 85, 1 + draw(300) times
 *   3 noise: bytes draw(256)
 *   4 copies: 8 + draw(120) bytes from 1 + draw(offset) back, offset being that in the probe, but the last of them
 *     draw(256); a copy may overlap itself
 */
#include "codec/probe.h"

#include <stdbool.h>

#include "base/bytes.h"

enum { WORDS = 256, LETTERS_MAX = 10, KINDS = 5 };

struct word {
	uint8_t letters[LETTERS_MAX];
	size_t len;
};

struct probe {
	uint64_t x;
	struct word words[WORDS];
	uint8_t *bytes;
	size_t len, done;
};

static uint32_t draw(struct probe *probe, uint32_t n)
{
	probe->x = probe->x * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)(probe->x >> 32) % n;
}

/* What is behind the end is drawn, and dropped. */
static void put(struct probe *probe, uint32_t byte)
{
	if (probe->done < probe->len)
		probe->bytes[probe->done] = (uint8_t)byte;
	probe->done++;
}

static void put_le32(struct probe *probe, uint32_t number)
{
	for (unsigned shift = 0; shift < 32; shift += 8)
		put(probe, number >> shift & 0xff);
}

static void make_words(struct probe *probe)
{
	for (size_t w = 0; w < WORDS; w++) {
		struct word *word = &probe->words[w];
		word->len = 2 + draw(probe, 9);
		for (size_t i = 0; i < word->len; i++) {
			uint32_t a = draw(probe, 26), b = draw(probe, 26);
			word->letters[i] = (uint8_t)('a' + a * b / 26);
		}
	}
}

static void put_text(struct probe *probe)
{
	uint32_t a = draw(probe, 16), b = draw(probe, 17);
	const struct word *word = &probe->words[a * b];
	for (size_t i = 0; i < word->len; i++)
		put(probe, word->letters[i]);
	switch (draw(probe, 12)) {
	case 0:
		put(probe, '.');
		put(probe, ' ');
		break;
	case 1:
		put(probe, '\n');
		break;
	default:
		put(probe, ' ');
	}
}

static void put_code(struct probe *probe)
{
	uint32_t from = (uint32_t)probe->done;
	switch (draw(probe, 8)) {
	case 0:
	case 1:
		put(probe, 0xe8);
		put_le32(probe, 4096 * draw(probe, 40) - from);
		break;
	case 2:
	case 3:
		put(probe, 0x48);
		put(probe, 0x8b);
		put(probe, 0x40 + draw(probe, 16));
		break;
	case 4:
	case 5:
		put(probe, 0x0f);
		put(probe, 0x80 + draw(probe, 16));
		put_le32(probe, draw(probe, 64));
		break;
	case 6:
		put(probe, 0xc3);
		for (int i = 0; i < 7; i++)
			put(probe, 0xcc);
		break;
	default:
		put_le32(probe, 0x10000000 + 8 * draw(probe, 512));
	}
}

static void put_run(struct probe *probe)
{
	uint32_t byte = draw(probe, 4) * 85;
	for (uint32_t left = 1 + draw(probe, 300); left > 0; left--)
		put(probe, byte);
}

static void put_noise(struct probe *probe)
{
	put(probe, draw(probe, 256));
}

static void put_copy(struct probe *probe)
{
	uint32_t len = 8 + draw(probe, 120);
	size_t back = 1 + draw(probe, (uint32_t)probe->done);
	for (uint32_t i = 1; i < len && probe->done < probe->len; i++)
		put(probe, probe->bytes[probe->done - back]);
	put(probe, draw(probe, 256));
}

void probe_make(uint8_t *bytes, size_t len)
{
	static void (*const kinds[KINDS])(struct probe *) = { put_text, put_code, put_run, put_noise, put_copy };
	struct probe probe = { .bytes = bytes, .len = len };
	make_words(&probe);
	for (size_t s = 0; probe.done < len; s++) {
		size_t end = probe.done + 256 + draw(&probe, 1024);
		while (probe.done < end)
			kinds[s % KINDS](&probe);
	}
}
