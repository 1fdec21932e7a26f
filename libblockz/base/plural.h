/* SPDX-License-Identifier: BSD-3-Clause */
/* Nouns in messages. */
#ifndef BASE_PLURAL_H
#define BASE_PLURAL_H

#include <stdint.h>

/* What stands behind a noun that is counted: "piece%s". */
static inline const char *plural(uint64_t count)
{
	return count == 1 ? "" : "s";
}

#endif
