/* SPDX-License-Identifier: BSD-3-Clause */
#include "cli/cli.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/fault.h"
#include "cli/json.h"
#include "cli/signals.h"
#include "cli/size.h"

/* ---- Options */

static bool takes_optional(const struct cli_option *option)
{
	return option->argument != NULL && option->argument[0] == '[';
}

static int argument_of(const struct cli_option *option)
{
	return option->argument == NULL ? no_argument : takes_optional(option) ? optional_argument : required_argument;
}

static void add_short(struct cli *cli, int key, int argument)
{
	size_t len = strlen(cli->shorts);
	snprintf(cli->shorts + len, sizeof(cli->shorts) - len, "%c%s", key,
		 argument == no_argument ? "" : argument == required_argument ? ":" : "::");
}

/* Errors of options may come before --json is reached. */
static bool wants_json(int argc, char **argv, const struct cli_option *options)
{
	bool known = false;
	for (; options->key != 0; options++)
		known = known || options->key == CLI_KEY_JSON;
	for (int i = 1; known && i < argc && strcmp(argv[i], "--") != 0; i++)
		if (strcmp(argv[i], "--json") == 0)
			return true;
	return false;
}

/*
 * What was closed when the program started must not become the number of a file, to which messages, or data for standard
 * output, would go then.  Of such a descriptor nothing can be read, and nothing written to it, as of a closed one.
 */
static void occupy_closed(void)
{
	struct stat st;
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fstat(fd, &st) < 0 && open("/dev/null", O_PATH) < 0)
			open("/", O_PATH);
}

void cli_start(struct cli *cli, const struct cli_tool *tool, int argc, char **argv)
{
	size_t count = 0, longs = 0;
	occupy_closed();
	signals_start(tool->name);
	*cli = (struct cli){ .tool = tool, .argc = argc, .argv = argv, .json_out = stdout, .shorts = ":" };
	cli->json = wants_json(argc, argv, tool->options);
	while (tool->options[count].key != 0)
		count++;
	cli->longs = calloc(count + 1, sizeof(*cli->longs));
	if (cli->longs == NULL) {
		fprintf(stderr, "%s: %s\n", tool->name, strerror(ENOMEM));
		exit(BLOCKZ_FAILED);
	}
	for (const struct cli_option *option = tool->options; option->key != 0; option++) {
		if (option->name != NULL)
			cli->longs[longs++] = (struct option){ option->name, argument_of(option), NULL, option->key };
		if (option->key < CLI_KEY_JSON)
			add_short(cli, option->key, argument_of(option));
		for (int digit = '0'; option->key == CLI_KEY_LEVEL && digit <= '9'; digit++)
			add_short(cli, digit, optional_argument);
	}
}

/*
 * A level is all the digits that follow the dash, and other options may follow them: -12 is a level, -9k a level and an
 * option.  getopt sees the first digit, and the rest as its argument.
 */
static int take_level(struct cli *cli, int digit)
{
	char *rest = optarg;
	int level = digit - '0';
	while (rest != NULL && isdigit((unsigned char)*rest) && level < 1000)
		level = level * 10 + (*rest++ - '0');
	if (level >= 1000)
		cli_usage(cli, "there is no level -%c%s", digit, optarg != NULL ? optarg : "");
	cli->level = level == 0 ? BLOCKZ_LEVEL_0 : level;
	if (rest != NULL && *rest != '\0') {
		*--rest = '-';
		cli->argv[--optind] = rest;
	}
	return CLI_KEY_LEVEL;
}

static void option_text(char *text, size_t room, const struct cli_option *option)
{
	char letter[8] = "    ";
	if (option->key == CLI_KEY_LEVEL) {
		int least = INT_MAX, most = INT_MIN;
		const struct blockz_format *format;
		for (size_t i = 0; (format = blockz_format_at(i)) != NULL; i++) {
			if (format->is_read_only)
				continue;
			least = format->level_min < least ? format->level_min : least;
			most = format->level_max > most ? format->level_max : most;
		}
		snprintf(text, room, "  -%d to -%d", least, most);
		return;
	}
	if (option->key < CLI_KEY_JSON)
		snprintf(letter, sizeof(letter), "-%c, ", option->key);
	snprintf(text, room, "  %s--%s%s%s", letter, option->name,
		 option->argument == NULL || takes_optional(option) ? "" : " ",
		 option->argument != NULL ? option->argument : "");
}

static void print_option(const struct cli_option *option)
{
	enum { COLUMN = 30 };
	char left[64];
	option_text(left, sizeof(left), option);
	if (strlen(left) > COLUMN - 2) {
		printf("%s\n", left);
		left[0] = '\0';
	}
	for (const char *help = option->help; *help != '\0';) {
		int len = (int)strcspn(help, "\n");
		printf("%-*s%.*s\n", COLUMN, left, len, help);
		left[0] = '\0';
		help += len + (help[len] == '\n');
	}
}

static void print_help(const struct cli_tool *tool)
{
	const char *usage = tool->usage, *lead = "Usage:";
	while (*usage != '\0') {
		int len = (int)strcspn(usage, "\n");
		printf("%s %s %.*s\n", lead, tool->name, len, usage);
		lead = "      ";
		usage += len + (usage[len] == '\n');
	}
	printf("\n%s\n\n", tool->summary);
	for (const struct cli_option *option = tool->options; option->key != 0; option++)
		print_option(option);
	if (tool->more != NULL) {
		putchar('\n');
		tool->more(stdout);
	}
}

static void take_sector_size(struct cli *cli)
{
	struct blockz_fault fault;
	if (size_parse_sector(optarg, &cli->sector_size, &fault) != BLOCKZ_OK)
		cli_usage(cli, "--sector-size: %s", fault.text);
}

/* Deals with the options that are the same everywhere; false: it is none of them. */
static bool take_common(struct cli *cli, int key)
{
	switch (key) {
	case 'h':
		print_help(cli->tool);
		exit(cli_finish(cli, BLOCKZ_OK));
	case 'V':
		printf("%s (blockz) %s\n", cli->tool->name, BLOCKZ_VERSION);
		exit(cli_finish(cli, BLOCKZ_OK));
	case 'q':
		cli->quiet = true;
		return true;
	case CLI_KEY_JSON:
		cli->json = true;
		return true;
	case CLI_KEY_SCAN:
		cli->map.scan = true;
		return true;
	case CLI_KEY_WINDOW_MAX:
		cli->map.window_max = cli_size(cli, "--window-max", optarg);
		return true;
	case CLI_KEY_SECTOR_SIZE:
		take_sector_size(cli);
		return true;
	case CLI_KEY_PROGRESS:
		if (optarg != NULL && strcmp(optarg, "always") != 0)
			cli_usage(cli, "--progress=%s: expected always", optarg);
		cli->progress = optarg != NULL ? CLI_PROGRESS_ALWAYS : CLI_PROGRESS_AUTO;
		return true;
	}
	return false;
}

static _Noreturn void bad_option(const struct cli *cli, int key)
{
	const char *text = cli->argv[optind - 1];
	if (key == ':')
		cli_usage(cli, "option '%s' needs an argument", text);
	if (optopt != 0 && optopt < CLI_KEY_JSON && strncmp(text, "--", 2) != 0)
		cli_usage(cli, "unknown option '-%c'", optopt);
	if (optopt != 0)
		cli_usage(cli, "option '%s' takes no argument", text);
	cli_usage(cli, "unknown or ambiguous option '%s'", text);
}

int cli_next(struct cli *cli)
{
	for (;;) {
		int key = getopt_long(cli->argc, cli->argv, cli->shorts, cli->longs, NULL);
		if (key == -1) {
			cli->operands = cli->argv + optind;
			cli->operand_count = cli->argc - optind;
			return CLI_END;
		}
		if (key == '?' || key == ':')
			bad_option(cli, key);
		if (key < CLI_KEY_JSON && isdigit(key))
			return take_level(cli, key);
		cli->argument = optarg;
		if (!take_common(cli, key))
			return key;
	}
}

uint64_t cli_size(const struct cli *cli, const char *name, const char *text)
{
	struct blockz_fault fault;
	uint64_t size = 0;
	if (size_parse(text, &size, &fault) != BLOCKZ_OK)
		cli_usage(cli, "%s: %s", name, fault.text);
	return size;
}

unsigned cli_threads(const struct cli *cli, const char *text)
{
	char *end;
	errno = 0;
	unsigned long threads = strtoul(text, &end, 10);
	if (!isdigit((unsigned char)text[0]) || *end != '\0' || errno != 0 || threads > CLI_THREADS_MAX)
		cli_usage(cli, "'%s' is no number of threads from 0 to %d", text, CLI_THREADS_MAX);
	return (unsigned)threads;
}

/* ---- Messages */

static void print_head(const struct cli *cli, const char *file)
{
	fprintf(stderr, "%s: ", cli->tool->name);
	if (file != NULL) {
		put_escaped(stderr, file);
		fputs(": ", stderr);
	}
}

static const char *const state_names[] = {
	[BLOCKZ_IMAGE_UNCHANGED] = "unchanged",
	[BLOCKZ_IMAGE_ROLLED_BACK] = "rolled back",
	[BLOCKZ_IMAGE_UPDATED] = "updated",
	[BLOCKZ_IMAGE_NEEDS_RECOVERY] = "needs recovery",
	[BLOCKZ_IMAGE_TORN] = "torn",
};

enum blockz_status cli_fail(const struct cli *cli, const char *file, const struct blockz_fault *fault)
{
	/* Whatever failed, a file that needs recovery is what a script has to know of. */
	enum blockz_status status = fault->state == BLOCKZ_IMAGE_NEEDS_RECOVERY ? BLOCKZ_NEEDS_RECOVERY : fault->status;
	print_head(cli, file);
	if (fault->offset != BLOCKZ_UNKNOWN)
		fprintf(stderr, "offset %" PRIu64 ": ", fault->offset);
	put_escaped(stderr, fault->text);
	char *sentence = state_sentence(fault, file);
	fprintf(stderr, "\n%s\n", sentence != NULL ? sentence : "?");
	free(sentence);
	if (cli->json)
		cli_print_json(cli, json_pack("{s:{s:i,s:o,s:s,s:o,s:o}}", "error", "status", (int)status,
					      "offset", json_bytes(fault->offset), "state", state_names[fault->state],
					      "text", json_message(fault->text), "file",
					      file != NULL ? json_name(file) : json_null()), NULL);
	return status;
}

/* The caller frees it; NULL: no memory. */
static char *format_text(const char *format, va_list args)
{
	char *text = NULL;
	return vasprintf(&text, format, args) >= 0 ? text : NULL;
}

void cli_warn(const struct cli *cli, const char *file, const char *format, ...)
{
	va_list args;
	if (cli->quiet)
		return;
	va_start(args, format);
	char *text = format_text(format, args);
	va_end(args);
	print_head(cli, file);
	put_escaped(stderr, text != NULL ? text : "?");
	fputc('\n', stderr);
	free(text);
}

void cli_note(const struct cli *cli, const char *file, const struct blockz_store *store)
{
	if (store->note != NULL)
		cli_warn(cli, file, "%s", store->note);
}

void cli_say(const struct cli *cli, FILE *out, const char *file, const char *format, ...)
{
	va_list args;
	if (cli->quiet || cli->json)
		return;
	va_start(args, format);
	char *text = format_text(format, args);
	va_end(args);
	put_escaped(out, file);
	fputs(": ", out);
	put_escaped(out, text != NULL ? text : "?");
	fputc('\n', out);
	free(text);
}

void cli_usage(const struct cli *cli, const char *format, ...)
{
	struct blockz_fault fault;
	va_list args;
	va_start(args, format);
	char *text = format_text(format, args);
	va_end(args);
	tool_fault(&fault, BLOCKZ_USAGE, "%s (see --help)", text != NULL ? text : "?");
	free(text);
	exit((int)cli_fail(cli, NULL, &fault));
}

enum blockz_status cli_print_json(const struct cli *cli, json_t *object, struct blockz_fault *fault)
{
	bool done = json_print(cli->json_out, object, 0);
	json_decref(object);
	if (!done)
		return tool_fault(fault, BLOCKZ_FAILED, "the result could not be printed as JSON");
	fputc('\n', cli->json_out);
	return BLOCKZ_OK;
}

int cli_finish(struct cli *cli, enum blockz_status status)
{
	int error = ferror(stdout) ? EIO : 0;
	free(cli->longs);
	cli->longs = NULL;
	/* A descriptor that was closed from the start is no error unless something was written. */
	if (fclose(stdout) != 0 && (errno != EBADF || error != 0))
		error = errno;
	if (error != 0) {
		struct blockz_fault fault;
		tool_fault_errno(&fault, error, "write error");
		fault.state = cli->state;
		cli->json = false;
		cli_fail(cli, "(stdout)", &fault);
		status = status == BLOCKZ_OK ? BLOCKZ_FAILED : status;
	}
	if (status != BLOCKZ_OK)
		signals_die_if_noted();
	return (int)status;
}

/* ---- Progress */

static double seconds_between(const struct timespec *start, const struct timespec *end)
{
	return (double)(end->tv_sec - start->tv_sec) + (double)(end->tv_nsec - start->tv_nsec) / 1e9;
}

static void draw(struct cli *cli, uint64_t done, double seconds)
{
	enum { WIDTH = 24 };
	char done_text[32], total_text[32], rate[32];
	size_human(done_text, sizeof(done_text), done);
	size_human(rate, sizeof(rate), seconds > 0 ? (uint64_t)((double)done / seconds) : 0);
	fprintf(stderr, "\r%s: ", cli->bar.label);
	if (cli->bar.total != BLOCKZ_UNKNOWN && cli->bar.total > 0) {
		double part = done < cli->bar.total ? (double)done / (double)cli->bar.total : 1;
		unsigned long left = part > 0 ? (unsigned long)(seconds / part * (1 - part) + 0.5) : 0;
		int filled = (int)(part * WIDTH);
		size_human(total_text, sizeof(total_text), cli->bar.total);
		fprintf(stderr, "[%.*s%.*s] %3d%%  %s of %s  %s/s  ETA %lu:%02lu", filled, "========================",
			WIDTH - filled, "........................", (int)(part * 100), done_text, total_text, rate,
			left / 60, left % 60);
	} else {
		fprintf(stderr, "%s  %s/s", done_text, rate);
	}
	fputs(isatty(STDERR_FILENO) ? "\033[K" : "  ", stderr);
	fflush(stderr);
	cli->bar.shown = true;
	signals_line_begun(true);
}

static bool on_progress(void *ctx, uint64_t image_done, uint64_t file_done)
{
	enum { A_SECOND = 8 };
	struct cli *cli = ctx;
	struct timespec now;
	uint64_t done = cli->bar.of_file ? file_done : image_done;
	if (cli->progress != CLI_PROGRESS_NEVER) {
		clock_gettime(CLOCK_MONOTONIC, &now);
		bool must = cli->progress == CLI_PROGRESS_ALWAYS && (!cli->bar.shown || done == cli->bar.total);
		if (must || seconds_between(&cli->bar.last, &now) > 1.0 / A_SECOND) {
			draw(cli, done, seconds_between(&cli->bar.start, &now));
			cli->bar.last = now;
		}
	}
	return signals_noted() == 0;
}

struct blockz_work cli_work(struct cli *cli, const char *label, uint64_t total, unsigned threads)
{
	if (cli->progress == CLI_PROGRESS_AUTO && (cli->quiet || !isatty(STDERR_FILENO)))
		cli->progress = CLI_PROGRESS_NEVER;
	cli->bar.label = label;
	cli->bar.total = total;
	cli->bar.of_file = false;
	cli->bar.shown = false;
	clock_gettime(CLOCK_MONOTONIC, &cli->bar.start);
	cli->bar.last = cli->bar.start;
	return (struct blockz_work){ .threads = threads, .progress = on_progress, .progress_ctx = cli };
}

struct blockz_work cli_work_on_file(struct cli *cli, const char *label, uint64_t file_size, unsigned threads)
{
	struct blockz_work work = cli_work(cli, label, file_size, threads);
	cli->bar.of_file = true;
	return work;
}

void cli_work_end(struct cli *cli)
{
	if (cli->bar.shown)
		fputs(isatty(STDERR_FILENO) ? "\r\033[K" : "\n", stderr);
	cli->bar.shown = false;
	signals_line_begun(false);
}
