/* SPDX-License-Identifier: BSD-3-Clause */
/* Fingerprints are compared as text: files of clients are JSON from first to last. */
#include "deltas/encoders.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "blockz_delta.h"
#include "cli/fault.h"
#include "cli/hex.h"

void encoders_hex(const struct blockz_encoder *encoder, char hex_ret[ENCODERS_HEX])
{
	hex_write(hex_ret, encoder->fingerprint, BLOCKZ_FINGERPRINT_LEN);
}

bool encoders_add(json_t *object, const struct blockz_encoder *encoder)
{
	char hex[ENCODERS_HEX];
	encoders_hex(encoder, hex);
	return json_object_set_new(object, encoder->name, json_string(hex)) == 0;
}

/* ---- Those of this machine */

struct collected {
	json_t *object;
	bool failed;
};

static bool collect(void *ctx, const struct blockz_encoder *encoder)
{
	struct collected *collected = ctx;
	collected->failed = !encoders_add(collected->object, encoder);
	return !collected->failed;
}

enum blockz_status encoders_collect(const struct blockz_lzo *lzo, const struct blockz_work *work, json_t **object_ret,
				    struct blockz_fault *fault)
{
	struct collected collected = { .object = json_object() };
	enum blockz_status status = blockz_encoders(lzo, collect, &collected, work, fault);
	if (status == BLOCKZ_OK && collected.failed)
		status = tool_fault_errno(fault, ENOMEM, "encoders");
	if (status == BLOCKZ_OK)
		*object_ret = collected.object;
	else
		json_decref(collected.object);
	return status;
}

/* ---- Files of clients */

static int digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* False: not an encoder. */
static bool parse_encoder(const char *name, const json_t *value, struct blockz_encoder *encoder_ret)
{
	struct blockz_encoder encoder = { 0 };
	const char *hex = json_string_value(value);
	size_t len = strlen(name);
	if (hex == NULL || strlen(hex) != ENCODERS_HEX - 1 || len == 0 || len >= sizeof(encoder.name))
		return false;
	memcpy(encoder.name, name, len);
	for (size_t i = 0; i < BLOCKZ_FINGERPRINT_LEN; i++) {
		int high = digit(hex[2 * i]), low = digit(hex[2 * i + 1]);
		if (high < 0 || low < 0)
			return false;
		encoder.fingerprint[i] = (uint8_t)(high << 4 | low);
	}
	*encoder_ret = encoder;
	return true;
}

static enum blockz_status load_client(const char *path, json_t **root_ret, struct blockz_fault *fault)
{
	enum { ROOM = 1 << 20 };
	json_error_t why;
	FILE *in = fopen(path, "re");
	if (in == NULL)
		return tool_fault_errno(fault, errno, "open");
	enum blockz_status status = BLOCKZ_OK;
	char *text = malloc(ROOM + 1);
	size_t len = text != NULL ? fread(text, 1, ROOM + 1, in) : 0;
	if (text == NULL || ferror(in))
		status = tool_fault_errno(fault, text == NULL ? ENOMEM : EIO, "read");
	else if (len > ROOM)
		status = tool_fault(fault, BLOCKZ_LIMIT, "is larger than 1 MiB");
	json_t *root = status == BLOCKZ_OK ? json_loadb(text, len, JSON_REJECT_DUPLICATES, &why) : NULL;
	if (status == BLOCKZ_OK && root == NULL)
		status = tool_fault(fault, BLOCKZ_DAMAGED, "line %d: %s", why.line, why.text);
	free(text);
	fclose(in);
	if (status == BLOCKZ_OK)
		*root_ret = root;
	return status;
}

static enum blockz_status check_listed(json_t *listed, struct blockz_fault *fault)
{
	const char *name;
	json_t *value;
	struct blockz_encoder encoder;
	if (!json_is_object(listed))
		return tool_fault(fault, BLOCKZ_DAMAGED, "is not what blockz-merge --capabilities prints");
	json_object_foreach(listed, name, value)
		if (!parse_encoder(name, value, &encoder))
			return tool_fault(fault, BLOCKZ_DAMAGED, "'%s' is no encoder with a fingerprint", name);
	return BLOCKZ_OK;
}

static void drop_others(json_t *common, json_t *listed)
{
	const char *name;
	json_t *value;
	void *next;
	json_object_foreach_safe(common, next, name, value)
		if (!json_equal(value, json_object_get(listed, name)))
			json_object_del(common, name);
}

enum blockz_status encoders_read(const char *path, json_t **common_ret, struct blockz_fault *fault)
{
	json_t *root = NULL;
	enum blockz_status status = load_client(path, &root, fault);
	json_t *listed = json_object_get(root, "encoders");
	if (status == BLOCKZ_OK)
		status = check_listed(listed, fault);
	if (status == BLOCKZ_OK && *common_ret == NULL)
		*common_ret = json_incref(listed);
	else if (status == BLOCKZ_OK)
		drop_others(*common_ret, listed);
	json_decref(root);
	return status;
}

enum blockz_status encoders_list(json_t *object, struct blockz_encoder **items_ret, size_t *count_ret,
				 struct blockz_fault *fault)
{
	size_t count = 0, room = json_object_size(object);
	struct blockz_encoder *items = room > 0 ? calloc(room, sizeof(*items)) : NULL;
	const char *name;
	json_t *value;
	if (room > 0 && items == NULL)
		return tool_fault_errno(fault, ENOMEM, "encoders");
	json_object_foreach(object, name, value)
		if (parse_encoder(name, value, &items[count]))
			count++;
	*items_ret = items;
	*count_ret = count;
	return BLOCKZ_OK;
}
