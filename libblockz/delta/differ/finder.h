/* SPDX-License-Identifier: BSD-3-Clause */
/* An index of an old text, as the sweep sees it. */
#ifndef DELTA_DIFFER_FINDER_H
#define DELTA_DIFFER_FINDER_H

#include "delta/differ/texts.h"

struct finder {
	const void *index;
	/*
	 * The offset in the old text of a run equal to what is in the new text at new_off, and its length up to new_end at
	 * most; 0: none of min_len or more was found.  Of equals that one is best which is near old_hint.
	 */
	size_t (*find)(const void *index, const struct texts *texts, size_t new_off, size_t new_end, size_t old_hint,
		       size_t *old_off_ret);
	size_t min_len;
	size_t min_gain; /* by so many bytes more must be equal than on the diagonal of the match before */
};

#endif
