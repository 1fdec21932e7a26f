/* SPDX-License-Identifier: BSD-3-Clause */
/* Whether ranges lie in the image, and a level is one of the format's, the library finds out. */
#include "pack/pack_options.h"

#include <string.h>
#include <unistd.h>

#include "cli/size.h"
#include "cli/stream.h"
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
	CLI_THREADS,
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

static void add_range(struct pack_options *options, const struct cli *cli, struct blockz_range range)
{
	struct blockz_fault fault;
	if (rawlist_add(&options->raw, range, &fault) != BLOCKZ_OK)
		cli_usage(cli, "%s", fault.text);
}

static void add_raw(struct pack_options *options, const struct cli *cli, const char *text)
{
	struct blockz_fault fault;
	struct blockz_range range;
	if (size_parse_range(text, &range, &fault) != BLOCKZ_OK)
		cli_usage(cli, "--raw: %s", fault.text);
	add_range(options, cli, range);
}

/* From an even one of the offsets to the next the image is raw, or to its end. */
static void add_offsets(struct pack_options *options, const struct cli *cli, char **offsets, int count)
{
	uint64_t last = 0;
	for (int i = 0; i < count; i++) {
		uint64_t off = cli_size(cli, "OFFSET", offsets[i]);
		if (i > 0 && off <= last)
			cli_usage(cli, "OFFSET %s does not lie behind the one before", offsets[i]);
		if (i % 2 == 1)
			add_range(options, cli, (struct blockz_range){ last, off });
		last = off;
	}
	if (count % 2 == 1)
		add_range(options, cli, (struct blockz_range){ last, BLOCKZ_UNKNOWN });
}

static void add_name(struct pack_options *options, const struct cli *cli, const char *name)
{
	struct blockz_fault fault;
	if (rawchoice_add(&options->choice, name, &fault) != BLOCKZ_OK)
		cli_usage(cli, "--raw-partition: %s", fault.text);
}

static const char *format_of_output(const struct pack_options *options, const struct cli *cli)
{
	const struct blockz_format *format = format_by_suffix(options->output);
	if (format == NULL)
		cli_usage(cli, "no format has the suffix of %s; --format chooses one", options->output);
	return format->name;
}

static const char *format_argument(const struct cli *cli, const char *text)
{
	const struct blockz_format *format;
	for (size_t i = 0; (format = blockz_format_at(i)) != NULL; i++)
		if (strcmp(text, format->name) == 0 || strcmp(text, format->suffix + 1) == 0)
			return format->name;
	cli_usage(cli, "--format: there is no format %s", text);
}

static void check_options(const struct pack_options *options, const struct cli *cli)
{
	bool to_stdout = is_stream(options->output);
	if (is_stream(options->input) && options->list != NULL && is_stream(options->list))
		cli_usage(cli, "INPUT and --raw-list cannot both be standard input");
	if (options->verify && to_stdout)
		cli_usage(cli, "--verify needs a file to read back, OUTPUT is -");
	if (options->image_digest && !cli->json)
		cli_usage(cli, "--image-digest needs --json");
	if (to_stdout && isatty(STDOUT_FILENO))
		cli_usage(cli, "compressed data is not written to a terminal");
}

static void take_option(struct pack_options *options, const struct cli *cli, int key, const char *argument)
{
	switch (key) {
	case KEY_RAW:
		add_raw(options, cli, argument);
		break;
	case KEY_RAW_PARTITION:
		add_name(options, cli, argument);
		break;
	case KEY_RAW_TABLE:
		options->choice.table = true;
		break;
	case KEY_RAW_LIST:
		options->list = argument;
		break;
	case KEY_DISK_OFFSET:
		options->choice.disk_off = cli_size(cli, "--disk-offset", argument);
		break;
	case 'f':
		options->pack.format = format_argument(cli, argument);
		break;
	case 'e':
		options->pack.extreme = true;
		break;
	case KEY_CHECK:
		options->pack.check = argument;
		break;
	case KEY_NO_CHECKSUM:
		options->pack.check = "none";
		break;
	case KEY_MEMORY:
		options->pack.memory = cli_size(cli, "--memory", argument);
		if (options->pack.memory == 0)
			cli_usage(cli, "--memory: 0 bytes are no limit that anything fits in");
		break;
	case KEY_PIECE_SIZE:
		options->pack.piece_size = cli_size(cli, "--piece-size", argument);
		break;
	case KEY_NO_INDEX:
		options->pack.no_index = true;
		break;
	case KEY_FORCE:
		options->force = true;
		break;
	case KEY_VERIFY:
		options->verify = true;
		break;
	case KEY_IMAGE_DIGEST:
		options->image_digest = true;
		break;
	}
}

void pack_options_read(struct pack_options *options, struct cli *cli, int argc, char **argv)
{
	int key;
	*options = (struct pack_options){ 0 };
	cli_start(cli, &tool, argc, argv);
	while ((key = cli_next(cli)) != CLI_END)
		take_option(options, cli, key, cli->argument);
	if (cli->operand_count < 2)
		cli_usage(cli, "expected INPUT and OUTPUT, found %d operand%s", cli->operand_count,
			  plural((uint64_t)cli->operand_count));
	options->input = cli->operands[0];
	options->output = output_name(cli->operands[1]);
	add_offsets(options, cli, cli->operands + 2, cli->operand_count - 2);
	check_options(options, cli);
	if (options->pack.format == NULL)
		options->pack.format = format_of_output(options, cli);
	options->pack.level = cli->level;
	options->choice.sector_size = cli->sector_size;
	if (is_stream(options->output))
		cli->json_out = stderr;
}

void pack_options_free(struct pack_options *options)
{
	rawlist_free(&options->raw);
	rawchoice_free(&options->choice);
	*options = (struct pack_options){ 0 };
}
