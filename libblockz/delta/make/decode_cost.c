/* SPDX-License-Identifier: BSD-3-Clause */
/* Matches are cut into slices, slices of a group gathered to visits of blocks, and visits to stays, which cost a decoding each. */
#include "delta/make/decode_cost.h"

#include <stdlib.h>

#include "base/array.h"
#include "base/checked.h"
#include "base/fault.h"
#include "delta/file/client.h"
#include "delta/differ/match.h"
#include "delta/file/old_space.h"

/* Parts of NEW that a client makes at once, as a group, take something of a block of OLD. */
struct visit {
	uint32_t group, part, block; /* the first part */
	size_t stay;  /* the visit that it began with */
	uint64_t len; /* bytes of NEW; then, where a stay begins, those of all its visits */
};

/* NEW, as the client makes it, and what it takes of OLD on the way. */
struct journey {
	const struct plain_text *old, *new;
	const struct matches *matches;
	uint32_t *groups; /* of each part of NEW */
	struct visit *visits; /* in the client's order */
	size_t count;
};

/* ---- Slices of matches ---- */

/* A slice of a match: what is within one part of each text. */
struct slice {
	struct match match;
	uint32_t part, block; /* of NEW; of OLD, or TEXT_NO_BLOCK, where nothing is decoded */
};

/* Where the next slice begins; zeros at first. */
struct slices_walk {
	size_t match, part;
	uint64_t done; /* of the match */
};

static uint64_t part_end(const struct plain_text *text, size_t part)
{
	return text->parts[part].text_off + text->parts[part].len;
}

static bool next_slice(const struct journey *journey, struct slices_walk *walk, struct slice *slice_ret)
{
	if (walk->match == journey->matches->count)
		return false;
	struct match match = journey->matches->items[walk->match];
	match.new_off += walk->done;
	match.old_off += walk->done;
	match.len -= walk->done;
	while (part_end(journey->new, walk->part) <= match.new_off)
		walk->part++;
	size_t old_part = plain_text_find(journey->old, match.old_off);
	uint32_t block = journey->old->parts[old_part].block;
	uint64_t len = min(part_end(journey->new, walk->part) - match.new_off, part_end(journey->old, old_part) - match.old_off);
	walk->done += len;
	if (len >= match.len) {
		walk->match++;
		walk->done = 0;
	}
	match.len = min(match.len, len);
	if (block != TEXT_NO_BLOCK && journey->old->image->blocks.items[block].is_plain)
		block = TEXT_NO_BLOCK;
	*slice_ret = (struct slice){ match, (uint32_t)walk->part, block };
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

static int compare_with_parts(const void *a, const void *b)
{
	const struct visit *va = a, *vb = b;
	int order = compare_visits(a, b);
	return order != 0 ? order : (va->part > vb->part) - (va->part < vb->part);
}

static enum blockz_status make_groups(struct journey *journey, struct blockz_fault *fault)
{
	uint64_t len = 0;
	uint32_t group = 0;
	journey->groups = calloc(journey->new->count + 1, sizeof(*journey->groups));
	if (journey->groups == NULL)
		return fault_nomem(fault);
	for (size_t part = 0, count = 0; part < journey->new->count; part++) {
		len += journey->new->parts[part].len;
		if (count == CLIENT_PARTS || (count > 0 && len > CLIENT_PARTS_LEN)) {
			group++;
			count = 0;
			len = journey->new->parts[part].len;
		}
		count++;
		journey->groups[part] = group;
	}
	return BLOCKZ_OK;
}

static enum blockz_status list_visits(struct journey *journey, struct blockz_fault *fault)
{
	struct slices_walk walk = { 0 };
	struct slice slice;
	while (next_slice(journey, &walk, &slice)) {
		struct visit *last = journey->count > 0 ? &journey->visits[journey->count - 1] : NULL;
		if (slice.block == TEXT_NO_BLOCK)
			continue;
		if (last != NULL && last->part == slice.part && last->block == slice.block) {
			last->len += slice.match.len;
			continue;
		}
		struct visit *visits = array_room(journey->visits, journey->count, sizeof(*visits));
		if (visits == NULL)
			return fault_nomem(fault);
		journey->visits = visits;
		visits[journey->count++] = (struct visit){
			.group = journey->groups[slice.part], .part = slice.part, .block = slice.block, .len = slice.match.len,
		};
	}
	return BLOCKZ_OK;
}

/* The client goes through what a group takes block by block. */
static void order_visits(struct journey *journey)
{
	size_t count = 0;
	if (journey->count > 0)
		qsort(journey->visits, journey->count, sizeof(*journey->visits), compare_with_parts);
	for (size_t i = 0; i < journey->count; i++) {
		if (count > 0 && compare_visits(&journey->visits[count - 1], &journey->visits[i]) == 0)
			journey->visits[count - 1].len += journey->visits[i].len;
		else
			journey->visits[count++] = journey->visits[i];
	}
	journey->count = count;
}

static uint32_t block_len(const struct journey *journey, size_t block)
{
	return journey->old->image->blocks.items[block].plain_len;
}

/*
 * The visits are at the same time the list of what the client has, by last use: visit i stands for its block as long as
 * there is none later, and those before `oldest` have been thrown out.
 */
static enum blockz_status find_stays(struct journey *journey, struct blockz_fault *fault)
{
	size_t *latest = calloc(journey->old->image->blocks.count + 1, sizeof(*latest)); /* visit of a block, and 1 */
	uint64_t used = 0;
	if (latest == NULL)
		return fault_nomem(fault);
	for (size_t i = 0, oldest = 0; i < journey->count; i++) {
		struct visit *visit = &journey->visits[i];
		size_t before = latest[visit->block];
		if (before > oldest) {
			visit->stay = journey->visits[before - 1].stay;
			journey->visits[visit->stay].len += visit->len;
		} else {
			visit->stay = i;
			used += block_len(journey, visit->block);
		}
		latest[visit->block] = i + 1;
		for (; used > CLIENT_CACHE && oldest < i; oldest++)
			if (latest[journey->visits[oldest].block] == oldest + 1)
				used -= block_len(journey, journey->visits[oldest].block);
	}
	free(latest);
	return BLOCKZ_OK;
}

static void journey_free(struct journey *journey)
{
	free(journey->groups);
	free(journey->visits);
}

/* Groups, visits and stays; what there is of them is journey_free()'s even after a failure. */
static enum blockz_status follow_client(struct journey *journey, struct blockz_fault *fault)
{
	enum blockz_status status = make_groups(journey, fault);
	if (status != BLOCKZ_OK)
		return status;
	status = list_visits(journey, fault);
	if (status != BLOCKZ_OK)
		return status;
	order_visits(journey);
	return find_stays(journey, fault);
}

/* ---- What follows from them ---- */

static bool pays(const struct journey *journey, const struct slice *slice)
{
	if (slice->block == TEXT_NO_BLOCK)
		return true;
	const struct visit wanted = { .group = journey->groups[slice->part], .block = slice->block };
	const struct visit *visit = bsearch(&wanted, journey->visits, journey->count, sizeof(wanted), compare_visits);
	return journey->visits[visit->stay].len >= block_len(journey, slice->block) / DECODED_FOR_A_BYTE;
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

static enum blockz_status keep_what_pays(const struct journey *journey, struct matches *kept, struct blockz_fault *fault)
{
	struct slices_walk walk = { 0 };
	struct slice slice;
	while (next_slice(journey, &walk, &slice))
		if (pays(journey, &slice) && !keep(kept, slice.match))
			return fault_nomem(fault);
	return BLOCKZ_OK;
}

enum blockz_status decode_cost_prune(const struct plain_text *old, const struct plain_text *new, struct matches *matches,
				     struct blockz_fault *fault)
{
	struct journey journey = { .old = old, .new = new, .matches = matches };
	struct matches kept = { 0 };
	enum blockz_status status = follow_client(&journey, fault);
	if (status == BLOCKZ_OK)
		status = keep_what_pays(&journey, &kept, fault);
	journey_free(&journey);
	if (status != BLOCKZ_OK) {
		matches_free(&kept);
		return status;
	}
	matches_free(matches);
	*matches = kept;
	return BLOCKZ_OK;
}

enum blockz_status decode_cost_count(const struct plain_text *old, const struct plain_text *new, const struct matches *matches,
				     uint64_t *decoded, struct blockz_fault *fault)
{
	struct journey journey = { .old = old, .new = new, .matches = matches };
	enum blockz_status status = follow_client(&journey, fault);
	for (size_t i = 0; i < journey.count && status == BLOCKZ_OK; i++) {
		uint32_t block = new->parts[journey.visits[i].part].block;
		if (block != TEXT_NO_BLOCK && journey.visits[i].stay == i)
			decoded[block] += block_len(&journey, journey.visits[i].block);
	}
	journey_free(&journey);
	return status;
}
