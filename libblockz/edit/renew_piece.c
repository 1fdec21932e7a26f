/* SPDX-License-Identifier: BSD-3-Clause */
/* What stands around a piece is shown to be as the map has it, before anything is made of it. */
#include "edit/renew_piece.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/fault.h"
#include "edit/may_patch.h"

struct renew_thread {
	struct piece_reader reader;
	struct renewer renewer;
};

void renew_thread_free(void *memory)
{
	struct renew_thread *thread = memory;
	if (thread == NULL)
		return;
	piece_reader_free(&thread->reader);
	renewer_free(&thread->renewer);
	free(thread);
}

void *renew_thread_new(const struct planner *planner)
{
	struct renew_thread *thread = calloc(1, sizeof(*thread));
	if (thread == NULL)
		return NULL;
	if (!piece_reader_init(&thread->reader, planner->file, planner->map)) {
		free(thread);
		return NULL;
	}
	thread->reader.strict = true;
	thread->renewer.file = planner->file;
	thread->renewer.map = planner->map;
	return thread;
}

void renew_job_release(void *memory)
{
	struct renew_job *job = memory;
	revision_free(&job->revision);
	buffer_free(&job->encoding.out);
}

/* What the edits do to the linear checks over a piece, and what its own check is now. */
static enum blockz_status sum_changes(struct renew_job *job, const struct piece *piece, struct blockz_fault *fault)
{
	const struct check_facts *facts = &check_methods[piece->method];
	const struct revision *revision = &job->revision;
	size_t len = revision->to - revision->from;
	const uint8_t *old = revision->old.bytes + revision->from, *new = revision->new.bytes + revision->from;
	job->delta = facts->poly != NULL ? facts->update(0, old, len) ^ facts->update(0, new, len) : 0;
	memset(job->check, 0, sizeof(job->check));
	return check_sum(piece->method, revision->new.bytes, revision->len, job->check) ? BLOCKZ_OK : fault_nomem(fault);
}

/*
 * How long an encoding may be where the file may grow: as long as it was, with all that changes as it stands, and a little,
 * so that a file that was encoded strongly stays small.
 */
static uint64_t room_to_grow(const struct touched_place *place, size_t changed)
{
	return place->file_len + place->file_len / 64 + changed;
}

static size_t count_changed(const struct revision *revision)
{
	size_t count = 0;
	for (size_t i = revision->from; i < revision->to; i++)
		count += revision->old.bytes[i] != revision->new.bytes[i];
	return count;
}

enum blockz_status renew_piece(const struct planner *planner, struct renew_job *job, void *memory, struct blockz_fault *fault)
{
	struct renew_thread *thread = memory;
	const struct piece *piece = &planner->map->pieces[job->touched->piece];
	const struct touched_place place = touched_place(planner->map, job->touched);
	enum blockz_status status = may_patch_around(&thread->reader, (struct blockz_range){ place.start, place.end },
						     place.file_off, &job->revision.behind, fault);
	if (status == BLOCKZ_OK)
		status = revision_make(&job->revision, &thread->reader, planner, job->touched, fault);
	if (status == BLOCKZ_OK)
		status = sum_changes(job, piece, fault);
	if (status != BLOCKZ_OK)
		return status;
	const struct plain_piece plain = {
		.bytes = job->revision.new.bytes, .len = job->revision.len, .start = place.start,
		.ends_stream = piece->ends_stream && !planner_opens(planner, place.end),
	};
	job->changed = count_changed(&job->revision);
	const bool exactly = job->room != BLOCKZ_UNKNOWN;
	const struct renew_room room = { exactly ? job->room : room_to_grow(&place, job->changed), exactly };
	status = renewer_encode(&thread->renewer, job->touched->piece, &plain, &room, &job->encoding, &job->fits, fault);
	job->attempts = thread->renewer.attempts;
	return status;
}

struct renewed_piece renew_job_result(const struct planner *planner, const struct renew_job *job)
{
	const struct piece *piece = &planner->map->pieces[job->touched->piece];
	return (struct renewed_piece){
		.piece = job->touched->piece, .copy = job->touched->copy, .file_len = job->encoding.len, .tag = job->encoding.tag,
		.check = check_methods[piece->method].len == 4 ? load_le32(job->check) : 0,
	};
}
