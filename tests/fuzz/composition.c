/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Any composition: it is read or refused with a reason.  What is read keeps within its bounds, and comes back when it is written.
 */
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz.h"
#include "patch/composition.h"

static enum blockz_status read_text(const struct bytes *text, struct composition *composition)
{
	struct blockz_memory memory = bytes_memory(text);
	struct blockz_source source = blockz_source_memory(&memory);
	struct blockz_fault fault = { 0 };
	enum blockz_status status = composition_read(composition, &source, &fault);
	check_fault(status, &fault);
	assert(status != BLOCKZ_FAILED);
	return status;
}

/* Parts ascend within what they are of, and are as long as the result. */
static void check_parts(const struct composition *composition)
{
	uint64_t ends[] = { 0, 0, 0 }, size = 0;
	assert(composition->count <= COMPOSITION_PARTS_MAX && composition->literals_len <= COMPOSITION_LITERALS_MAX);
	for (size_t i = 0; i < composition->count; i++) {
		const struct composition_part *part = &composition->parts[i];
		assert(part->len > 0 && part->off >= ends[part->from] && part->len <= INT64_MAX - part->off);
		ends[part->from] = part->off + part->len;
		size += part->len;
	}
	assert(size == composition->result.size);
	assert(ends[COMPOSITION_VERBATIM] <= composition->base.size && ends[COMPOSITION_LITERAL] == composition->literals_len);
	assert(composition->has_side || ends[COMPOSITION_SIDE] == 0);
}

static void check_same(const struct composition *one, const struct composition *two)
{
	assert(one->count == two->count && one->has_side == two->has_side && one->new_bytes == two->new_bytes);
	assert(one->literals_len == two->literals_len);
	assert(one->literals_len == 0 || memcmp(one->literals, two->literals, one->literals_len) == 0);
	assert(one->base.size == two->base.size && strcmp(one->base.sha256, two->base.sha256) == 0);
	assert(one->result.size == two->result.size && strcmp(one->result.sha256, two->result.sha256) == 0);
	for (size_t i = 0; i < one->count; i++) {
		const struct composition_part *a = &one->parts[i], *b = &two->parts[i];
		assert(a->from == b->from && a->off == b->off && a->len == b->len && strcmp(a->sha256, b->sha256) == 0);
	}
}

static void check_written(const struct composition *composition)
{
	struct composition again;
	struct bytes text = { 0 };
	int fd = memfd_create("composition", MFD_CLOEXEC);
	assert(fd >= 0 && composition_write(composition, "a name\n\xff", fd, NULL) == BLOCKZ_OK);
	bytes_resize(&text, (size_t)lseek(fd, 0, SEEK_END));
	assert(pread(fd, text.data, text.len, 0) == (ssize_t)text.len);
	close(fd);
	assert(read_text(&text, &again) == BLOCKZ_OK);
	check_same(composition, &again);
	composition_free(&again);
	free(text.data);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes text = { 0 };
	struct composition composition;
	bytes_append(&text, data, size);
	if (read_text(&text, &composition) == BLOCKZ_OK) {
		check_parts(&composition);
		check_written(&composition);
	}
	composition_free(&composition);
	free(text.data);
	return 0;
}
