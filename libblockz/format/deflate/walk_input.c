/* SPDX-License-Identifier: BSD-3-Clause */
/* Windows over the input: memory as it is, a source through a buffer. */
#include "format/deflate/walk_input.h"

#include <string.h>

#include "base/fault.h"

enum { FIRST_READ = 64, READ_GROWTH = 4 };

/* Two loads from below load_end on end within the window; in the last one, they reach every bit. */
static void set_window(struct walk_input *in, const uint8_t *window, size_t len, bool last)
{
	in->window = window;
	in->window_len = len;
	in->last = last;
	if (last)
		in->load_end = len + 9;
	else
		in->load_end = len >= WALK_INPUT_LOADS ? len - WALK_INPUT_LOADS + 1 : 0;
}

static void restart(struct walk_input *in, uint64_t len)
{
	in->bits = 0;
	in->count = 0;
	in->next = 0;
	in->window_off = 0;
	in->len = len;
	in->start = 0;
}

void walk_input_memory(struct walk_input *in, const uint8_t *bytes, size_t len)
{
	restart(in, len);
	in->memory = bytes != NULL ? bytes : in->tail;
	set_window(in, in->memory, len, false);
}

void walk_input_source(struct walk_input *in, const struct blockz_source *source, uint64_t start, uint64_t end)
{
	restart(in, end - start);
	in->memory = NULL;
	in->source = *source;
	in->start = start;
	in->read_len = FIRST_READ;
	set_window(in, in->buffer, 0, false);
}

/* Moves what is not loaded yet, less than two loads, to the front of to. */
static size_t keep_rest(struct walk_input *in, uint8_t *to)
{
	size_t rest = in->window_len - in->next;
	memmove(to, in->window + in->next, rest);
	in->window_off += in->next;
	in->next = 0;
	return rest;
}

static enum blockz_status read_more(struct walk_input *in, struct blockz_fault *fault)
{
	size_t have = keep_rest(in, in->buffer);
	while (have < WALK_INPUT_LOADS) {
		uint64_t off = in->window_off + have;
		size_t want = in->read_len < WALK_INPUT_BUFFER - have ? in->read_len : WALK_INPUT_BUFFER - have;
		if (want > in->len - off)
			want = (size_t)(in->len - off);
		if (want == 0)
			break;
		size_t got = 0;
		int error = in->source.ops->read(in->source.ctx, in->buffer + have, want, in->start + off, &got);
		if (error != 0)
			return fault_errno(fault, error, in->start + off, "read");
		if (got < want)
			return fault_set(fault, BLOCKZ_FAILED, in->start + off + got,
					 "read: the file has become shorter");
		have += want;
		in->read_len = in->read_len < WALK_INPUT_BUFFER / READ_GROWTH ? in->read_len * READ_GROWTH
									      : WALK_INPUT_BUFFER;
	}
	bool last = in->window_off + have == in->len;
	if (last)
		memset(in->buffer + have, 0, WALK_INPUT_PADDING);
	set_window(in, in->buffer, have, last);
	return BLOCKZ_OK;
}

enum blockz_status walk_input_more(struct walk_input *in, struct blockz_fault *fault)
{
	if (in->last)
		return fault_set(fault, BLOCKZ_DAMAGED, in->start + in->len, "the deflate stream ends within a block");
	if (in->memory == NULL)
		return read_more(in, fault);
	size_t rest = keep_rest(in, in->tail);
	memset(in->tail + rest, 0, sizeof(in->tail) - rest);
	set_window(in, in->tail, rest, true);
	return BLOCKZ_OK;
}

/* Of a source: what is wanted next, from that byte of the input on, is not read yet. */
static void empty_window(struct walk_input *in, uint64_t off)
{
	in->window_off = off;
	in->next = 0;
	in->read_len = FIRST_READ;
	set_window(in, in->buffer, 0, false);
}

void walk_input_skip(struct walk_input *in, uint64_t n)
{
	unsigned loaded = in->count / 8;
	if (n <= loaded) {
		in->bits >>= n * 8;
		in->count -= (unsigned)n * 8;
		return;
	}
	n -= loaded;
	in->bits = 0;
	in->count = 0;
	if (n <= in->window_len - in->next) {
		in->next += (size_t)n;
		return;
	}
	/* Only a source has input outside its window. */
	empty_window(in, in->window_off + in->next + n);
}

enum blockz_status walk_input_seek(struct walk_input *in, uint64_t bit, struct blockz_fault *fault)
{
	uint64_t byte = bit / 8;
	in->bits = 0;
	in->count = 0;
	if (byte >= in->window_off && byte - in->window_off <= in->window_len)
		in->next = (size_t)(byte - in->window_off);
	else
		empty_window(in, byte);
	if (bit % 8 == 0)
		return BLOCKZ_OK;
	enum blockz_status status = walk_input_fill(in, fault);
	if (status == BLOCKZ_OK)
		walk_input_take(in, bit % 8);
	return status;
}
