/* SPDX-License-Identifier: BSD-3-Clause */
/* Estimates are good to a factor of two, so two digits are enough. */
#include "draw/edit_text.h"

#include <stdio.h>

enum { MS = 1000000 };

void time_human(char *buf, size_t len, uint64_t ns)
{
	double ms = (double)ns / MS;
	if (ms < 99.5)
		snprintf(buf, len, "%.0f ms", ms < 1 ? 1 : ms);
	else if (ms < 995)
		snprintf(buf, len, "%.0f0 ms", ms / 10);
	else if (ms < 9950)
		snprintf(buf, len, "%.1f s", ms / 1000);
	else if (ms < 99500)
		snprintf(buf, len, "%.0f s", ms / 1000);
	else
		snprintf(buf, len, "%.0f min", ms / 60000);
}

const char *edit_how_name(enum blockz_edit_how how)
{
	static const char *const names[] = {
		[BLOCKZ_EDIT_RAW] = "raw", [BLOCKZ_EDIT_PIECE] = "piece", [BLOCKZ_EDIT_PART] = "part", [BLOCKZ_EDIT_NONE] = "none",
	};
	return names[how];
}

void edit_text(char *buf, size_t len, const struct blockz_edit_cost *cost)
{
	char time[32];
	time_human(time, sizeof(time), cost->ns);
	if (cost->how == BLOCKZ_EDIT_RAW)
		snprintf(buf, len, "at once");
	else if (cost->how == BLOCKZ_EDIT_NONE)
		snprintf(buf, len, "no");
	else
		snprintf(buf, len, "%s %s", edit_how_name(cost->how), time);
}
