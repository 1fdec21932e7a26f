/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reading a composition, which may come from anybody.  How many values a text of JSON can have is known before it is parsed:
 * each but the first stands behind a bracket, or behind a comma.
 */
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "cli/fault.h"
#include "patch/composition.h"

/* A part has at most five of these, and what stands around the parts, with the bytes of a name, fewer than a thousand. */
enum { MARKS_MAX = 5 * COMPOSITION_PARTS_MAX + 1000 };

/* What is being read, and where its parts have come to. */
struct reading {
	struct composition *composition;
	uint64_t base_end, side_end, size;
	size_t index; /* of the part */
	struct blockz_fault *fault;
};

/* ---- Text */

static enum blockz_status check_marks(const char *text, size_t len, struct blockz_fault *fault)
{
	size_t marks = 0;
	for (size_t i = 0; i < len; i++)
		marks += text[i] == '{' || text[i] == '[' || text[i] == ',';
	return marks <= MARKS_MAX ? BLOCKZ_OK
				  : tool_fault(fault, BLOCKZ_LIMIT, "is more than a composition of %d parts, the most there may be, can be",
					       COMPOSITION_PARTS_MAX);
}

static enum blockz_status parse(const char *text, size_t len, json_t **root_ret, struct blockz_fault *fault)
{
	json_error_t why;
	enum blockz_status status = check_marks(text, len, fault);
	if (status != BLOCKZ_OK)
		return status;
	*root_ret = json_loadb(text, len, JSON_REJECT_DUPLICATES, &why);
	if (*root_ret == NULL)
		return tool_fault(fault, BLOCKZ_DAMAGED, "line %d: %s", why.line, why.text);
	return BLOCKZ_OK;
}

static enum blockz_status load(const struct blockz_source *source, json_t **root_ret, struct blockz_fault *fault)
{
	size_t len = 0, room = source->size <= COMPOSITION_TEXT_MAX ? (size_t)source->size + 1 : COMPOSITION_TEXT_MAX + 1;
	char *text = malloc(room);
	if (text == NULL)
		return tool_fault_errno(fault, ENOMEM, "composition");
	int error = source->ops->read(source->ctx, text, room, 0, &len);
	enum blockz_status status = error != 0 ? tool_fault_errno(fault, error, "read") : BLOCKZ_OK;
	if (status == BLOCKZ_OK && len > COMPOSITION_TEXT_MAX)
		status = tool_fault(fault, BLOCKZ_LIMIT, "is longer than %d bytes", COMPOSITION_TEXT_MAX);
	if (status == BLOCKZ_OK)
		status = parse(text, len, root_ret, fault);
	free(text);
	return status;
}

/* ---- Parts */

static enum blockz_status refuse_part(const struct reading *self, const char *what)
{
	return tool_fault(self->fault, BLOCKZ_DAMAGED, "parts[%zu]: %s", self->index, what);
}

static bool take_digest(char sha256_ret[DIGEST_HEX], const char *text)
{
	if (strlen(text) != DIGEST_HEX - 1 || strspn(text, "0123456789abcdef") != DIGEST_HEX - 1)
		return false;
	memcpy(sha256_ret, text, DIGEST_HEX);
	return true;
}

/* A range that stands behind the one before it in the same file, which ended at *end. */
static enum blockz_status take_range(struct reading *self, struct composition_part *part, json_int_t off, json_int_t len,
				     uint64_t *end)
{
	if (off < 0 || len <= 0)
		return refuse_part(self, "expected an offset of at least 0, and a length of at least 1");
	if (off > INT64_MAX - len)
		return refuse_part(self, "it ends behind 2^63");
	if ((uint64_t)off < *end)
		return refuse_part(self, "it begins before the end of the part before it of the same file");
	part->off = (uint64_t)off;
	part->len = (uint64_t)len;
	*end = part->off + part->len;
	return BLOCKZ_OK;
}

static enum blockz_status take_verbatim(struct reading *self, json_t *object, struct composition_part *part)
{
	json_int_t off, len;
	if (json_unpack_ex(object, NULL, JSON_STRICT, "{s:[I,I]}", "verbatim", &off, &len) != 0)
		return refuse_part(self, "expected {\"verbatim\": [OFFSET, LENGTH]}");
	part->from = COMPOSITION_VERBATIM;
	enum blockz_status status = take_range(self, part, off, len, &self->base_end);
	if (status == BLOCKZ_OK && self->base_end > self->composition->base.size)
		return refuse_part(self, "it ends behind the base");
	return status;
}

static enum blockz_status take_side(struct reading *self, json_t *object, struct composition_part *part)
{
	json_int_t off, len;
	const char *sha256;
	if (json_unpack_ex(object, NULL, JSON_STRICT, "{s:[I,I], s:s}", "side", &off, &len, "sha256", &sha256) != 0 ||
	    !take_digest(part->sha256, sha256))
		return refuse_part(self, "expected {\"side\": [OFFSET, LENGTH], \"sha256\": \"64 digits\"}");
	if (!self->composition->has_side)
		return refuse_part(self, "it is of a side file, and the composition names none");
	part->from = COMPOSITION_SIDE;
	return take_range(self, part, off, len, &self->side_end);
}

/* The length that a text in base64 decodes to, padding and all; 0: it is none. */
static size_t decoded_len(const char *text, size_t len)
{
	if (len == 0 || len % 4 != 0)
		return 0;
	return len / 4 * 3 - (text[len - 1] == '=') - (text[len - 2] == '=');
}

/* One text alone stands for some bytes: that which they are encoded to. */
static bool decode(const char *text, size_t text_len, uint8_t *bytes_ret)
{
	char again[COMPOSITION_LITERAL_MAX / 3 * 4 + 8];
	if (EVP_DecodeBlock(bytes_ret, (const unsigned char *)text, (int)text_len) < 0)
		return false;
	int len = EVP_EncodeBlock((unsigned char *)again, bytes_ret, (int)decoded_len(text, text_len));
	return (size_t)len == text_len && memcmp(again, text, text_len) == 0;
}

static enum blockz_status take_literal(struct reading *self, json_t *object, struct composition_part *part)
{
	uint8_t bytes[COMPOSITION_LITERAL_MAX + 3];
	const char *text;
	size_t text_len;
	if (json_unpack_ex(object, NULL, JSON_STRICT, "{s:s%}", "literal", &text, &text_len) != 0)
		return refuse_part(self, "expected {\"literal\": \"base64\"}");
	size_t len = decoded_len(text, text_len);
	if (len > COMPOSITION_LITERAL_MAX || self->composition->literals_len + len > COMPOSITION_LITERALS_MAX)
		return tool_fault(self->fault, BLOCKZ_LIMIT, "parts[%zu]: a literal has at most %d bytes, and all have %d", self->index,
				  COMPOSITION_LITERAL_MAX, COMPOSITION_LITERALS_MAX);
	if (len == 0 || !decode(text, text_len, bytes))
		return refuse_part(self, "expected bytes in base64, with its padding and without blanks");
	*part = (struct composition_part){ .from = COMPOSITION_LITERAL, .off = self->composition->literals_len, .len = len };
	return composition_add_literal(self->composition, bytes, len, self->fault);
}

static enum blockz_status take_part(struct reading *self, json_t *object)
{
	struct composition_part part = { 0 };
	enum blockz_status status;
	if (json_object_get(object, "verbatim") != NULL)
		status = take_verbatim(self, object, &part);
	else if (json_object_get(object, "literal") != NULL)
		status = take_literal(self, object, &part);
	else if (json_object_get(object, "side") != NULL)
		status = take_side(self, object, &part);
	else
		status = refuse_part(self, "expected an object with \"verbatim\", \"literal\" or \"side\"");
	if (status != BLOCKZ_OK)
		return status;
	if (part.len > self->composition->result.size - self->size)
		return refuse_part(self, "with it the result would be longer than it says that it is");
	self->size += part.len;
	return composition_add(self->composition, &part, self->fault);
}

static enum blockz_status take_parts(struct reading *self, json_t *parts)
{
	json_t *object;
	if (!json_is_array(parts))
		return tool_fault(self->fault, BLOCKZ_DAMAGED, "parts: expected an array");
	json_array_foreach(parts, self->index, object) {
		enum blockz_status status = take_part(self, object);
		if (status != BLOCKZ_OK)
			return status;
	}
	if (self->size != self->composition->result.size)
		return tool_fault(self->fault, BLOCKZ_DAMAGED, "the parts have %" PRIu64 " bytes, expected %" PRIu64, self->size,
				  self->composition->result.size);
	return BLOCKZ_OK;
}

/* ---- What stands around them */

static enum blockz_status take_file(const char *name, json_int_t size, const char *sha256, struct composition_file *file_ret,
				    struct blockz_fault *fault)
{
	if (size < 0)
		return tool_fault(fault, BLOCKZ_DAMAGED, "%s: expected a size of at least 0", name);
	file_ret->size = (uint64_t)size;
	if (!take_digest(file_ret->sha256, sha256))
		return tool_fault(fault, BLOCKZ_DAMAGED, "%s: expected a SHA-256 of 64 digits", name);
	return BLOCKZ_OK;
}

static enum blockz_status check_version(const json_t *root, struct blockz_fault *fault)
{
	const json_t *version = json_object_get(root, "version");
	if (!json_is_integer(version))
		return tool_fault(fault, BLOCKZ_DAMAGED, "is no composition: it has no version");
	if (json_integer_value(version) != 1)
		return tool_fault(fault, BLOCKZ_UNSUPPORTED, "version %" JSON_INTEGER_FORMAT ", expected 1", json_integer_value(version));
	return BLOCKZ_OK;
}

static enum blockz_status take_all(struct reading *self, json_t *root)
{
	static const char form[] = "{s:i, s:{s:I, s:s}, s:{s:I, s:s}, s?{s:o}, s:o}";
	struct composition *composition = self->composition;
	json_error_t why;
	json_int_t base_size, result_size;
	const char *base, *result;
	json_t *side = NULL, *parts;
	int version;
	enum blockz_status status = check_version(root, self->fault);
	if (status != BLOCKZ_OK)
		return status;
	if (json_unpack_ex(root, &why, JSON_STRICT, form, "version", &version, "base", "size", &base_size, "sha256", &base, "result",
			   "size", &result_size, "sha256", &result, "side", "name", &side, "parts", &parts) != 0)
		return tool_fault(self->fault, BLOCKZ_DAMAGED, "is no composition: %s", why.text);
	composition->has_side = side != NULL;
	status = take_file("base", base_size, base, &composition->base, self->fault);
	if (status == BLOCKZ_OK)
		status = take_file("result", result_size, result, &composition->result, self->fault);
	return status == BLOCKZ_OK ? take_parts(self, parts) : status;
}

enum blockz_status composition_read(struct composition *composition, const struct blockz_source *text, struct blockz_fault *fault)
{
	struct reading self = { .composition = composition, .fault = fault };
	json_t *root = NULL;
	*composition = (struct composition){ 0 };
	enum blockz_status status = load(text, &root, fault);
	if (status == BLOCKZ_OK)
		status = take_all(&self, root);
	json_decref(root);
	return status;
}
