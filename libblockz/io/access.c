/* SPDX-License-Identifier: BSD-3-Clause */
/* Each call is one operation of a table, and an errno value becomes a status and a text. */
#include "io/access.h"

#include <inttypes.h>

#include "base/fault.h"
#include "base/plural.h"

enum blockz_status read_file(const struct blockz_source *file, void *buf, size_t len, uint64_t off,
			     struct blockz_fault *fault)
{
	size_t got = 0;
	int error = file->ops->read(file->ctx, buf, len, off, &got);
	if (error != 0)
		return fault_errno(fault, error, off, "read");
	if (got < len)
		return fault_set(fault, BLOCKZ_DAMAGED, off + got, "file ends, %zu more byte%s expected", len - got,
				 plural(len - got));
	return BLOCKZ_OK;
}

int find_data(const struct blockz_source *source, uint64_t off, uint64_t *start_ret, uint64_t *end_ret)
{
	uint64_t start = off, end = source->size;
	int error = source->ops->next_data == NULL ? 0 : source->ops->next_data(source->ctx, off, &start, &end);
	if (error != 0)
		return error;
	bool shrank = start < source->size && (start < off || end <= start); /* who reads it will see */
	*start_ret = shrank ? off : start;
	*end_ret = shrank ? source->size : end;
	return 0;
}

const char *subject_name(enum blockz_subject subject)
{
	static const char *const names[] = {
		[BLOCKZ_ABOUT_FILE] = "file",
		[BLOCKZ_ABOUT_IMAGE] = "image",
		[BLOCKZ_ABOUT_AGAINST] = "image to compare with",
		[BLOCKZ_ABOUT_EDIT] = "new data",
		[BLOCKZ_ABOUT_OUTPUT] = "output",
		[BLOCKZ_ABOUT_OLD] = "OLD",
		[BLOCKZ_ABOUT_NEW] = "NEW",
		[BLOCKZ_ABOUT_DELTA] = "DELTA",
		[BLOCKZ_ABOUT_MEMORY] = "memory",
	};
	return names[subject];
}

static enum blockz_status data_ends(uint64_t off, uint64_t size, enum blockz_subject subject, struct blockz_fault *fault)
{
	return fault_set(fault, BLOCKZ_FAILED, BLOCKZ_UNKNOWN,
			 "%s ends at byte %" PRIu64 ", expected %" PRIu64 " byte%s: it shrank while being read",
			 subject_name(subject), off, size, plural(size));
}

enum blockz_status read_data(const struct blockz_source *data, void *buf, size_t len, uint64_t off,
			     enum blockz_subject subject, struct blockz_fault *fault)
{
	size_t got = 0;
	enum blockz_status status = BLOCKZ_OK;
	int error = data->ops->read(data->ctx, buf, len, off, &got);
	if (error != 0)
		status = fault_errno(fault, error, BLOCKZ_UNKNOWN, subject_name(subject));
	else if (got < len)
		status = data_ends(off + got, data->size, subject, fault);
	return fault_about(fault, status, subject);
}

enum blockz_status sync_store(const struct blockz_store *store, struct blockz_fault *fault)
{
	int error = store->ops->sync(store->ctx);
	return error == 0 ? BLOCKZ_OK : fault_errno(fault, error, BLOCKZ_UNKNOWN, "sync");
}

enum blockz_status write_failed(int error, struct blockz_fault *fault)
{
	return fault_about(fault, fault_errno(fault, error, BLOCKZ_UNKNOWN, "write"), BLOCKZ_ABOUT_OUTPUT);
}

enum blockz_status write_out(const struct blockz_sink *sink, const void *buf, size_t len, struct blockz_fault *fault)
{
	int error = sink->ops->write(sink->ctx, buf, len);
	return error == 0 ? BLOCKZ_OK : write_failed(error, fault);
}

enum blockz_status write_zeros(const struct blockz_sink *sink, uint64_t len, struct blockz_fault *fault)
{
	static const uint8_t zeros[65536];
	if (sink->ops->zeros != NULL) {
		int error = sink->ops->zeros(sink->ctx, len);
		return error == 0 ? BLOCKZ_OK : write_failed(error, fault);
	}
	enum blockz_status status = BLOCKZ_OK;
	while (len > 0 && status == BLOCKZ_OK) {
		size_t part = len < sizeof(zeros) ? (size_t)len : sizeof(zeros);
		status = write_out(sink, zeros, part, fault);
		len -= part;
	}
	return status;
}
