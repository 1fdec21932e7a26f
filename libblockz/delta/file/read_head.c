/* SPDX-License-Identifier: BSD-3-Clause */
/* The head of a delta, which is read and checked before anything else is believed. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "base/fault.h"
#include "delta/file/reader.h"
#include "delta/file/varint.h"

struct fields {
	const uint8_t *bytes;
	size_t pos, len;
	struct blockz_fault *fault;
};

static enum blockz_status damaged_head(const struct fields *fields, const char *what)
{
	return fault_set(fields->fault, BLOCKZ_DAMAGED, fields->pos, "DELTA: head: %s", what);
}

static enum blockz_status take_bytes(struct fields *fields, const uint8_t **bytes_ret, size_t len)
{
	if (len > fields->len - fields->pos)
		return damaged_head(fields, "ends too early");
	*bytes_ret = fields->bytes + fields->pos;
	fields->pos += len;
	return BLOCKZ_OK;
}

static enum blockz_status take_varint(struct fields *fields, uint64_t max, uint64_t *value_ret)
{
	uint64_t value = 0;
	size_t len = varint_get(fields->bytes + fields->pos, fields->len - fields->pos, &value);
	if (len == 0 || value > max)
		return damaged_head(fields, "a number is too large, or cut off");
	fields->pos += len;
	*value_ret = value;
	return BLOCKZ_OK;
}

static enum blockz_status take_encoder(struct fields *fields, struct delta_encoder *encoder)
{
	const uint8_t *bytes = NULL;
	enum blockz_status status = take_bytes(fields, &bytes, 2);
	if (status != BLOCKZ_OK)
		return status;
	size_t count = bytes[1];
	encoder->params.codec = bytes[0];
	if (count > CODEC_VALUES_MAX)
		return damaged_head(fields, "an encoder has too many values");
	for (size_t i = 0; i < count; i++) {
		uint64_t value = 0;
		status = take_varint(fields, UINT32_MAX, &value);
		if (status != BLOCKZ_OK)
			return status;
		encoder->params.values[i] = (uint32_t)value;
	}
	if (count > 0 && encoder->params.values[count - 1] == 0)
		return damaged_head(fields, "an encoder has a value that may be left out");
	status = take_bytes(fields, &bytes, CODEC_FINGERPRINT_LEN);
	if (status == BLOCKZ_OK)
		memcpy(encoder->fingerprint, bytes, CODEC_FINGERPRINT_LEN);
	return status;
}

/* A text of printable ASCII, or the bytes of UTF-8. */
static enum blockz_status take_text(struct fields *fields, char *text, size_t room)
{
	const uint8_t *bytes = NULL;
	enum blockz_status status = take_bytes(fields, &bytes, 1);
	if (status != BLOCKZ_OK)
		return status;
	size_t len = bytes[0];
	status = take_bytes(fields, &bytes, len);
	if (status != BLOCKZ_OK)
		return status;
	if (len >= room)
		return damaged_head(fields, "a text is too long");
	for (size_t i = 0; i < len; i++)
		if (bytes[i] < 0x20 || bytes[i] == 0x7f)
			return damaged_head(fields, "a text has control characters");
	memcpy(text, bytes, len);
	text[len] = '\0';
	return BLOCKZ_OK;
}

static enum blockz_status take_encoders(struct fields *fields, struct delta_head *head)
{
	uint64_t count = 0;
	enum blockz_status status = take_varint(fields, DELTA_ENCODERS_MAX, &count);
	head->encoder_count = (size_t)count;
	for (size_t i = 0; i < head->encoder_count && status == BLOCKZ_OK; i++)
		status = take_encoder(fields, &head->encoders[i]);
	return status;
}

static enum blockz_status take_texts(struct fields *fields, struct delta_head *head)
{
	const struct {
		char *text;
		size_t room;
	} texts[] = {
		{ head->old_container, sizeof(head->old_container) },
		{ head->new_container, sizeof(head->new_container) },
		{ head->note, sizeof(head->note) },
	};
	enum blockz_status status = BLOCKZ_OK;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]) && status == BLOCKZ_OK; i++)
		status = take_text(fields, texts[i].text, texts[i].room);
	return status;
}

/* All that is behind the fixed fields. */
static enum blockz_status take_fields(struct fields *fields, struct delta_head *head)
{
	enum blockz_status status = take_encoders(fields, head);
	if (status != BLOCKZ_OK)
		return status;
	status = take_texts(fields, head);
	if (status != BLOCKZ_OK)
		return status;
	return fields->pos < fields->len ? damaged_head(fields, "goes on behind its last field") : BLOCKZ_OK;
}

static enum blockz_status check_magic(const uint8_t *bytes, struct blockz_fault *fault)
{
	if (memcmp(bytes, DELTA_MAGIC, DELTA_MAGIC_LEN) == 0)
		return BLOCKZ_OK;
	/* What the transfer as a text makes of it. */
	if (memcmp(&bytes[1], &DELTA_MAGIC[1], 3) == 0)
		return fault_set(fault, BLOCKZ_DAMAGED, 0, "DELTA was damaged as texts are when they are converted");
	return fault_set(fault, BLOCKZ_UNSUPPORTED, 0, "DELTA is not a delta of blockz-delta: magic expected "
			 "89425a440d0a1a0a, found %02x%02x%02x%02x%02x%02x%02x%02x",
			 bytes[0], bytes[1], bytes[2], bytes[3], bytes[4], bytes[5], bytes[6], bytes[7]);
}

/* What a later version may have changed. */
static enum blockz_status check_version(const uint8_t *bytes, struct blockz_fault *fault)
{
	unsigned version = load_le16(bytes + HEAD_VERSION_OFF);
	uint32_t features = load_le32(bytes + HEAD_FEATURES_OFF);
	char list[128] = "";
	size_t len = 0;
	if (version != DELTA_VERSION)
		return fault_set(fault, BLOCKZ_UNSUPPORTED, HEAD_VERSION_OFF,
				 "DELTA is of version %u, and this program knows version %d", version, DELTA_VERSION);
	for (unsigned i = 0; i < 32; i++)
		if ((features >> i & 1) != 0)
			len += (size_t)snprintf(list + len, sizeof(list) - len, " %u", i);
	if (features != 0)
		return fault_set(fault, BLOCKZ_UNSUPPORTED, HEAD_FEATURES_OFF,
				 "DELTA needs features that this program does not know:%s", list);
	return BLOCKZ_OK;
}

static enum blockz_status check_fields(const struct delta_head *head, struct blockz_fault *fault)
{
	if (head->old_size > DELTA_SIZE_MAX || head->new_size > DELTA_SIZE_MAX)
		return fault_set(fault, BLOCKZ_DAMAGED, HEAD_OLD_SIZE_OFF, "DELTA: head: a size is too large");
	for (size_t i = 0; i < head->encoder_count; i++)
		if (head->encoders[i].params.codec >= CODEC_COUNT)
			return fault_set(fault, BLOCKZ_UNSUPPORTED, BLOCKZ_UNKNOWN,
					 "DELTA needs codec %u, which this program does not know",
					 head->encoders[i].params.codec);
	return BLOCKZ_OK;
}

enum blockz_status delta_read_head(struct input *input, struct delta_head *head, struct blockz_fault *fault)
{
	uint8_t bytes[DELTA_HEAD_MAX];
	enum blockz_status status = input_read(input, bytes, DELTA_MAGIC_LEN, fault);
	if (status != BLOCKZ_OK)
		return status;
	status = check_magic(bytes, fault);
	if (status != BLOCKZ_OK)
		return status;
	status = input_read(input, bytes + DELTA_MAGIC_LEN, HEAD_FIXED_LEN - DELTA_MAGIC_LEN, fault);
	if (status != BLOCKZ_OK)
		return status;
	size_t len = load_le16(bytes + HEAD_LEN_OFF);
	if (len < HEAD_FIXED_LEN + DELTA_CHECK_LEN || len > DELTA_HEAD_MAX)
		return fault_set(fault, BLOCKZ_DAMAGED, HEAD_LEN_OFF, "DELTA: head: its length is %zu, expected %d to %d",
				 len, HEAD_FIXED_LEN + DELTA_CHECK_LEN, DELTA_HEAD_MAX);
	len -= DELTA_CHECK_LEN;
	status = input_read(input, bytes + HEAD_FIXED_LEN, len - HEAD_FIXED_LEN, fault);
	if (status != BLOCKZ_OK)
		return status;
	status = input_check(input, "the head", 0, fault);
	if (status != BLOCKZ_OK)
		return status;
	status = check_version(bytes, fault);
	if (status != BLOCKZ_OK)
		return status;
	*head = (struct delta_head){
		.old_size = load_le64(bytes + HEAD_OLD_SIZE_OFF), .new_size = load_le64(bytes + HEAD_NEW_SIZE_OFF),
	};
	memcpy(head->old_sha256, bytes + HEAD_OLD_SHA256_OFF, sizeof(head->old_sha256));
	memcpy(head->new_sha256, bytes + HEAD_NEW_SHA256_OFF, sizeof(head->new_sha256));
	struct fields fields = { bytes, HEAD_FIXED_LEN, len, fault };
	status = take_fields(&fields, head);
	return status == BLOCKZ_OK ? check_fields(head, fault) : status;
}
