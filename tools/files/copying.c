/* SPDX-License-Identifier: BSD-3-Clause */
/* A source gives less than it was asked for only at its end. */
#include "files/copying.h"

#include <errno.h>
#include <stdlib.h>

int copy_bytes(const struct blockz_source *from, uint64_t off, uint64_t limit, int to, uint64_t *len_ret)
{
	enum { CHUNK = 1024 * 1024 };
	struct blockz_fd_sink memory;
	const struct blockz_sink sink = blockz_sink_fd(&memory, to);
	uint64_t done = 0;
	bool at_end = false;
	void *buf = malloc(CHUNK);
	int error = buf == NULL ? ENOMEM : 0;
	while (error == 0 && !at_end && done < limit) {
		size_t got = 0, want = limit - done < CHUNK ? (size_t)(limit - done) : CHUNK;
		error = from->ops->read(from->ctx, buf, want, off + done, &got);
		if (error == 0 && got > 0)
			error = sink.ops->write(sink.ctx, buf, got);
		at_end = got < want;
		done += got;
	}
	free(buf);
	*len_ret = done;
	return error;
}
