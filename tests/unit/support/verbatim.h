/* SPDX-License-Identifier: BSD-3-Clause */
/* What a plan says of a new file, against that file. */
#ifndef VERBATIM_H
#define VERBATIM_H

#include "memory.h"

/* No byte changes that the plan does not name, as many as it says, and to what it tells of them. */
void assert_verbatim(const struct blockz_plan *plan, struct bytes old, struct bytes new);

#endif
