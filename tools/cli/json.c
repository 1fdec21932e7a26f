/* SPDX-License-Identifier: BSD-3-Clause */
/* Names that are no UTF-8 become arrays; characters that are not seen become escapes. */
#include "cli/json.h"

#include <inttypes.h>
#include <stdlib.h>

#include "cli/fault.h"
#include "cli/stream.h"
#include "cli/unicode.h"

json_t *json_name(const char *name)
{
	json_t *string = json_string(name);
	json_t *bytes = string == NULL ? json_array() : NULL;
	for (; bytes != NULL && *name != '\0'; name++) {
		if (json_array_append_new(bytes, json_integer((unsigned char)*name)) == 0)
			continue;
		json_decref(bytes);
		bytes = NULL;
	}
	return string != NULL ? string : bytes;
}

json_t *json_path(const char *path)
{
	return is_stream(path) ? json_null() : json_name(path);
}

json_t *json_message(const char *text)
{
	char *escaped = escape(text);
	json_t *string = escaped != NULL ? json_string(escaped) : NULL;
	free(escaped);
	return string;
}

/* A character behind U+FFFF is written as the two surrogates of UTF-16. */
static void print_code(FILE *out, uint32_t code)
{
	if (code > 0xffff)
		fprintf(out, "\\u%04" PRIx32 "\\u%04" PRIx32, 0xd800 + ((code - 0x10000) >> 10), 0xdc00 + (code & 0x3ff));
	else
		fprintf(out, "\\u%04" PRIx32, code);
}

bool json_print(FILE *out, const json_t *value, size_t flags)
{
	char *text = value != NULL ? json_dumps(value, flags | JSON_PRESERVE_ORDER) : NULL;
	for (const char *at = text; at != NULL && *at != '\0';) {
		uint32_t code = 0;
		size_t len = unicode_decode(at, &code);
		if (unicode_is_visible(code))
			fwrite(at, 1, len, out);
		else
			print_code(out, code);
		at += len;
	}
	free(text);
	return text != NULL;
}

json_t *json_bytes(uint64_t value)
{
	return value == BLOCKZ_UNKNOWN ? json_null() : json_integer((json_int_t)value);
}

json_t *json_index(enum blockz_index index)
{
	static const char *const names[] = {
		[BLOCKZ_INDEX_NONE] = "none", [BLOCKZ_INDEX_HEADER] = "header", [BLOCKZ_INDEX_TRAILER] = "trailer",
	};
	return json_string(names[index]);
}
