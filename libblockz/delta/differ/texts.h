/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Two texts.  A diagonal is what is added to an offset in the new
 * text to get one in the old, modulo SIZE_MAX + 1.
 */
#ifndef DELTA_DIFFER_TEXTS_H
#define DELTA_DIFFER_TEXTS_H

#include <stddef.h>
#include <stdint.h>

#include "base/equal.h"

struct texts {
	const uint8_t *old, *new;
	size_t old_len, new_len;
};

#endif
