/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * recompress DELTA NEW THREADS: encodes the blocks that DELTA has its client encode, and prints the seconds that takes.
 *
 * That is what no client can do without, and so what blockz-merge is measured by.  The blocks are decoded before, into memory,
 * and what the encoder makes of them is compared with NEW.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "delta/file/read.h"
#include "deltas/lzo.h"
#include "format/format.h"
#include "io/access.h"

enum { VERBATIM_MAX = 64 << 10, THREADS_MAX = 256 };

struct task {
	const struct codec_params *params;
	uint8_t *plain;
	uint32_t plain_len, file_len;
	uint64_t file_off;
};

struct bench {
	struct blockz_source new;
	struct codec_env env;
	struct delta_reader *reader;
	struct task *tasks;
	size_t count, room;
	atomic_size_t next;
};

static void give_up(const char *what, const struct blockz_fault *fault)
{
	fprintf(stderr, "recompress: %s: %s\n", what, fault != NULL ? fault->text : strerror(errno));
	exit(1);
}

static void *allocate(void *memory, size_t len)
{
	void *larger = realloc(memory, len);
	if (larger == NULL)
		give_up("memory", NULL);
	return larger;
}

static struct blockz_source open_file(const char *path)
{
	struct blockz_fault fault;
	struct blockz_source source;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		give_up(path, NULL);
	if (blockz_source_fd(fd, &source, &fault) != BLOCKZ_OK)
		give_up(path, &fault);
	return source;
}

/* What makes the step's bytes does not matter here, but has to be read. */
static void skip_ops(struct bench *bench, uint64_t len, uint8_t *bytes)
{
	struct blockz_fault fault;
	struct op op;
	for (; len > 0; len -= op.len)
		if (delta_read_op(bench->reader, len, &op, bytes, &fault) != BLOCKZ_OK)
			give_up("delta", &fault);
}

/* Adds the block at this place of NEW, decoded. */
static void add_task(struct bench *bench, struct codec_contexts *contexts, const struct delta_new_block *block, uint64_t file_off)
{
	struct blockz_fault fault;
	if (bench->count == bench->room) {
		bench->room = 2 * bench->room + 1024;
		bench->tasks = allocate(bench->tasks, bench->room * sizeof(*bench->tasks));
	}
	struct task *task = &bench->tasks[bench->count++];
	*task = (struct task){
		.params = &delta_reader_head(bench->reader)->encoders[block->encoder].params,
		.plain = allocate(NULL, block->plain_len + DECODE_SLACK),
		.plain_len = block->plain_len, .file_len = block->file_len, .file_off = file_off,
	};
	uint8_t *packed = allocate(NULL, block->file_len + DECODE_SLACK);
	if (read_file(&bench->new, packed, block->file_len, file_off, &fault) != BLOCKZ_OK ||
	    codec_decode(contexts, task->params->codec, packed, block->file_len, task->plain, block->plain_len,
			 &fault) != BLOCKZ_OK)
		give_up("block", &fault);
	free(packed);
}

static void read_section(struct bench *bench, struct codec_contexts *contexts, uint64_t *file_off)
{
	struct blockz_fault fault;
	uint8_t *bytes = allocate(NULL, CODEC_BLOCK_MAX);
	for (bool done = false;;) {
		struct delta_step step;
		if (delta_read_step(bench->reader, VERBATIM_MAX, &step, &done, &fault) != BLOCKZ_OK)
			give_up("delta", &fault);
		if (done)
			break;
		skip_ops(bench, step.len, bytes);
		if (step.is_block)
			add_task(bench, contexts, &step.block, *file_off);
		*file_off += step.is_block ? step.block.file_len : step.len;
	}
	free(bytes);
}

static void read_delta(struct bench *bench, const struct blockz_source *delta)
{
	struct blockz_fault fault;
	struct codec_contexts contexts = { .env = &bench->env };
	struct delta_old_blocks old_blocks;
	uint64_t file_off = 0;
	if (delta_reader_new(delta, &bench->reader, &fault) != BLOCKZ_OK ||
	    delta_read_old_blocks(bench->reader, &old_blocks, &fault) != BLOCKZ_OK)
		give_up("delta", &fault);
	for (bool done = false;;) {
		if (delta_read_section(bench->reader, &done, &fault) != BLOCKZ_OK)
			give_up("delta", &fault);
		if (done)
			break;
		read_section(bench, &contexts, &file_off);
	}
	codec_contexts_free(&contexts);
}

static void *encode_some(void *ctx)
{
	struct bench *bench = ctx;
	struct blockz_fault fault;
	struct codec_contexts contexts = { .env = &bench->env };
	struct buffer out = { 0 };
	for (size_t i; (i = atomic_fetch_add(&bench->next, 1)) < bench->count;) {
		const struct task *task = &bench->tasks[i];
		size_t len = 0;
		if (codec_encode(&contexts, task->params, task->plain, task->plain_len, &out, &len, &fault) != BLOCKZ_OK)
			give_up("block", &fault);
		if (len != task->file_len) {
			fprintf(stderr, "recompress: NEW has another block at %llu\n", (unsigned long long)task->file_off);
			exit(1);
		}
	}
	buffer_free(&out);
	codec_contexts_free(&contexts);
	return NULL;
}

static double seconds(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
	long threads = argc == 4 ? strtol(argv[3], NULL, 10) : 0;
	if (threads < 1 || threads > THREADS_MAX) {
		fprintf(stderr, "usage: recompress DELTA NEW THREADS\n");
		return 2;
	}
	struct lzo_helpers *helpers = lzo_helpers_new(NULL);
	struct bench bench = { .new = open_file(argv[2]), .env = { lzo_helpers_ops(helpers) } };
	struct blockz_source delta = open_file(argv[1]);
	pthread_t ids[THREADS_MAX];
	read_delta(&bench, &delta);
	double begin = seconds();
	for (long i = 0; i < threads; i++)
		if ((errno = pthread_create(&ids[i], NULL, encode_some, &bench)) != 0)
			give_up("thread", NULL);
	for (long i = 0; i < threads; i++)
		pthread_join(ids[i], NULL);
	printf("%zu blocks, %.3f s\n", bench.count, seconds() - begin);
	for (size_t i = 0; i < bench.count; i++)
		free(bench.tasks[i].plain);
	free(bench.tasks);
	delta_reader_free(bench.reader);
	lzo_helpers_free(helpers);
	return 0;
}
