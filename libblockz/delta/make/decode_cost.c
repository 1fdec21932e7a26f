/* SPDX-License-Identifier: BSD-3-Clause */
#include "delta/make/decode_cost.h"

#include <stdlib.h>

#include "base/array.h"
#include "base/checked.h"
#include "base/fault.h"
#include "delta/file/client.h"
#include "delta/differ/match.h"
#include "delta/file/old_space.h"

/* Spans of NEW that a client makes at once, as a group, take something of a block of OLD. */
struct visit {
	uint32_t group, span, block; /* the first span */
	size_t stay;  /* the visit that it began with */
	uint64_t len; /* bytes of NEW; then, where a stay begins, those of all its visits */
};

struct seeks {
	const struct text *old, *new;
	const struct matches *matches;
	uint32_t *groups; /* of each span of NEW */
	struct visit *visits; /* in the client's order */
	size_t count;
};

/* ---- Parts of matches ---- */

/* A part of a match within one span of each text. */
struct part {
	struct match match;
	uint32_t span, block; /* of NEW; of OLD, or TEXT_NO_BLOCK, where nothing is decoded */
};

/* Zeros at first. */
struct parts_walk {
	size_t match, span;
	uint64_t done; /* of the match */
};

static uint64_t span_end(const struct text *text, size_t span)
{
	return text->spans[span].text_off + text->spans[span].len;
}

static bool next_part(const struct seeks *seeks, struct parts_walk *walk, struct part *part_ret)
{
	if (walk->match == seeks->matches->count)
		return false;
	struct match match = seeks->matches->items[walk->match];
	match.new_off += walk->done;
	match.old_off += walk->done;
	match.len -= walk->done;
	while (span_end(seeks->new, walk->span) <= match.new_off)
		walk->span++;
	size_t old_span = text_find(seeks->old, match.old_off);
	uint32_t block = seeks->old->spans[old_span].block;
	uint64_t len = min(span_end(seeks->new, walk->span) - match.new_off, span_end(seeks->old, old_span) - match.old_off);
	walk->done += len;
	if (len >= match.len) {
		walk->match++;
		walk->done = 0;
	}
	match.len = min(match.len, len);
	if (block != TEXT_NO_BLOCK && seeks->old->image->blocks.items[block].is_plain)
		block = TEXT_NO_BLOCK;
	*part_ret = (struct part){ match, (uint32_t)walk->span, block };
	return true;
}

/* ---- Visits ---- */

static int compare_visits(const void *a, const void *b)
{
	const struct visit *va = a, *vb = b;
	if (va->group != vb->group)
		return va->group > vb->group ? 1 : -1;
	return (va->block > vb->block) - (va->block < vb->block);
}

static int compare_with_spans(const void *a, const void *b)
{
	const struct visit *va = a, *vb = b;
	int order = compare_visits(a, b);
	return order != 0 ? order : (va->span > vb->span) - (va->span < vb->span);
}

static enum blockz_status make_groups(struct seeks *seeks, struct blockz_fault *fault)
{
	uint64_t len = 0;
	uint32_t group = 0;
	seeks->groups = calloc(seeks->new->count + 1, sizeof(*seeks->groups));
	if (seeks->groups == NULL)
		return fault_nomem(fault);
	for (size_t span = 0, count = 0; span < seeks->new->count; span++) {
		len += seeks->new->spans[span].len;
		if (count == CLIENT_PARTS || (count > 0 && len > CLIENT_PARTS_LEN)) {
			group++;
			count = 0;
			len = seeks->new->spans[span].len;
		}
		count++;
		seeks->groups[span] = group;
	}
	return BLOCKZ_OK;
}

static enum blockz_status list_visits(struct seeks *seeks, struct blockz_fault *fault)
{
	struct parts_walk walk = { 0 };
	struct part part;
	while (next_part(seeks, &walk, &part)) {
		struct visit *last = seeks->count > 0 ? &seeks->visits[seeks->count - 1] : NULL;
		if (part.block == TEXT_NO_BLOCK)
			continue;
		if (last != NULL && last->span == part.span && last->block == part.block) {
			last->len += part.match.len;
			continue;
		}
		struct visit *visits = array_room(seeks->visits, seeks->count, sizeof(*visits));
		if (visits == NULL)
			return fault_nomem(fault);
		seeks->visits = visits;
		visits[seeks->count++] = (struct visit){
			.group = seeks->groups[part.span], .span = part.span, .block = part.block, .len = part.match.len,
		};
	}
	return BLOCKZ_OK;
}

/* The client goes through what a group takes block by block. */
static void order_visits(struct seeks *seeks)
{
	size_t count = 0;
	if (seeks->count > 0)
		qsort(seeks->visits, seeks->count, sizeof(*seeks->visits), compare_with_spans);
	for (size_t i = 0; i < seeks->count; i++) {
		if (count > 0 && compare_visits(&seeks->visits[count - 1], &seeks->visits[i]) == 0)
			seeks->visits[count - 1].len += seeks->visits[i].len;
		else
			seeks->visits[count++] = seeks->visits[i];
	}
	seeks->count = count;
}

static uint32_t block_len(const struct seeks *seeks, size_t block)
{
	return seeks->old->image->blocks.items[block].plain_len;
}

/*
 * The visits are at the same time the list of what the client has, by last use: visit i stands for its block as long as
 * there is none later, and those before `oldest` have been thrown out.
 */
static enum blockz_status find_stays(struct seeks *seeks, struct blockz_fault *fault)
{
	size_t *latest = calloc(seeks->old->image->blocks.count + 1, sizeof(*latest)); /* visit of a block, and 1 */
	uint64_t used = 0;
	if (latest == NULL)
		return fault_nomem(fault);
	for (size_t i = 0, oldest = 0; i < seeks->count; i++) {
		struct visit *visit = &seeks->visits[i];
		size_t before = latest[visit->block];
		if (before > oldest) {
			visit->stay = seeks->visits[before - 1].stay;
			seeks->visits[visit->stay].len += visit->len;
		} else {
			visit->stay = i;
			used += block_len(seeks, visit->block);
		}
		latest[visit->block] = i + 1;
		for (; used > CLIENT_CACHE && oldest < i; oldest++)
			if (latest[seeks->visits[oldest].block] == oldest + 1)
				used -= block_len(seeks, seeks->visits[oldest].block);
	}
	free(latest);
	return BLOCKZ_OK;
}

static enum blockz_status find(struct seeks *seeks, struct blockz_fault *fault)
{
	enum blockz_status status = make_groups(seeks, fault);
	if (status == BLOCKZ_OK)
		status = list_visits(seeks, fault);
	if (status == BLOCKZ_OK) {
		order_visits(seeks);
		status = find_stays(seeks, fault);
	}
	return status;
}

/* ---- What follows from them ---- */

static bool pays(const struct seeks *seeks, const struct part *part)
{
	if (part->block == TEXT_NO_BLOCK)
		return true;
	const struct visit wanted = { .group = seeks->groups[part->span], .block = part->block };
	const struct visit *visit = bsearch(&wanted, seeks->visits, seeks->count, sizeof(wanted), compare_visits);
	return seeks->visits[visit->stay].len >= block_len(seeks, part->block) / SEEKS_DECODED_FOR_A_BYTE;
}

/* What was one match stays one where nothing is given up. */
static bool keep(struct matches *kept, struct match match)
{
	struct match *last = kept->count > 0 ? &kept->items[kept->count - 1] : NULL;
	if (last == NULL || match_end(last) != match.new_off || match_diagonal(last) != match_diagonal(&match))
		return matches_add(kept, match);
	last->len += match.len;
	return true;
}

enum blockz_status seeks_prune(const struct text *old, const struct text *new, struct matches *matches,
			       struct blockz_fault *fault)
{
	struct seeks seeks = { .old = old, .new = new, .matches = matches };
	struct matches kept = { 0 };
	struct parts_walk walk = { 0 };
	struct part part;
	enum blockz_status status = find(&seeks, fault);
	while (status == BLOCKZ_OK && next_part(&seeks, &walk, &part))
		if (pays(&seeks, &part) && !keep(&kept, part.match))
			status = fault_nomem(fault);
	free(seeks.groups);
	free(seeks.visits);
	if (status == BLOCKZ_OK) {
		matches_free(matches);
		*matches = kept;
	} else {
		matches_free(&kept);
	}
	return status;
}

enum blockz_status seeks_count(const struct text *old, const struct text *new, const struct matches *matches,
			       uint64_t *decoded, struct blockz_fault *fault)
{
	struct seeks seeks = { .old = old, .new = new, .matches = matches };
	enum blockz_status status = find(&seeks, fault);
	for (size_t i = 0; i < seeks.count && status == BLOCKZ_OK; i++) {
		uint32_t block = new->spans[seeks.visits[i].span].block;
		if (block != TEXT_NO_BLOCK && seeks.visits[i].stay == i)
			decoded[block] += block_len(&seeks, seeks.visits[i].block);
	}
	free(seeks.groups);
	free(seeks.visits);
	return status;
}
