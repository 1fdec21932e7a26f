/* SPDX-License-Identifier: BSD-3-Clause */
/* An index of an old text, as the sweep sees it: one question, which each kind of index answers in its way. */
#ifndef DELTA_DIFFER_FINDER_H
#define DELTA_DIFFER_FINDER_H

#include "delta/differ/texts.h"

struct finder {
	const void *index;
	/*
	 * The length of a run of the old text equal to the new text from new_off, up to new_end at most, and its place;
	 * 0: none of min_len or more was found.  Of equally long ones that is best which is near old_hint.
	 */
	size_t (*find)(const void *index, const struct texts *texts, size_t new_off, size_t new_end, size_t old_hint,
		       size_t *old_off_ret);
	size_t min_len;
	size_t min_gain; /* so many more bytes must be equal than are cheap on the diagonal before */
};

#endif
