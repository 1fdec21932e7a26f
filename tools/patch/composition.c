/* SPDX-License-Identifier: BSD-3-Clause */
/* Compositions as data, and written down part by part, so that no tree of them is built. */
#include "patch/composition.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/fault.h"
#include "cli/json.h"

void composition_free(struct composition *composition)
{
	free(composition->parts);
	free(composition->literals);
	*composition = (struct composition){ 0 };
}

/* Memory for `more` behind the first count, twice as much each time that it is full. */
static void *grow(void *items, size_t count, size_t more, size_t size)
{
	size_t room = 64, wanted = count + more;
	while (room < count)
		room *= 2;
	if (items != NULL && wanted <= room)
		return items;
	while (room < wanted)
		room *= 2;
	return reallocarray(items, room, size);
}

enum blockz_status composition_add(struct composition *composition, const struct composition_part *part,
				   struct blockz_fault *fault)
{
	if (composition->count == COMPOSITION_PARTS_MAX)
		return tool_fault(fault, BLOCKZ_LIMIT, "a composition has at most %d parts", COMPOSITION_PARTS_MAX);
	struct composition_part *parts = grow(composition->parts, composition->count, 1, sizeof(*parts));
	if (parts == NULL)
		return tool_fault_errno(fault, ENOMEM, "composition");
	composition->parts = parts;
	parts[composition->count++] = *part;
	if (part->from != COMPOSITION_VERBATIM)
		composition->new_bytes += part->len;
	return BLOCKZ_OK;
}

enum blockz_status composition_add_literal(struct composition *composition, const void *bytes, size_t len,
					   struct blockz_fault *fault)
{
	uint8_t *literals = grow(composition->literals, composition->literals_len, len, 1);
	if (literals == NULL)
		return tool_fault_errno(fault, ENOMEM, "composition");
	composition->literals = literals;
	memcpy(literals + composition->literals_len, bytes, len);
	composition->literals_len += len;
	return BLOCKZ_OK;
}

/* ---- JSON */

static void put_file(FILE *out, const char *name, const struct composition_file *file)
{
	fprintf(out, " \"%s\": {\"size\": %" PRIu64 ", \"sha256\": \"%s\"},\n", name, file->size, file->sha256);
}

/* False: no memory. */
static bool put_side(FILE *out, const char *side)
{
	json_t *name = json_name(side);
	fputs(" \"side\": {\"name\": ", out);
	bool is_put = json_print(out, name, JSON_ENCODE_ANY);
	json_decref(name);
	fputs("},\n", out);
	return is_put;
}

static void put_literal(FILE *out, const uint8_t *bytes, size_t len)
{
	enum { STEP = 48 }; /* a multiple of three, so that no padding stands before the end */
	unsigned char text[STEP / 3 * 4 + 1];
	fputs("{\"literal\": \"", out);
	for (size_t part; len > 0; bytes += part, len -= part) {
		part = len < STEP ? len : STEP;
		fwrite(text, 1, (size_t)EVP_EncodeBlock(text, bytes, (int)part), out);
	}
	fputs("\"}", out);
}

static void put_part(FILE *out, const struct composition *composition, const struct composition_part *part)
{
	if (part->from == COMPOSITION_LITERAL)
		put_literal(out, composition->literals + part->off, (size_t)part->len);
	else if (part->from == COMPOSITION_SIDE)
		fprintf(out, "{\"side\": [%" PRIu64 ", %" PRIu64 "], \"sha256\": \"%s\"}", part->off, part->len, part->sha256);
	else
		fprintf(out, "{\"verbatim\": [%" PRIu64 ", %" PRIu64 "]}", part->off, part->len);
}

static bool put_all(FILE *out, const struct composition *composition, const char *side)
{
	fputs("{\"version\": 1,\n", out);
	put_file(out, "base", &composition->base);
	put_file(out, "result", &composition->result);
	if (composition->has_side && !put_side(out, side))
		return false;
	fputs(" \"parts\": [", out);
	for (size_t i = 0; i < composition->count; i++) {
		fputs(i == 0 ? "\n  " : ",\n  ", out);
		put_part(out, composition, &composition->parts[i]);
	}
	fputs("\n ]}\n", out);
	return true;
}

enum blockz_status composition_write(const struct composition *composition, const char *side, int fd, struct blockz_fault *fault)
{
	int copy = dup(fd);
	FILE *out = copy >= 0 ? fdopen(copy, "w") : NULL;
	int error = errno;
	if (out == NULL) {
		if (copy >= 0)
			close(copy);
		return tool_fault_errno(fault, error, "write");
	}
	error = put_all(out, composition, side) ? 0 : ENOMEM;
	if (ferror(out))
		error = EIO;
	if (fclose(out) != 0)
		error = errno;
	return error != 0 ? tool_fault_errno(fault, error, "write") : BLOCKZ_OK;
}
