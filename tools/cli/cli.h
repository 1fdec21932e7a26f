/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What every command does the same way: options and help from one table, messages, JSON, progress, signals, exit.
 *
 * Here is what has nothing to do with files and disks: it calls the public library for words and formats, and no other folder
 * of the tools.  It opens nothing that a user names, and decides nothing but how a program starts, speaks and ends.
 *
 *	static const struct cli_option options[] = {
 *		{ "raw", KEY_RAW, "START-END", "store this range" },
 *		CLI_JSON, CLI_QUIET, CLI_PROGRESS, CLI_HELP, CLI_VERSION, { 0 }
 *	};
 *	static const struct cli_tool tool = { "blockz-x", "[OPTION]... FILE", "Does x to FILE.", options, NULL };
 *
 *	int main(int argc, char **argv)
 *	{
 *		struct cli cli;
 *		int key;
 *		cli_start(&cli, &tool, argc, argv);
 *		while ((key = cli_next(&cli)) != CLI_END)
 *			switch (key) { case KEY_RAW: ... cli.argument ... }
 *		... cli.operands[0 .. cli.operand_count) ...
 *		if (status != BLOCKZ_OK)
 *			cli_fail(&cli, file, &fault);
 *		return cli_finish(&cli, status);
 *	}
 */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include <jansson.h>
#include <stdio.h>
#include <time.h>

#include "blockz.h"

/* Keys of a tool's own long options start at CLI_FIRST_KEY; a printable character is a short option as well. */
enum {
	CLI_END = -1,
	CLI_KEY_JSON = 256,
	CLI_KEY_PROGRESS,
	CLI_KEY_LEVEL,
	CLI_KEY_SCAN,
	CLI_KEY_WINDOW_MAX,
	CLI_KEY_SECTOR_SIZE,
	CLI_FIRST_KEY,
};

struct cli_option {
	const char *name;     /* long name without dashes; NULL: has none */
	int key;              /* what cli_next() returns; not 0 */
	const char *argument; /* NULL: takes none; "[=WHEN]" with brackets: may be left out; else what the help calls it */
	const char *help;     /* '\n' starts a further line */
};

/* Rows for options that cli_next() deals with itself and does not return. */
#define CLI_HELP { "help", 'h', NULL, "print this text" }
#define CLI_VERSION { "version", 'V', NULL, "print the version" }
#define CLI_JSON { "json", CLI_KEY_JSON, NULL, "print the result, or the error, as one JSON object" }
#define CLI_QUIET { "quiet", 'q', NULL, "print nothing but errors" }
#define CLI_PROGRESS { "progress", CLI_KEY_PROGRESS, "[=always]", "show progress, even if stderr is no terminal" }
/* These two set cli->map. */
#define CLI_SCAN { "scan", CLI_KEY_SCAN, NULL, "ignore the index, scan the file" }
#define CLI_WINDOW_MAX \
	{ "window-max", CLI_KEY_WINDOW_MAX, "N", "decode xz dictionaries and zstd windows up to N bytes (default: 128M)" }
/* Sets cli->threads. */
#define CLI_THREADS { "threads", 'T', "N", "threads (default: all)" }
/* Sets cli->sector_size. */
#define CLI_SECTOR_SIZE \
	{ "sector-size", CLI_KEY_SECTOR_SIZE, "N", "sectors of the disk: 512 or 4096 (default: as found)" }
/* -1, -9, -12: sets cli->level, returns CLI_KEY_LEVEL; what the formats have stands in front of the help. */
#define CLI_LEVEL { NULL, CLI_KEY_LEVEL, NULL, "from fastest to smallest" }

struct cli_tool {
	const char *name;
	const char *usage;   /* what follows the name; further lines of usage behind '\n' */
	const char *summary; /* one or more lines */
	const struct cli_option *options; /* ended by a row of zeros */
	void (*more)(FILE *out); /* prints what else the help says, such as defaults; NULL: nothing */
};

enum cli_progress { CLI_PROGRESS_AUTO, CLI_PROGRESS_ALWAYS, CLI_PROGRESS_NEVER };

struct cli {
	const struct cli_tool *tool;
	bool json, quiet;
	int level; /* as in struct blockz_pack_options; 0: not given */
	enum cli_progress progress;
	struct blockz_map_options map;
	unsigned sector_size; /* 512 or 4096; 0: not given */
	unsigned threads;     /* 0: as many as there are processors */
	char **operands;
	int operand_count;
	const char *argument; /* of the option that cli_next() returned last; NULL: none */
	FILE *json_out;       /* stdout, unless the tool says otherwise because its data goes there */
	/* What a later failure, as of closing stdout, leaves behind; the tool sets it once the edit is done. */
	enum blockz_state state;
	bool appended; /* of reading.h: something stands behind the image */
	/* Private. */
	int argc;
	char **argv;
	struct option *longs;
	char shorts[128];
	struct {
		bool shown;
		const char *label;
		uint64_t total; /* bytes, or BLOCKZ_UNKNOWN */
		bool of_file;   /* of the compressed file, not of the image */
		struct timespec start, last;
	} bar;
};

/*
 * Readies *cli, and the program: standard descriptors that are closed are occupied, signals end it as signals.h says.  To be
 * called before any file is opened.  tool and argv must live as long.
 */
void cli_start(struct cli *cli, const struct cli_tool *tool, int argc, char **argv);

/*
 * The key of the next option, CLI_END behind the last; then operands are set.  --help and --version print and exit
 * with status 0, an unknown option ends the program as cli_usage() does.  Options and operands may be mixed.
 */
int cli_next(struct cli *cli);

/* Says what is wrong with the arguments as cli_fail() does, points at --help, and exits with status 2. */
_Noreturn void cli_usage(const struct cli *cli, const char *format, ...) __attribute__((format(printf, 2, 3)));

/*
 * Reports a fault of a file: "TOOL: FILE: offset N: text" and the closing sentence of fault->state on stderr; with
 * --json also an object on json_out.  file may be NULL.  Returns the exit status: fault->status, or BLOCKZ_NEEDS_RECOVERY
 * where that is the state.
 */
enum blockz_status cli_fail(const struct cli *cli, const char *file, const struct blockz_fault *fault);

/* A warning on stderr, unless -q: "TOOL: FILE: text". */
void cli_warn(const struct cli *cli, const char *file, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Warns of what blockz_store_open() noted, if anything. */
void cli_note(const struct cli *cli, const char *file, const struct blockz_store *store);

/* What was done, as "FILE: text" on out (stdout or stderr); nothing with -q or --json. */
void cli_say(const struct cli *cli, FILE *out, const char *file, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/* Prints a JSON object in one line to json_out and drops the reference.  NULL (no memory) counts as failed. */
enum blockz_status cli_print_json(const struct cli *cli, json_t *object, struct blockz_fault *fault);

/*
 * To be returned by main(): closes stdout, and returns status, or 1 after a message if that was 0 and the output
 * could not be written.  If it is not 0 and a signal was noted, the program ends by that.
 */
int cli_finish(struct cli *cli, enum blockz_status status);

/*
 * What a library call that takes long gets as its work: cli->threads, and a progress function that draws the bar,
 * if wanted, and stops the work after a signal.  total: bytes of the image, BLOCKZ_UNKNOWN if not known.  label, such
 * as "verify", must live until cli_work_end(), which takes the bar away.
 */
struct blockz_work cli_work(struct cli *cli, const char *label, uint64_t total);
/* The same where the image's size is not known yet: the bar goes by bytes of the compressed file. */
struct blockz_work cli_work_on_file(struct cli *cli, const char *label, uint64_t file_size);
void cli_work_end(struct cli *cli);

/* The argument of option `name`, a number as size_parse() takes it; ends the program as cli_usage() does if it is none. */
uint64_t cli_size(const struct cli *cli, const char *name, const char *text);

#endif
