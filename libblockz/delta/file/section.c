/* SPDX-License-Identifier: BSD-3-Clause */
/* The memory of a section. */
#include <stdlib.h>

#include "delta/file/delta.h"

void section_free(struct section *section)
{
	free(section->ops);
	free(section->blocks);
	free(section->diff);
	free(section->extra);
	free(section->packed);
	*section = (struct section){ 0 };
}
