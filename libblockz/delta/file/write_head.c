/* SPDX-License-Identifier: BSD-3-Clause */
/* The head of a delta: all that a client needs to refuse it. */
#include <string.h>

#include "base/bytes.h"
#include "delta/file/layout.h"
#include "delta/file/varint.h"
#include "delta/file/writer.h"

struct head {
	uint8_t bytes[DELTA_HEAD_MAX];
	size_t len;
};

static void add_encoder(struct head *head, const struct delta_encoder *encoder)
{
	size_t count = CODEC_VALUES_MAX;
	while (count > 0 && encoder->params.values[count - 1] == 0)
		count--;
	head->bytes[head->len++] = encoder->params.codec;
	head->bytes[head->len++] = (uint8_t)count;
	for (size_t i = 0; i < count; i++)
		head->len += varint_put(head->bytes + head->len, encoder->params.values[i]);
	memcpy(head->bytes + head->len, encoder->fingerprint, CODEC_FINGERPRINT_LEN);
	head->len += CODEC_FINGERPRINT_LEN;
}

static void add_text(struct head *head, const char *text)
{
	size_t len = strlen(text);
	head->bytes[head->len++] = (uint8_t)len;
	memcpy(head->bytes + head->len, text, len);
	head->len += len;
}

/* The longest head there can be. */
_Static_assert(HEAD_FIXED_LEN + 1 + DELTA_ENCODERS_MAX * (2 + CODEC_VALUES_MAX * 5 + CODEC_FINGERPRINT_LEN) +
		       sizeof(((struct delta_head *)0)->old_container) + sizeof(((struct delta_head *)0)->new_container) +
		       sizeof(((struct delta_head *)0)->note) + DELTA_CHECK_LEN <= DELTA_HEAD_MAX,
	       "a head has room for all encoders and texts");

enum blockz_status delta_write_head(struct delta_writer *writer, const struct delta_head *from,
				    struct blockz_fault *fault)
{
	struct head head = { .bytes = DELTA_MAGIC, .len = HEAD_FIXED_LEN };
	store_le16(head.bytes + HEAD_VERSION_OFF, DELTA_VERSION);
	store_le64(head.bytes + HEAD_OLD_SIZE_OFF, from->old_size);
	store_le64(head.bytes + HEAD_NEW_SIZE_OFF, from->new_size);
	memcpy(head.bytes + HEAD_OLD_SHA256_OFF, from->old_sha256, sizeof(from->old_sha256));
	memcpy(head.bytes + HEAD_NEW_SHA256_OFF, from->new_sha256, sizeof(from->new_sha256));
	head.len += varint_put(head.bytes + head.len, from->encoder_count);
	for (size_t i = 0; i < from->encoder_count; i++)
		add_encoder(&head, &from->encoders[i]);
	add_text(&head, from->old_container);
	add_text(&head, from->new_container);
	add_text(&head, from->note);
	store_le16(head.bytes + HEAD_LEN_OFF, (uint16_t)(head.len + DELTA_CHECK_LEN));
	enum blockz_status status = writer_put(writer, head.bytes, head.len, fault);
	return status == BLOCKZ_OK ? writer_put_check(writer, fault) : status;
}
