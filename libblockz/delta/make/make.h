/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Making a delta: what lives here compares two images and says how one is made of the other.  It calls containers and codecs to
 * take images apart, the differ to compare their texts, and delta/file to write what it finds; of the client it knows the
 * limits in delta/file/client.h alone.  It changes no image, trusts no hash for more than a hint (a delta is believed when it
 * was applied), and what it makes does not depend on threads.
 *
 * A creation has a member for what each stage makes, and frees it.  The stages behind only read that, but for the selection,
 * in which blocks are demoted until their names are chosen.
 */
#ifndef DELTA_MAKE_MAKE_H
#define DELTA_MAKE_MAKE_H

#include "delta/make/findings.h"
#include "delta/make/image.h"
#include "delta/make/memory_budget.h"
#include "delta/make/names.h"
#include "delta/make/selection.h"
#include "delta/make/stages.h"
#include "delta/make/windows.h"

struct creation {
	/* The caller's. */
	const struct blockz_delta_options *options;
	struct codec_env env;
	const struct blockz_source *files[2]; /* OLD, NEW, and so the images */
	const struct blockz_sink *sink;
	struct blockz_delta_result *result;
	struct stages stages; /* what the caller is told of all stages, and the threads that each gets */

	struct image images[2];       /* read_images() */
	struct selection selection;   /* find_equal_blocks(), choose_open_blocks() */
	struct memory_budget budget;  /* share_memory() */
	struct findings findings;     /* lay_out_texts() to open_old_space() */
	struct windows windows;       /* match_texts() */
	struct writing_share writing; /* match_texts() */
	struct delta_head head;       /* choose_names(), write_delta() */
	struct names names;           /* choose_names() */
};

#endif
