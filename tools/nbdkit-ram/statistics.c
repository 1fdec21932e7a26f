/* SPDX-License-Identifier: BSD-3-Clause */
/* Two lines, of what is held and of what was done. */
#include "statistics.h"

#include <inttypes.h>

#include "blockz_pages.h"
#include "cli/size.h"
#include "say.h"

struct text {
	char of[32];
};

static struct text size(uint64_t bytes)
{
	struct text text;
	size_human(text.of, sizeof(text.of), bytes);
	return text;
}

static double share(uint64_t part, uint64_t whole, double scale)
{
	return whole > 0 ? scale * (double)part / (double)whole : 0;
}

void statistics_say(struct blockz_pages *pages)
{
	struct blockz_pages_info info = blockz_pages_info(pages);
	uint64_t held = info.compressed_pages + info.raw_pages, logical = held * info.page_size;
	say("disk of %s: %s kept in %s (%.2f : 1); memory %s, %s at most", size(info.size).of,
	    size(logical).of, size(info.stored_bytes).of, share(logical, info.stored_bytes, 1), size(info.memory_bytes).of,
	    size(info.memory_peak_bytes).of);
	say("pages of %s: %" PRIu64 " compressed, %" PRIu64 " raw; %s waiting; %" PRIu64 " read, %.0f %% at hand; %" PRIu64
	    " written, %.0f %% waiting already", size(info.page_size).of, info.compressed_pages, info.raw_pages,
	    size(info.waiting_bytes).of, info.reads, share(info.read_hits, info.reads, 100), info.writes,
	    share(info.write_hits, info.writes, 100));
}
