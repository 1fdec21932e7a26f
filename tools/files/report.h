/* SPDX-License-Identifier: BSD-3-Clause */
/* What writers and verifiers say at the end about a compressed file, and about the files beside it. */
#ifndef FILES_REPORT_H
#define FILES_REPORT_H

#include <jansson.h>

#include "blockz.h"
#include "files/digest.h"

struct report {
	const char *path; /* "-": a stream, which has no name and nothing beside it */
	uint64_t size, image_size;
	bool edited;      /* its content has just been changed */
	const char *renewed; /* a file beside it that was changed with it; NULL: none */
	char sha256[DIGEST_HEX], image_sha256[DIGEST_HEX]; /* "": not known, left out */
};

/*
 * Takes the SHA-256 of the file, and with map that of the image too.  Errors: BLOCKZ_FAILED, and those of
 * blockz_extract().
 */
enum blockz_status report_digests(struct report *report, const struct blockz_source *file,
				  const struct blockz_map *map, const struct blockz_work *work,
				  struct blockz_fault *fault);

/*
 * {"path", "size", "sha256", "image_size", "image_sha256", "stale"}, for a tool to add to.  path is null for a stream.
 * NULL: no memory.
 */
json_t *report_json(const struct report *report);

/*
 * An array of the files beside path that speak of it and no longer fit: signatures, digests, block maps of the file or
 * its image; all that are there if edited, else those that are older than it.  renewed: the one that does (NULL: none).
 * NULL: no memory.
 */
json_t *report_stale(const char *path, bool edited, const char *renewed);

#endif
