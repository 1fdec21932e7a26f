/* SPDX-License-Identifier: BSD-3-Clause */
/* partial-deflate: compress a disk image so that chosen parts can be changed inside the compressed file. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/fault.h"
#include "cli/json.h"
#include "files/report.h"
#include "cli/size.h"
#include "cli/stream.h"
#include "disks/rawchoice.h"
#include "disks/rawlist.h"
#include "files/digest.h"
#include "files/output.h"
#include "files/suffix.h"

enum {
	KEY_RAW = CLI_FIRST_KEY,
	KEY_RAW_PARTITION,
	KEY_RAW_TABLE,
	KEY_RAW_LIST,
	KEY_DISK_OFFSET,
	KEY_CHECK,
	KEY_NO_CHECKSUM,
	KEY_PIECE_SIZE,
	KEY_MEMORY,
	KEY_NO_INDEX,
	KEY_FORCE,
	KEY_VERIFY,
	KEY_IMAGE_DIGEST,
};

static const struct cli_option option_rows[] = {
	{ "raw", KEY_RAW, "RANGE", "store this range: START-END or START+LENGTH; repeatable" },
	{ "raw-partition", KEY_RAW_PARTITION, "NAME",
	  "store this partition: its number, name, label or UUID;\nrepeatable" },
	{ "raw-table", KEY_RAW_TABLE, NULL, "store the partition tables: MBR and EBRs, or both GPTs" },
	{ "raw-list", KEY_RAW_LIST, "LIST", "store the ranges listed in a file, one a line\n(-: standard input)" },
	{ "disk-offset", KEY_DISK_OFFSET, "N", "partitions are those of a disk that starts at N" },
	CLI_SECTOR_SIZE,
	{ "format", 'f', "FORMAT", "what to write (default: by the suffix of OUTPUT)" },
	CLI_LEVEL,
	{ "extreme", 'e', NULL, "slower and a little smaller, where the format has it" },
	{ "check", KEY_CHECK, "CHECK", "what stands over the data, where the format has a choice" },
	{ "no-checksum", KEY_NO_CHECKSUM, NULL, "the same as --check none" },
	{ "piece-size", KEY_PIECE_SIZE, "N", "image bytes that decompress on their own" },
	{ "memory", KEY_MEMORY, "N", "use no more memory to compress, and fewer threads if need be" },
	{ "no-index", KEY_NO_INDEX, NULL, "do not keep the map in the file" },
	{ "threads", 'T', "N", "threads (default: all)" },
	{ "force", KEY_FORCE, NULL, "replace an existing OUTPUT" },
	{ "keep", 'k', NULL, "implied: INPUT is never removed" },
	{ "verify", KEY_VERIFY, NULL, "read OUTPUT back and compare it with INPUT before it\ngets its name" },
	CLI_JSON,
	{ "image-digest", KEY_IMAGE_DIGEST, NULL, "with --json: add the SHA-256 of the image" },
	CLI_QUIET,
	CLI_PROGRESS,
	CLI_HELP,
	CLI_VERSION,
	{ 0 },
};

static void print_more(FILE *out)
{
	const struct blockz_format *format;
	for (size_t i = 0; (format = blockz_format_at(i)) != NULL; i++) {
		char least[32], most[32], usual[32] = "by level";
		if (format->is_read_only)
			continue;
		size_human(least, sizeof(least), format->piece_size_min);
		size_human(most, sizeof(most), format->piece_size_max);
		if (format->piece_size_default != 0)
			size_human(usual, sizeof(usual), format->piece_size_default);
		fprintf(out, "Format %s (%s): levels %d to %d, default %d; pieces of %s to %s, default %s;\n  checks",
			format->name, format->suffix, format->level_min, format->level_max, format->level_default, least,
			most, usual);
		for (size_t j = 0; format->checks[j] != NULL; j++)
			fprintf(out, "%s %s", j > 0 ? "," : "", format->checks[j]);
		fputs(".\n", out);
	}
	fputs("OFFSETs toggle between compressed, as at the start, and raw.  Numbers take the suffixes K, M, G, T\n"
	      "(powers of 1024) and s (sectors of 512 bytes).  INPUT and OUTPUT may be -.\n", out);
}

static const struct cli_tool tool = {
	"partial-deflate",
	"[OPTION]... INPUT OUTPUT [OFFSET]...",
	"Compress the disk image INPUT to OUTPUT, an ordinary compressed file, with the chosen parts stored raw:\n"
	"blockz-patch can change them later without compressing anything again.",
	option_rows,
	print_more,
};

struct job {
	struct cli cli;
	struct blockz_pack_options pack;
	const char *input, *output_path, *list;
	struct rawchoice choice;
	struct rawlist raw;
	unsigned threads;
	bool force, verify, image_digest;
	bool of_input; /* a fault speaks of INPUT, though OUTPUT is open */
	int input_fd;
	struct audience audience; /* of INPUT */
	struct blockz_source image;
	struct output output;
	struct blockz_pack_result result;
	struct report report;
	struct blockz_fault fault;
};

/* ---- Options */

static void add_range(struct job *job, struct blockz_range range)
{
	struct blockz_fault fault;
	if (rawlist_add(&job->raw, range, &fault) != BLOCKZ_OK)
		cli_usage(&job->cli, "%s", fault.text);
}

static void add_raw(struct job *job, const char *text)
{
	struct blockz_fault fault;
	struct blockz_range range;
	if (size_parse_range(text, &range, &fault) != BLOCKZ_OK)
		cli_usage(&job->cli, "--raw: %s", fault.text);
	add_range(job, range);
}

/* From an even one of the offsets to the next the image is raw, or to its end. */
static void add_offsets(struct job *job, char **offsets, int count)
{
	uint64_t last = 0;
	for (int i = 0; i < count; i++) {
		uint64_t off = cli_size(&job->cli, "OFFSET", offsets[i]);
		if (i > 0 && off <= last)
			cli_usage(&job->cli, "OFFSET %s does not lie behind the one before", offsets[i]);
		if (i % 2 == 1)
			add_range(job, (struct blockz_range){ last, off });
		last = off;
	}
	if (count % 2 == 1)
		add_range(job, (struct blockz_range){ last, BLOCKZ_UNKNOWN });
}

static void add_name(struct job *job, const char *name)
{
	struct blockz_fault fault;
	if (rawchoice_add(&job->choice, name, &fault) != BLOCKZ_OK)
		cli_usage(&job->cli, "--raw-partition: %s", fault.text);
}

static const char *format_of_output(const struct job *job)
{
	const struct blockz_format *format = format_by_suffix(job->output_path);
	if (format == NULL)
		cli_usage(&job->cli, "no format has the suffix of %s; --format chooses one", job->output_path);
	return format->name;
}

static const char *format_argument(const struct job *job, const char *text)
{
	const struct blockz_format *format;
	for (size_t i = 0; (format = blockz_format_at(i)) != NULL; i++)
		if (strcmp(text, format->name) == 0 || strcmp(text, format->suffix + 1) == 0)
			return format->name;
	cli_usage(&job->cli, "--format: there is no format %s", text);
}

static void check_options(const struct job *job)
{
	const struct cli *cli = &job->cli;
	bool to_stdout = is_stream(job->output_path);
	if (is_stream(job->input) && job->list != NULL && is_stream(job->list))
		cli_usage(cli, "INPUT and --raw-list cannot both be standard input");
	if (job->verify && to_stdout)
		cli_usage(cli, "--verify needs a file to read back, OUTPUT is -");
	if (job->image_digest && !cli->json)
		cli_usage(cli, "--image-digest needs --json");
	if (to_stdout && isatty(STDOUT_FILENO))
		cli_usage(cli, "compressed data is not written to a terminal");
}

static void take_option(struct job *job, int key, const char *argument)
{
	switch (key) {
	case KEY_RAW:
		add_raw(job, argument);
		break;
	case KEY_RAW_PARTITION:
		add_name(job, argument);
		break;
	case KEY_RAW_TABLE:
		job->choice.table = true;
		break;
	case KEY_RAW_LIST:
		job->list = argument;
		break;
	case KEY_DISK_OFFSET:
		job->choice.disk_off = cli_size(&job->cli, "--disk-offset", argument);
		break;
	case 'f':
		job->pack.format = format_argument(job, argument);
		break;
	case 'e':
		job->pack.extreme = true;
		break;
	case KEY_CHECK:
		job->pack.check = argument;
		break;
	case KEY_NO_CHECKSUM:
		job->pack.check = "none";
		break;
	case KEY_MEMORY:
		job->pack.memory = cli_size(&job->cli, "--memory", argument);
		if (job->pack.memory == 0)
			cli_usage(&job->cli, "--memory: 0 bytes are no limit that anything fits in");
		break;
	case KEY_PIECE_SIZE:
		job->pack.piece_size = cli_size(&job->cli, "--piece-size", argument);
		break;
	case KEY_NO_INDEX:
		job->pack.no_index = true;
		break;
	case 'T':
		job->threads = cli_threads(&job->cli, argument);
		break;
	case KEY_FORCE:
		job->force = true;
		break;
	case KEY_VERIFY:
		job->verify = true;
		break;
	case KEY_IMAGE_DIGEST:
		job->image_digest = true;
		break;
	}
}

static void read_options(struct job *job, int argc, char **argv)
{
	int key;
	cli_start(&job->cli, &tool, argc, argv);
	while ((key = cli_next(&job->cli)) != CLI_END)
		take_option(job, key, job->cli.argument);
	if (job->cli.operand_count < 2)
		cli_usage(&job->cli, "expected INPUT and OUTPUT, found %d operand%s", job->cli.operand_count,
			  plural((uint64_t)job->cli.operand_count));
	job->input = job->cli.operands[0];
	job->output_path = output_name(job->cli.operands[1]);
	add_offsets(job, job->cli.operands + 2, job->cli.operand_count - 2);
	check_options(job);
	if (job->pack.format == NULL)
		job->pack.format = format_of_output(job);
	job->pack.level = job->cli.level;
	job->choice.sector_size = job->cli.sector_size;
	if (is_stream(job->output_path))
		job->cli.json_out = stderr;
}

/* ---- What is to be raw */

static enum blockz_status add_list(struct job *job)
{
	FILE *in = is_stream(job->list) ? stdin : fopen(job->list, "re");
	if (in == NULL)
		return tool_fault_errno(&job->fault, errno, "open %s", job->list);
	struct blockz_fault why;
	enum blockz_status status = rawlist_read(&job->raw, in, &why);
	if (status != BLOCKZ_OK)
		tool_fault(&job->fault, status, "--raw-list %s: %s", job->list, why.text);
	if (in != stdin)
		fclose(in);
	return status;
}

static enum blockz_status collect_raw(struct job *job)
{
	bool looks = rawchoice_looks(&job->choice);
	enum blockz_status status = BLOCKZ_OK;
	if (looks && job->image.size == BLOCKZ_UNKNOWN)
		return tool_fault(&job->fault, BLOCKZ_USAGE,
				  "is a stream, where partitions cannot be looked up before it is compressed; name offsets");
	if (job->list != NULL)
		status = add_list(job);
	if (status == BLOCKZ_OK && looks)
		status = rawchoice_find(&job->choice, &job->image, &job->raw, &job->fault);
	job->pack.raw = job->raw.items;
	job->pack.raw_count = job->raw.count;
	return status;
}

/* ---- The work */

static enum blockz_status open_input(struct job *job)
{
	job->input_fd = is_stream(job->input) ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0)
					      : open(job->input, O_RDONLY | O_CLOEXEC);
	if (job->input_fd < 0)
		return tool_fault_errno(&job->fault, errno, "open");
	/* Of a pipe the position is an error, and no matter. */
	if (lseek(job->input_fd, 0, SEEK_CUR) > 0)
		return tool_fault(&job->fault, BLOCKZ_USAGE, "a file as standard input must stand at its beginning");
	audience_add(&job->audience, job->input_fd);
	return blockz_source_fd(job->input_fd, &job->image, &job->fault);
}

/* The output would replace what is still being read. */
static bool is_same_file(const struct job *job)
{
	struct stat in, out;
	return !is_stream(job->output_path) && fstat(job->input_fd, &in) == 0 && stat(job->output_path, &out) == 0 &&
	       in.st_dev == out.st_dev && in.st_ino == out.st_ino;
}

static enum blockz_status pack_image(struct job *job, const struct blockz_source *image)
{
	struct blockz_fd_sink memory;
	struct blockz_sink sink = blockz_sink_fd(&memory, job->output.fd);
	job->pack.work = cli_work(&job->cli, "compress", job->image.size, job->threads);
	enum blockz_status status = blockz_pack(image, &sink, &job->pack, &job->result, &job->fault);
	cli_work_end(&job->cli);
	/* Wrong arguments, as a range beyond the image, speak of it too. */
	job->of_input = status == BLOCKZ_USAGE || (status != BLOCKZ_OK && job->fault.subject == BLOCKZ_ABOUT_IMAGE);
	return status;
}

static enum blockz_status pack_hashed(struct job *job)
{
	struct digest_tap tap = { 0 };
	struct blockz_source image;
	enum blockz_status status = digest_tap_start(&tap, &job->image, &image, &job->fault);
	if (status == BLOCKZ_OK)
		status = pack_image(job, &image);
	if (status == BLOCKZ_OK)
		status = digest_tap_finish(&tap, job->result.image_size, job->report.image_sha256, &job->fault);
	digest_free(&tap.digest);
	return status;
}

/* From the disk, not from memory: what was synced is dropped from the page cache, so that it has to be read. */
static enum blockz_status verify_output(struct job *job)
{
	struct blockz_source file;
	struct blockz_verify_result result;
	struct blockz_verify_options options = {
		.against = job->image.size != BLOCKZ_UNKNOWN ? &job->image : NULL,
		.work = cli_work(&job->cli, "verify", job->result.image_size, job->threads),
	};
	enum blockz_status status = output_sync(&job->output, &job->fault);
	if (status == BLOCKZ_OK)
		status = blockz_source_fd(job->output.fd, &file, &job->fault);
	if (status == BLOCKZ_OK) {
		posix_fadvise(job->output.fd, 0, 0, POSIX_FADV_DONTNEED);
		status = blockz_verify(&file, &options, &result, &job->fault);
	}
	cli_work_end(&job->cli);
	return status;
}

static enum blockz_status write_output(struct job *job)
{
	enum blockz_status status = job->image_digest ? pack_hashed(job) : pack_image(job, &job->image);
	if (status == BLOCKZ_OK && job->verify)
		status = verify_output(job);
	return status == BLOCKZ_OK ? output_commit(&job->output, &job->fault) : status;
}

/* ---- What is said at the end */

static enum blockz_status print_report(struct job *job)
{
	struct blockz_source file;
	struct blockz_work work = cli_work(&job->cli, "digest", job->result.file_size, job->threads);
	enum blockz_status status = BLOCKZ_OK;
	job->report.path = job->output_path;
	job->report.size = job->result.file_size;
	job->report.image_size = job->result.image_size;
	if (!job->output.is_stream) {
		status = blockz_source_fd(job->output.fd, &file, &job->fault);
		if (status == BLOCKZ_OK)
			status = report_digests(&job->report, &file, NULL, &work, &job->fault);
	}
	cli_work_end(&job->cli);
	if (status != BLOCKZ_OK)
		return status;
	json_t *object = report_json(&job->report);
	json_object_set_new(object, "format", json_string(job->pack.format));
	json_object_set_new(object, "pieces", json_bytes(job->result.pieces));
	json_object_set_new(object, "raw_bytes", json_bytes(job->result.raw_bytes));
	json_object_set_new(object, "zero_bytes", json_bytes(job->result.zero_bytes));
	json_object_set_new(object, "index_piece_size", json_bytes(job->result.index_piece_size));
	return cli_print_json(&job->cli, object, &job->fault);
}

static void say_done(const struct job *job)
{
	const struct blockz_pack_result *result = &job->result;
	char image[32], file[32], raw[32], zero[32];
	size_human(image, sizeof(image), result->image_size);
	size_human(file, sizeof(file), result->file_size);
	size_human(raw, sizeof(raw), result->raw_bytes);
	size_human(zero, sizeof(zero), result->zero_bytes);
	cli_say(&job->cli, is_stream(job->output_path) ? stderr : stdout, job->output_path,
		"image of %s in %s (%.1f %%), %s of it raw, %s of zeros", image, file,
		result->image_size > 0 ? 100.0 * (double)result->file_size / (double)result->image_size : 100.0, raw, zero);
	if (result->index_piece_size == 0 && !job->pack.no_index && job->image.size != BLOCKZ_UNKNOWN && !job->output.is_stream)
		cli_warn(&job->cli, job->output_path, "no index: it has more ranges than fit into one");
}

static enum blockz_status run(struct job *job)
{
	enum blockz_status status = open_input(job);
	if (status == BLOCKZ_OK && is_same_file(job))
		status = tool_fault(&job->fault, BLOCKZ_USAGE, "INPUT and OUTPUT are the same file");
	if (status == BLOCKZ_OK)
		status = collect_raw(job);
	return status;
}

static enum blockz_status run_output(struct job *job)
{
	enum blockz_status status =
		output_open(&job->output, job->output_path, job->force, &job->audience, &job->fault);
	if (status == BLOCKZ_OK && job->verify && job->output.is_stream)
		status = tool_fault(&job->fault, BLOCKZ_UNSUPPORTED, "--verify needs a file to read back");
	if (status == BLOCKZ_OK)
		status = write_output(job);
	if (status == BLOCKZ_OK) {
		job->cli.state = BLOCKZ_IMAGE_UPDATED;
		status = job->cli.json ? print_report(job) : BLOCKZ_OK;
		if (status != BLOCKZ_OK)
			job->fault.state = job->cli.state;
	}
	if (status == BLOCKZ_OK)
		say_done(job);
	output_close(&job->output);
	return status;
}

int main(int argc, char **argv)
{
	struct job job = { .input_fd = -1, .output = OUTPUT_INIT };
	read_options(&job, argc, argv);
	const char *file = job.input;
	enum blockz_status status = run(&job);
	if (status == BLOCKZ_OK) {
		status = run_output(&job);
		if (!job.of_input)
			file = job.output_path;
	}
	if (status != BLOCKZ_OK)
		cli_fail(&job.cli, file, &job.fault);
	if (job.input_fd >= 0)
		close(job.input_fd);
	rawlist_free(&job.raw);
	rawchoice_free(&job.choice);
	return cli_finish(&job.cli, status);
}
