/* SPDX-License-Identifier: BSD-3-Clause */
/* A sweep goes through the gaps between matches, and asks a finder for the runs in them. */
#include "delta/differ/sweep.h"

#include <stdlib.h>

#include "base/checked.h"
#include "base/fault.h"
#include "parallel/pool.h"

enum {
	PART_LEN = 1 << 20, /* of the new text, worked on by one thread */
	RESUME_RUN = 24,    /* equal bytes on the same diagonal that are taken without asking the finder */
	RESUME_MAX = 256,   /* how far ahead they are looked for */
	TAKE_BACK = 64,     /* equal bytes that a match may take from the one before */
	GAIN_LEAST = 28,    /* cheap bytes beyond others that a match of its own must have */
	HOLE_MAX = 64,      /* bytes between two matches on one diagonal that are taken into the match */
};

struct sweep {
	const struct texts *texts;
	const struct finder *finder;
	const struct matches *matches;
	const struct blockz_work *work;
	size_t pos; /* where the next job starts */
	struct matches found;
};

struct job {
	size_t start, end;
	struct matches found;
};

/* Bytes of the new text between two matches, or between a match and the edge of what a job has. */
struct gap {
	size_t start, end;
	bool has_left, has_right; /* matches of this old text that touch it */
	size_t left, right;
};

/* ---- One gap ---- */

struct scan {
	const struct sweep *sweep;
	const struct gap *gap;
	struct matches *found;
	size_t first; /* of found: those before are of other gaps */
	/* The run before pos: on which diagonal, and from where to where bytes are known to be equal. */
	bool has_run;
	size_t diagonal;
	size_t run_end;
};

static size_t old_left(const struct texts *texts, size_t new_off, size_t diagonal)
{
	size_t old_off = new_off + diagonal;
	return old_off < texts->old_len ? texts->old_len - old_off : 0;
}

static bool add(struct scan *scan, size_t start, size_t end, size_t diagonal)
{
	if (start >= end)
		return true;
	struct match *last = &scan->found->items[scan->found->count];
	if (scan->found->count > scan->first && match_end(--last) == start && match_diagonal(last) == diagonal) {
		last->len += end - start;
		return true;
	}
	return matches_add(scan->found, (struct match){ start, start + diagonal, end - start });
}

/* What is between the run before and [start, ...) on a diagonal goes to one, to the other, or to none. */
static bool fill(struct scan *scan, size_t start, bool has_next, size_t next)
{
	const struct texts *texts = scan->sweep->texts;
	size_t begin = scan->has_run ? scan->run_end : scan->gap->start, len = start - begin;
	size_t ahead = scan->has_run ? match_extend_ahead(texts, begin, scan->diagonal, len) : 0;
	size_t behind = has_next ? match_extend_behind(texts, start, next, len) : 0;
	if (ahead + behind > len) {
		size_t from = start - behind, to = begin + ahead;
		ahead = from - begin + match_best_split(texts, from, to, scan->diagonal, next);
		behind = len - ahead;
	}
	return add(scan, begin, begin + ahead, scan->diagonal) && add(scan, start - behind, start, next);
}

/* Equal bytes before start go to the diagonal that starts there, some of the match before included. */
static size_t take_back(struct scan *scan, size_t start, size_t next)
{
	const struct texts *texts = scan->sweep->texts;
	size_t floor = scan->gap->start, run_end = scan->has_run ? scan->run_end : floor;
	if (scan->has_run && run_end - floor > TAKE_BACK)
		floor = run_end - TAKE_BACK;
	size_t max = (size_t)min(start - floor, start + next);
	start -= equal_behind(texts->new + start, texts->old + (start + next), max);
	if (!scan->has_run || start >= scan->run_end)
		return start;
	while (scan->found->count > scan->first) {
		struct match *last = &scan->found->items[scan->found->count - 1];
		if (match_end(last) <= start)
			break;
		if (last->new_off < start) {
			last->len = start - last->new_off;
			break;
		}
		scan->found->count--;
	}
	scan->run_end = start;
	return start;
}

/* The next run on the same diagonal, if it is near: returns its start, or end. */
static size_t find_resumption(const struct scan *scan, size_t pos, size_t *run_end_ret)
{
	const struct texts *texts = scan->sweep->texts;
	size_t end = (size_t)min(scan->gap->end, pos + min(RESUME_MAX, old_left(texts, pos, scan->diagonal)));
	size_t equal = 0;
	for (size_t i = pos; i < end; i++) {
		equal = texts->new[i] == texts->old[i + scan->diagonal] ? equal + 1 : 0;
		if (equal < RESUME_RUN)
			continue;
		size_t max = (size_t)min(scan->gap->end - i, old_left(texts, i, scan->diagonal));
		*run_end_ret = i + equal_ahead(texts->new + i, texts->old + (i + scan->diagonal), max);
		return i + 1 - RESUME_RUN;
	}
	return scan->gap->end;
}

static bool accept(struct scan *scan, size_t start, size_t end, size_t diagonal)
{
	if (!fill(scan, start, true, diagonal) || !add(scan, start, end, diagonal))
		return false;
	scan->has_run = true;
	scan->diagonal = diagonal;
	scan->run_end = end;
	return true;
}

/* Takes a run that the finder found, unless the match before can do as well.  *pos_ret: where to go on. */
static bool weigh(struct scan *scan, size_t pos, size_t old_off, size_t len, size_t *pos_ret)
{
	const struct texts *texts = scan->sweep->texts;
	size_t diagonal = old_off - pos;
	*pos_ret = pos + len;
	if (scan->has_run && diagonal != scan->diagonal &&
	    match_cheap(texts, pos, scan->diagonal, len) + scan->sweep->finder->min_gain > len)
		return true;
	size_t start = scan->has_run && diagonal == scan->diagonal ? pos : take_back(scan, pos, diagonal);
	return accept(scan, start, pos + len, diagonal);
}

static bool scan_gap(const struct sweep *sweep, const struct gap *gap, struct matches *found)
{
	struct scan scan = {
		.sweep = sweep, .gap = gap, .found = found, .first = found->count,
		.has_run = gap->has_left, .diagonal = gap->left, .run_end = gap->start,
	};
	const struct finder *finder = sweep->finder;
	size_t pos = gap->start;
	while (pos < gap->end) {
		size_t run_end = 0, resume = scan.has_run ? find_resumption(&scan, pos, &run_end) : gap->end;
		size_t found_pos = pos, old_off = 0, len = 0;
		for (; found_pos < resume && gap->end - found_pos >= finder->min_len && len == 0; found_pos++)
			len = finder->find(finder->index, sweep->texts, found_pos, gap->end, found_pos + scan.diagonal,
					   &old_off);
		if (len > 0) {
			if (!weigh(&scan, found_pos - 1, old_off, len, &pos))
				return false;
		} else if (resume < gap->end) {
			if (!accept(&scan, resume, run_end, scan.diagonal))
				return false;
			pos = run_end;
		} else {
			pos = gap->end;
		}
	}
	return fill(&scan, gap->end, gap->has_right, gap->right);
}

/* ---- Jobs ---- */

static void job_release(void *memory)
{
	struct job *job = memory;
	matches_free(&job->found);
}

static enum blockz_status take_part(const struct pool_call *call, bool *done_ret)
{
	struct sweep *sweep = call->ctx;
	struct job *job = call->job;
	*done_ret = sweep->pos == sweep->texts->new_len;
	job->start = sweep->pos;
	job->end = sweep->pos + (size_t)min(PART_LEN, sweep->texts->new_len - sweep->pos);
	job->found.count = 0;
	sweep->pos = job->end;
	return BLOCKZ_OK;
}

static bool touches(const struct sweep *sweep, size_t i, size_t new_off)
{
	const struct match *match = &sweep->matches->items[i];
	return match->old_off < sweep->texts->old_len && (match->new_off == new_off || match_end(match) == new_off);
}

static enum blockz_status find_matches(const struct pool_call *call)
{
	const struct sweep *sweep = call->ctx;
	struct job *job = call->job;
	const struct matches *matches = sweep->matches;
	size_t i = matches_first_behind(matches, job->start), pos = job->start;
	while (pos < job->end) {
		bool has_next = i < matches->count && matches->items[i].new_off < job->end;
		struct gap gap = { .start = pos, .end = has_next ? (size_t)matches->items[i].new_off : job->end };
		if (gap.start < gap.end) {
			gap.has_left = i > 0 && touches(sweep, i - 1, gap.start);
			gap.has_right = i < matches->count && touches(sweep, i, gap.end);
			gap.left = gap.has_left ? match_diagonal(&matches->items[i - 1]) : 0;
			gap.right = gap.has_right ? match_diagonal(&matches->items[i]) : 0;
			if (!scan_gap(sweep, &gap, &job->found))
				return fault_nomem(call->fault);
		}
		pos = has_next ? match_end(&matches->items[i++]) : job->end;
	}
	return BLOCKZ_OK;
}

static enum blockz_status add_matches(const struct pool_call *call)
{
	struct sweep *sweep = call->ctx;
	const struct job *job = call->job;
	for (size_t i = 0; i < job->found.count; i++)
		if (!matches_add(&sweep->found, job->found.items[i]))
			return fault_nomem(call->fault);
	return pool_progress(sweep->work, job->end, job->end, call->fault);
}

/* ---- Joining ---- */

/* What is in another old text, or goes on in one, was found there. */
static bool is_worth_it(const struct texts *texts, const struct match *match)
{
	if (match->old_off >= texts->old_len || match->len > texts->old_len - match->old_off)
		return true;
	size_t len = (size_t)min(match->len, 4 * GAIN_LEAST);
	return 2 * match_cheap(texts, (size_t)match->new_off, match_diagonal(match), len) >= len + GAIN_LEAST;
}

static bool join(const struct sweep *sweep, const struct match *match, struct matches *joined)
{
	struct match *last = joined->count == 0 ? NULL : &joined->items[joined->count - 1];
	size_t old_len = sweep->texts->old_len;
	if (last != NULL && last->old_off < old_len && match->old_off < old_len &&
	    match_diagonal(last) == match_diagonal(match) && match->new_off - match_end(last) <= HOLE_MAX) {
		last->len = match_end(match) - last->new_off;
		return true;
	}
	if (last != NULL && !is_worth_it(sweep->texts, last))
		joined->count--;
	return matches_add(joined, *match);
}

/* Both lists in order, what is on one diagonal joined and what is not worth it left out. */
static bool merge(const struct sweep *sweep, struct matches *joined)
{
	const struct matches *a = sweep->matches, *b = &sweep->found;
	for (size_t i = 0, j = 0; i < a->count || j < b->count;) {
		bool take_a = j == b->count || (i < a->count && a->items[i].new_off < b->items[j].new_off);
		if (!join(sweep, take_a ? &a->items[i++] : &b->items[j++], joined))
			return false;
	}
	if (joined->count > 0 && !is_worth_it(sweep->texts, &joined->items[joined->count - 1]))
		joined->count--;
	return true;
}

enum blockz_status sweep(const struct texts *texts, const struct finder *finder, const struct blockz_work *work_options,
			 struct matches *matches, struct blockz_fault *fault)
{
	struct sweep self = { .texts = texts, .finder = finder, .matches = matches, .work = work_options };
	const struct pool_jobs jobs = {
		.ctx = &self, .job_size = sizeof(struct job), .job_release = job_release,
		.take = take_part, .work = find_matches, .give = add_matches,
	};
	struct matches joined = { 0 };
	enum blockz_status status = pool_run(&jobs, work_options->threads, fault);
	if (status == BLOCKZ_OK && !merge(&self, &joined))
		status = fault_nomem(fault);
	matches_free(&self.found);
	if (status != BLOCKZ_OK) {
		matches_free(&joined);
		return status;
	}
	matches_free(matches);
	*matches = joined;
	return BLOCKZ_OK;
}
