/* SPDX-License-Identifier: BSD-3-Clause */
/* SHA-256 by libcrypto, the only one of the tools. */
#include "files/digest.h"

#include <errno.h>
#include <stdlib.h>

#include "cli/fault.h"
#include "cli/hex.h"
#include "files/hasher.h"
#include "files/holes.h"

enum {
	CHUNK = 1024 * 1024,
	ALONE = 2 * CHUNK, /* a thread takes longer to start than to hash less */
};

enum blockz_status digest_start(struct digest *digest, struct blockz_fault *fault)
{
	*digest = (struct digest){ .context = EVP_MD_CTX_new(), .alone = ALONE };
	if (digest->context != NULL && EVP_DigestInit_ex(digest->context, EVP_sha256(), NULL) == 1)
		return BLOCKZ_OK;
	digest_free(digest);
	return tool_fault(fault, BLOCKZ_FAILED, "SHA-256 is not available");
}

/* Once, where so much was hashed that there will be more. */
static void start_hasher(struct digest *digest)
{
	digest->hasher = hasher_start(digest->context);
	digest->alone = SIZE_MAX;
}

static void end_hasher(struct digest *digest)
{
	if (digest->hasher != NULL && !hasher_end(digest->hasher))
		digest->failed = true;
	digest->hasher = NULL;
}

void digest_update(struct digest *digest, const void *buf, size_t len)
{
	if (digest->hasher == NULL && digest->alone < len)
		start_hasher(digest);
	if (digest->hasher != NULL) {
		hasher_update(digest->hasher, buf, len);
		return;
	}
	digest->alone -= len;
	if (EVP_DigestUpdate(digest->context, buf, len) != 1)
		digest->failed = true;
}

static void update_zeros(struct digest *digest, uint64_t len)
{
	static const unsigned char zeros[65536];
	while (len > 0) {
		size_t part = len < sizeof(zeros) ? (size_t)len : sizeof(zeros);
		digest_update(digest, zeros, part);
		len -= part;
	}
}

enum blockz_status digest_finish(struct digest *digest, char hex_ret[DIGEST_HEX], struct blockz_fault *fault)
{
	unsigned char bytes[EVP_MAX_MD_SIZE];
	unsigned len = 0;
	end_hasher(digest);
	if (digest->failed || EVP_DigestFinal_ex(digest->context, bytes, &len) != 1 || 2 * len + 1 != DIGEST_HEX)
		return tool_fault(fault, BLOCKZ_FAILED, "SHA-256 failed");
	hex_write(hex_ret, bytes, len);
	return BLOCKZ_OK;
}

void digest_free(struct digest *digest)
{
	end_hasher(digest);
	EVP_MD_CTX_free(digest->context);
	*digest = (struct digest){ 0 };
}

/* ---- A whole source */

static enum blockz_status hash_extent(const struct blockz_source *source, struct blockz_range range, void *buf,
				      const struct blockz_work *work, struct digest *digest,
				      struct blockz_fault *fault)
{
	for (uint64_t off = range.start; off < range.end;) {
		size_t got = 0, len = range.end - off < CHUNK ? (size_t)(range.end - off) : CHUNK;
		int error = source->ops->read(source->ctx, buf, len, off, &got);
		if (error == 0 && got < len)
			return tool_fault(fault, BLOCKZ_FAILED, "it became shorter while it was read");
		if (error != 0)
			return tool_fault_errno(fault, error, "read");
		digest_update(digest, buf, len);
		off += len;
		if (work->progress != NULL && !work->progress(work->progress_ctx, off, off))
			return tool_fault(fault, BLOCKZ_FAILED, "interrupted");
	}
	return BLOCKZ_OK;
}

static enum blockz_status hash_source(const struct blockz_source *source, void *buf, const struct blockz_work *work,
				      struct digest *digest, struct blockz_fault *fault)
{
	enum blockz_status status = BLOCKZ_OK;
	uint64_t off = 0;
	while (off < source->size && status == BLOCKZ_OK) {
		struct blockz_range data;
		int error = holes_find_data(source, off, &data);
		if (error != 0)
			return tool_fault_errno(fault, error, "finding holes");
		update_zeros(digest, data.start - off);
		status = hash_extent(source, data, buf, work, digest, fault);
		off = data.end;
	}
	return status;
}

enum blockz_status digest_source(const struct blockz_source *source, const struct blockz_work *work,
				 char hex_ret[DIGEST_HEX], struct blockz_fault *fault)
{
	struct digest digest;
	void *buf = malloc(CHUNK);
	if (buf == NULL)
		return tool_fault_errno(fault, ENOMEM, "digest");
	enum blockz_status status = digest_start(&digest, fault);
	if (status == BLOCKZ_OK)
		status = hash_source(source, buf, work, &digest, fault);
	if (status == BLOCKZ_OK)
		status = digest_finish(&digest, hex_ret, fault);
	digest_free(&digest);
	free(buf);
	return status;
}

enum blockz_status digest_image(const struct blockz_source *file, const struct blockz_map *map,
				const struct blockz_work *work, char hex_ret[DIGEST_HEX], struct blockz_fault *fault)
{
	struct digest_sink memory;
	struct blockz_sink sink;
	struct blockz_range all = { 0, blockz_map_info(map).image_size };
	enum blockz_status status = digest_sink_start(&memory, NULL, &sink, fault);
	if (status == BLOCKZ_OK)
		status = blockz_extract(file, map, all, &sink, work, fault);
	if (status == BLOCKZ_OK)
		status = digest_finish(&memory.digest, hex_ret, fault);
	digest_free(&memory.digest);
	return status;
}

/* ---- A source on its way in */

/* Bytes behind pos that were not read are a hole. */
static void skip_to(struct digest_tap *self, uint64_t off)
{
	if (off > self->pos)
		update_zeros(&self->digest, off - self->pos);
}

static int tap_read(void *ctx, void *buf, size_t len, uint64_t off, size_t *got_ret)
{
	struct digest_tap *self = ctx;
	size_t got = 0;
	int error = self->inner->ops->read(self->inner->ctx, buf, len, off, &got);
	if (error != 0)
		return error;
	if (off < self->pos)
		self->digest.failed = true; /* read twice */
	skip_to(self, off);
	digest_update(&self->digest, buf, got);
	self->pos = off + got;
	*got_ret = got;
	return 0;
}

static int tap_next_data(void *ctx, uint64_t off, uint64_t *start_ret, uint64_t *end_ret)
{
	const struct digest_tap *self = ctx;
	return self->inner->ops->next_data(self->inner->ctx, off, start_ret, end_ret);
}

enum blockz_status digest_tap_start(struct digest_tap *self, const struct blockz_source *inner,
				    struct blockz_source *source_ret, struct blockz_fault *fault)
{
	static const struct blockz_source_ops full = { .read = tap_read };
	static const struct blockz_source_ops sparse = { .read = tap_read, .next_data = tap_next_data };
	*self = (struct digest_tap){ .inner = inner };
	enum blockz_status status = digest_start(&self->digest, fault);
	if (status == BLOCKZ_OK)
		*source_ret = (struct blockz_source){ inner->ops->next_data != NULL ? &sparse : &full, self,
						      inner->size };
	return status;
}

enum blockz_status digest_tap_finish(struct digest_tap *self, uint64_t image_size, char hex_ret[DIGEST_HEX],
				     struct blockz_fault *fault)
{
	skip_to(self, image_size);
	return digest_finish(&self->digest, hex_ret, fault);
}

/* ---- A sink */

static int sink_write(void *ctx, const void *buf, size_t len)
{
	struct digest_sink *self = ctx;
	digest_update(&self->digest, buf, len);
	return self->inner != NULL ? self->inner->ops->write(self->inner->ctx, buf, len) : 0;
}

static int sink_zeros(void *ctx, uint64_t len)
{
	struct digest_sink *self = ctx;
	update_zeros(&self->digest, len);
	return 0;
}

enum blockz_status digest_sink_start(struct digest_sink *self, const struct blockz_sink *inner,
				     struct blockz_sink *sink_ret, struct blockz_fault *fault)
{
	/* inner need not be able to write zeros, so only where there is none are they not written like other bytes. */
	static const struct blockz_sink_ops nowhere = { .write = sink_write, .zeros = sink_zeros };
	static const struct blockz_sink_ops onward = { .write = sink_write };
	*self = (struct digest_sink){ .inner = inner };
	enum blockz_status status = digest_start(&self->digest, fault);
	if (status == BLOCKZ_OK)
		*sink_ret = (struct blockz_sink){ inner != NULL ? &onward : &nowhere, self };
	return status;
}
