/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Input of the deflate walker: bits, lowest first, from memory or from a source.
 *
 * Bits are loaded eight bytes at a time, without asking how many are left: there is always a window of readable
 * bytes, and below load_end in it two loads may start, one after the other.  The last window has zeros behind the input,
 * enough for every bit of the input to be loaded by such loads; who has run past the end finds out by the position, or when
 * walk_input_more() has no more.
 */
#ifndef FORMAT_DEFLATE_WALK_INPUT_H
#define FORMAT_DEFLATE_WALK_INPUT_H

#include "base/bytes.h"
#include "blockz.h"

enum {
	WALK_INPUT_BUFFER = 256 * 1024,
	WALK_INPUT_LOADS = 16, /* bytes that two loads take */
	/* Zeros behind the last window: load_end is 9 behind the input. */
	WALK_INPUT_PADDING = 8 + WALK_INPUT_LOADS,
	/* At least so many bits are there after a load; at most 63. */
	WALK_INPUT_LOADED = 56,
};

struct walk_input {
	uint64_t bits;      /* loaded and not yet taken; those above count are not to be relied on */
	unsigned count;     /* how many */
	size_t next;        /* first byte in the window of which not all bits are loaded */
	size_t load_end;
	const uint8_t *window;
	size_t window_len;  /* bytes of the input in it */
	uint64_t window_off;
	uint64_t len;       /* of the whole input */
	bool last;          /* the window reaches to the end, and is padded */

	const uint8_t *memory; /* NULL: the input is a source */
	struct blockz_source source;
	uint64_t start;     /* where in the source the input begins */
	size_t read_len;    /* for the next read: small behind a skipped payload, then growing */
	uint8_t *buffer;    /* WALK_INPUT_BUFFER + WALK_INPUT_PADDING bytes, the owner's; for sources */
	uint8_t tail[WALK_INPUT_LOADS + WALK_INPUT_PADDING]; /* the last window of an input in memory */
};

void walk_input_memory(struct walk_input *in, const uint8_t *bytes, size_t len);
void walk_input_source(struct walk_input *in, const struct blockz_source *source, uint64_t start, uint64_t end);

/* Moves the window so that a load is possible.  BLOCKZ_DAMAGED: the input ends. */
enum blockz_status walk_input_more(struct walk_input *in, struct blockz_fault *fault);

/* Skips n bytes; the position must be at a byte's edge and stay within the input. */
void walk_input_skip(struct walk_input *in, uint64_t n);

/* Moves to a bit of the input, which must be a source. */
enum blockz_status walk_input_seek(struct walk_input *in, uint64_t bit, struct blockz_fault *fault);

/* Bits taken so far; beyond 8 * len when the padding was taken for input. */
static inline uint64_t walk_input_position(const struct walk_input *in)
{
	return (in->window_off + in->next) * 8 - in->count;
}

static inline bool walk_input_overrun(const struct walk_input *in)
{
	return walk_input_position(in) > in->len * 8;
}

/* Loads bits up to at least WALK_INPUT_LOADED; next must be below load_end. */
static inline void walk_input_load(const uint8_t *window, size_t *next, uint64_t *bits, unsigned *count)
{
	*bits |= load_le64(window + *next) << *count;
	*next += (63 - *count) >> 3;
	*count |= WALK_INPUT_LOADED;
}

/* The same for code that has no need to hurry. */
static inline enum blockz_status walk_input_fill(struct walk_input *in, struct blockz_fault *fault)
{
	if (in->next >= in->load_end) {
		enum blockz_status status = walk_input_more(in, fault);
		if (status != BLOCKZ_OK)
			return status;
	}
	walk_input_load(in->window, &in->next, &in->bits, &in->count);
	return BLOCKZ_OK;
}

/* Takes n loaded bits, n < 32. */
static inline unsigned walk_input_take(struct walk_input *in, unsigned n)
{
	unsigned v = (unsigned)in->bits & ((1U << n) - 1);
	in->bits >>= n;
	in->count -= n;
	return v;
}

#endif
