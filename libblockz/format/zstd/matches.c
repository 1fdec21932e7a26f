/* SPDX-License-Identifier: BSD-3-Clause */
/* A match is as good as the text that it copies: it is compared with the one that is there now. */
#include "format/zstd/matches.h"

#include "base/checked.h"
#include "base/equal.h"

enum { PART_MIN = 6 }; /* what is left of a match is not worth a sequence below this */

/* How many bytes of the text from `at` on, at most max, are those that stand an offset before them. */
static size_t equal_before(const struct text_place *place, size_t at, size_t offset, size_t max)
{
	const struct text_window *window = place->window;
	const uint8_t *text = place->text.bytes;
	size_t len = 0;
	while (len < max && offset > at + len) {
		size_t back = offset - (at + len);
		if (back > window->len)
			return len;
		size_t start = (window->pos + window->size - back) % window->size;
		size_t part = (size_t)min(min(back, window->size - start), max - len);
		size_t equal = equal_ahead(text + at + len, window->ring.bytes + start, part);
		len += equal;
		if (equal < part)
			return len;
	}
	return len < max ? len + equal_ahead(text + at + len, text + at + len - offset, max - len) : len;
}

static bool meets_difference(const struct text_place *place, uint64_t start, size_t len)
{
	return start < place->differing.end && start + len > place->differing.start;
}

/* A match, its text being at `at`, that may have to do with what has changed. */
static bool may_differ(const struct text_place *place, size_t at, const struct sequence *sequence)
{
	uint64_t start = place->text.start + at;
	return meets_difference(place, start, sequence->match) || sequence->offset > start ||
	       meets_difference(place, start - sequence->offset, sequence->match);
}

static bool holds(const struct text_place *place, size_t at, const struct sequence *sequence)
{
	return sequence->offset > 0 && (!may_differ(place, at, sequence) ||
					equal_before(place, at, sequence->offset, sequence->match) == sequence->match);
}

bool matches_hold(const struct text_place *place, const struct sequence *sequences, size_t count)
{
	size_t at = 0;
	for (size_t i = 0; i < count; i++) {
		at += sequences[i].literals;
		if (!holds(place, at, &sequences[i]))
			return false;
		at += sequences[i].match;
	}
	return true;
}

/* The parts of a match, at `at`, that are still good.  *pos: up to here the text is in sequences, or will be in these. */
static size_t cut(const struct text_place *place, size_t at, const struct sequence *sequence, size_t *pos,
		  struct sequence *parts)
{
	size_t count = 0, len = 0;
	for (size_t done = 0; done < sequence->match; done += len + 1) {
		len = equal_before(place, at + done, sequence->offset, sequence->match - done);
		if (len < PART_MIN)
			continue;
		bool is_first = done == 0;
		parts[count++] = (struct sequence){
			.literals = (uint32_t)(at + done - *pos),
			.match = (uint32_t)len,
			.offset = sequence->offset,
			.value = is_first ? sequence->value : 0,
			.own_literals = is_first ? sequence->own_literals : 0,
		};
		*pos = at + done + len;
	}
	return count;
}

size_t matches_repair(const struct text_place *place, const struct sequence *sequences, size_t count,
		      struct sequence *repaired)
{
	size_t repaired_count = 0, at = 0, pos = 0;
	for (size_t i = 0; i < count; i++) {
		const struct sequence *sequence = &sequences[i];
		at += sequence->literals;
		if (holds(place, at, sequence)) {
			struct sequence *whole = &repaired[repaired_count++];
			*whole = *sequence;
			whole->literals = (uint32_t)(at - pos);
			pos = at + sequence->match;
		} else if (sequence->offset > 0) {
			repaired_count += cut(place, at, sequence, &pos, repaired + repaired_count);
		}
		at += sequence->match;
	}
	return repaired_count;
}

