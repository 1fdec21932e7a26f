/* SPDX-License-Identifier: BSD-3-Clause */
/* Options and help from one table: getopt reads what the table says, and levels, which it cannot read. */
#include "cli/cli.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/fault.h"
#include "cli/signals.h"
#include "cli/size.h"

/* ---- Starting */

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

static void take_threads(struct cli *cli)
{
	enum { THREADS_MAX = 1024 };
	char *end;
	errno = 0;
	unsigned long threads = strtoul(optarg, &end, 10);
	if (!isdigit((unsigned char)optarg[0]) || *end != '\0' || errno != 0 || threads > THREADS_MAX)
		cli_usage(cli, "'%s' is no number of threads from 0 to %d", optarg, THREADS_MAX);
	cli->threads = (unsigned)threads;
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
	case 'T':
		take_threads(cli);
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
