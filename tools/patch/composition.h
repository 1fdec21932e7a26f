/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A composition: what a new file is made of, by parts of an old one, its base, and new bytes.  Whoever follows it need not know
 * what the file is.  blockz-composition(5) has the JSON in which it is written down.
 */
#ifndef PATCH_COMPOSITION_H
#define PATCH_COMPOSITION_H

#include "blockz.h"
#include "files/digest.h"

/* What one may have, so that whoever reads it knows how much memory that takes. */
enum {
	COMPOSITION_PARTS_MAX = 65536,
	COMPOSITION_LITERAL_MAX = 64 << 10,  /* bytes of one literal */
	COMPOSITION_LITERALS_MAX = 16 << 20, /* of all of them: four thirds as much of text */
	COMPOSITION_TEXT_MAX = 32 << 20,     /* of the JSON: room for as many parts and literals, with no blank too many */
};

enum composition_from {
	COMPOSITION_VERBATIM, /* a range of the base */
	COMPOSITION_LITERAL,  /* bytes in the composition */
	COMPOSITION_SIDE,     /* a range of the side file */
};

struct composition_part {
	enum composition_from from;
	uint64_t off, len;       /* in the base, in literals, or in the side file; len is not 0 */
	char sha256[DIGEST_HEX]; /* of bytes of the side file */
};

struct composition_file {
	uint64_t size;
	char sha256[DIGEST_HEX];
};

/* Starts as zeros.  Parts ascend, without overlaps, in the base and in the side file, and make a file of result.size bytes. */
struct composition {
	struct composition_file base, result;
	struct composition_part *parts;
	size_t count;
	uint8_t *literals;
	size_t literals_len;
	uint64_t new_bytes; /* of the result, that do not come from the base */
	bool has_side;
};

/* Fine for zeros, and twice. */
void composition_free(struct composition *composition);

/* Adds a part behind the others.  Errors: BLOCKZ_LIMIT (there are too many), BLOCKZ_FAILED. */
enum blockz_status composition_add(struct composition *composition, const struct composition_part *part,
				   struct blockz_fault *fault);

/* Adds len bytes to the literals.  Errors: BLOCKZ_FAILED. */
enum blockz_status composition_add_literal(struct composition *composition, const void *bytes, size_t len,
					   struct blockz_fault *fault);

/* Writes it as JSON; side: the name of the side file, if it has one.  Errors: BLOCKZ_FAILED. */
enum blockz_status composition_write(const struct composition *composition, const char *side, int fd, struct blockz_fault *fault);

/*
 * Reads one, which may come from anybody; to be freed in any case.  Errors: BLOCKZ_DAMAGED (it is none; which part is wrong, and
 * why), BLOCKZ_UNSUPPORTED (of another version), BLOCKZ_LIMIT, BLOCKZ_FAILED.
 */
enum blockz_status composition_read(struct composition *composition, const struct blockz_source *text, struct blockz_fault *fault);

#endif
