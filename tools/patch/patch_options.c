/* SPDX-License-Identifier: BSD-3-Clause */
/* Which options exclude each other is checked once all are read. */
#include "patch/patch_options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/stream.h"
#include "files/input.h"
#include "files/output.h"

enum {
	KEY_OFFSET = CLI_FIRST_KEY,
	KEY_PARTITION,
	KEY_INPUT,
	KEY_SET,
	KEY_FROM,
	KEY_BASE,
	KEY_ANYWHERE,
	KEY_WAY,
	KEY_RESIZE,
	KEY_OUTPUT,
	KEY_BMAP,
	KEY_COMPOSITION,
	KEY_COMPOSE,
	KEY_SIDE,
	KEY_FORCE,
	KEY_DRY_RUN,
	KEY_RECOVER,
	KEY_NO_JOURNAL,
	KEY_NO_LOCK,
	KEY_IMAGE_DIGEST,
};

static const struct cli_option option_rows[] = {
	{ "offset", KEY_OFFSET, "OFF", "write the input to the image at OFF" },
	{ "partition", KEY_PARTITION, "NAME", "write the input to a partition: its number, name, label or UUID" },
	CLI_SECTOR_SIZE,
	{ "input", KEY_INPUT, "DATA", "what to write (-: standard input)" },
	{ "set", KEY_SET, "OFF=DATA", "write the file DATA to the image at OFF; repeatable" },
	{ "from", KEY_FROM, "EDITED", "make the image that of EDITED, a whole plain image" },
	{ "base", KEY_BASE, "ORIGINAL", "with --from: the plain image that EDITED was made from" },
	{ "anywhere", KEY_ANYWHERE, NULL, "change compressed bytes as well: pieces that they lie in are encoded again" },
	{ "way", KEY_WAY, "HOW",
	  "with --anywhere: auto (default), in-place (FILE keeps its length, or is left as it is),\n"
	  "or splice (a new file takes the place of FILE)" },
	{ "resize", KEY_RESIZE, "SIZE", "with --anywhere: the image gets this size, by zeros behind it or a cut" },
	{ "output", KEY_OUTPUT, "NEW", "write a patched copy to NEW (-: standard output); FILE stays as it is" },
	{ "force", KEY_FORCE, NULL, "let --output and --composition replace existing files" },
	{ "bmap", KEY_BMAP, "BMAP", "keep this block map of the image true: it will be that of the patched one" },
	{ "composition", KEY_COMPOSITION, "COMP",
	  "write to COMP what the new file is made of, and long new bytes to COMP.data" },
	{ "compose", KEY_COMPOSE, "COMP", "make NEW of FILE, whatever it is, as COMP says" },
	{ "side", KEY_SIDE, "DATA", "with --compose: the side file of COMP, if it has one" },
	{ "dry-run", KEY_DRY_RUN, NULL, "print what would be written, write nothing (but COMP)" },
	{ "recover", KEY_RECOVER, "[=HOW]",
	  "finish or undo an interrupted edit, and bring into FILE what was written to a served\n"
	  "disk, nothing else; HOW where that cannot be decided here: undo (as before the edit),\n"
	  "commit (what was written is of FILE) or drop (keep FILE, remove what is beside it)" },
	{ "no-journal", KEY_NO_JOURNAL, NULL, "write without a journal: a crash in the middle destroys FILE" },
	{ "no-lock", KEY_NO_LOCK, NULL, "write where the file system knows no locks: nothing keeps other programs out" },
	CLI_SCAN,
	CLI_WINDOW_MAX,
	CLI_JSON,
	{ "image-digest", KEY_IMAGE_DIGEST, NULL, "with --json: add the SHA-256 of the image" },
	CLI_QUIET,
	CLI_HELP,
	CLI_VERSION,
	{ 0 },
};

static const struct cli_tool tool = {
	"blockz-patch",
	"[OPTION]... --offset OFF --input DATA FILE\n"
	"[OPTION]... --partition NAME --input DATA FILE\n"
	"[OPTION]... --set OFF=DATA... FILE\n"
	"[OPTION]... --from EDITED [--base ORIGINAL] FILE\n"
	"[OPTION]... --anywhere --resize SIZE FILE\n"
	"[OPTION]... --compose COMP [--side DATA] --output NEW FILE\n"
	"[OPTION]... --recover[=HOW] FILE",
	"Change bytes of the disk image inside the compressed FILE, all edits or none: raw ranges, or with --anywhere all.",
	option_rows,
	NULL,
};

static bool has_edits(const struct patch_options *options)
{
	return options->has_offset || options->partition != NULL || options->input != NULL || options->set_count > 0 ||
	       options->from != NULL || options->resize;
}

static void add_set(struct patch_options *options, const struct cli *cli, const char *argument)
{
	struct patch_set *sets = reallocarray(options->sets, options->set_count + 1, sizeof(*sets));
	const char *equals = strchr(argument, '=');
	char off[64];
	if (equals == NULL || equals[1] == '\0' || (size_t)(equals - argument) >= sizeof(off))
		cli_usage(cli, "--set: expected OFF=DATA, found %s", argument);
	if (sets == NULL)
		cli_usage(cli, "--set: no memory");
	memcpy(off, argument, (size_t)(equals - argument));
	off[equals - argument] = '\0';
	options->sets = sets;
	sets[options->set_count++] = (struct patch_set){ cli_size(cli, "--set", off), equals + 1 };
}

/* --force is not meant for what the edits come from; option: the one that names `path`. */
static void check_written(const struct patch_options *options, const struct cli *cli, const char *option, const char *path)
{
	const char *const inputs[] = { options->input, options->from, options->base, options->bmap, options->compose, options->side };
	for (size_t i = 0; i < sizeof(inputs) / sizeof(inputs[0]); i++)
		if (inputs[i] != NULL && input_is_same(inputs[i], path))
			cli_usage(cli, "%s would replace %s, which is read", option, inputs[i]);
	for (size_t i = 0; i < options->set_count; i++)
		if (input_is_same(options->sets[i].path, path))
			cli_usage(cli, "%s would replace %s, which is read", option, options->sets[i].path);
}

/* A composition, and its side file, are no place for what else is read or written. */
static void check_composition(const struct patch_options *options, const struct cli *cli)
{
	const char *const paths[] = { options->composition, options->composition_side };
	if (is_stream(options->composition))
		cli_usage(cli, "--composition -: it is a file, with another beside it");
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		check_written(options, cli, "--composition", paths[i]);
		if (input_is_same(cli->operands[0], paths[i]))
			cli_usage(cli, "--composition would replace %s, which is read", cli->operands[0]);
		if (options->output != NULL && (strcmp(options->output, paths[i]) == 0 || input_is_same(options->output, paths[i])))
			cli_usage(cli, "--output and --composition are one file");
	}
}

/* Nothing is edited where a composition is followed. */
static void check_compose(const struct patch_options *options, const struct cli *cli)
{
	if (has_edits(options) || options->recover || options->anywhere || options->bmap != NULL || options->composition != NULL ||
	    options->dry_run || options->image_digest || options->no_journal || options->no_lock || cli->sector_size != 0 ||
	    cli->map.scan || cli->map.window_max != 0)
		cli_usage(cli, "--compose stands with --side, --output, --force, --json and --quiet alone");
	if (options->output == NULL)
		cli_usage(cli, "--compose needs --output");
}

static void check_options(const struct patch_options *options, const struct cli *cli)
{
	int places = options->has_offset + (options->partition != NULL);
	bool to_stdout = options->output != NULL && is_stream(options->output);
	if (cli->operand_count != 1)
		cli_usage(cli, "expected one FILE, found %d", cli->operand_count);
	if (options->recover &&
	    (has_edits(options) || options->output != NULL || options->bmap != NULL || options->composition != NULL ||
	     options->dry_run || options->no_journal))
		cli_usage(cli, "--recover stands without edits, --output, --bmap, --composition, --dry-run and --no-journal");
	if (places > 1)
		cli_usage(cli, "--offset and --partition exclude each other; --set can be repeated");
	if ((places > 0) != (options->input != NULL))
		cli_usage(cli, places > 0 ? "--input is missing" : "--input needs --offset or --partition");
	if (cli->sector_size != 0 && options->partition == NULL)
		cli_usage(cli, "--sector-size needs --partition");
	if (options->base != NULL && options->from == NULL)
		cli_usage(cli, "--base needs --from");
	if (options->from != NULL && (places > 0 || options->set_count > 0))
		cli_usage(cli, "--from stands without other edits");
	if (!options->recover && options->compose == NULL && !has_edits(options))
		cli_usage(cli, "nothing to do: --offset, --partition, --set, --from, --resize, --recover or --compose is missing");
	if (options->way != BLOCKZ_WAY_AUTO && !options->anywhere)
		cli_usage(cli, "--way needs --anywhere");
	if (options->resize && !options->anywhere)
		cli_usage(cli, "--resize needs --anywhere");
	if (options->resize && options->base != NULL)
		cli_usage(cli, "--base stands without --resize: EDITED and ORIGINAL have one size");
	if (options->anywhere && options->recover)
		cli_usage(cli, "--recover needs no --anywhere");
	if (options->force && options->output == NULL && options->composition == NULL)
		cli_usage(cli, "--force needs --output or --composition");
	if (options->side != NULL && options->compose == NULL)
		cli_usage(cli, "--side needs --compose");
	if (options->compose != NULL)
		check_compose(options, cli);
	if ((options->no_journal || options->no_lock) && options->output != NULL)
		cli_usage(cli, "--output needs no %s", options->no_journal ? "journal" : "lock to write");
	if (options->image_digest && (!cli->json || to_stdout))
		cli_usage(cli, "--image-digest needs --json%s", to_stdout ? ", and a file to read back" : "");
	if (to_stdout && !options->dry_run && isatty(STDOUT_FILENO))
		cli_usage(cli, "--output -: compressed data is not written to a terminal");
	if (options->output != NULL)
		check_written(options, cli, "--output", options->output);
	if (options->composition != NULL)
		check_composition(options, cli);
}

static enum blockz_remedy read_remedy(const struct cli *cli, const char *how)
{
	static const char *const names[] = {
		[BLOCKZ_REMEDY_UNDO] = "undo", [BLOCKZ_REMEDY_DROP] = "drop", [BLOCKZ_REMEDY_COMMIT] = "commit",
	};
	if (how == NULL)
		return BLOCKZ_REMEDY_RECOVER;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (names[i] != NULL && strcmp(how, names[i]) == 0)
			return (enum blockz_remedy)i;
	cli_usage(cli, "--recover=%s: expected undo, commit or drop", how);
}

static enum blockz_way read_way(const struct cli *cli, const char *how)
{
	static const char *const names[] = {
		[BLOCKZ_WAY_AUTO] = "auto", [BLOCKZ_WAY_IN_PLACE] = "in-place", [BLOCKZ_WAY_SPLICE] = "splice",
	};
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(how, names[i]) == 0)
			return (enum blockz_way)i;
	cli_usage(cli, "--way %s: expected auto, in-place or splice", how);
}

void patch_options_read(struct patch_options *options, struct cli *cli, int argc, char **argv)
{
	int key;
	*options = (struct patch_options){ 0 };
	cli_start(cli, &tool, argc, argv);
	while ((key = cli_next(cli)) != CLI_END) {
		const char *argument = cli->argument;
		switch (key) {
		case KEY_OFFSET:
			options->offset = cli_size(cli, "--offset", argument);
			options->has_offset = true;
			break;
		case KEY_PARTITION:
			options->partition = argument;
			break;
		case KEY_INPUT:
			options->input = argument;
			break;
		case KEY_SET:
			add_set(options, cli, argument);
			break;
		case KEY_FROM:
			options->from = argument;
			break;
		case KEY_BASE:
			options->base = argument;
			break;
		case KEY_ANYWHERE:
			options->anywhere = true;
			break;
		case KEY_WAY:
			options->way = read_way(cli, argument);
			break;
		case KEY_RESIZE:
			options->image_size = cli_size(cli, "--resize", argument);
			options->resize = true;
			break;
		case KEY_OUTPUT:
			options->output = output_name(argument);
			break;
		case KEY_BMAP:
			options->bmap = argument;
			break;
		case KEY_COMPOSITION:
			options->composition = argument;
			break;
		case KEY_COMPOSE:
			options->compose = argument;
			break;
		case KEY_SIDE:
			options->side = argument;
			break;
		case KEY_FORCE:
			options->force = true;
			break;
		case KEY_DRY_RUN:
			options->dry_run = true;
			break;
		case KEY_RECOVER:
			options->recover = true;
			options->remedy = read_remedy(cli, argument);
			break;
		case KEY_NO_JOURNAL:
			options->no_journal = true;
			break;
		case KEY_NO_LOCK:
			options->no_lock = true;
			break;
		case KEY_IMAGE_DIGEST:
			options->image_digest = true;
			break;
		}
	}
	if (options->composition != NULL && asprintf(&options->composition_side, "%s.data", options->composition) < 0)
		cli_usage(cli, "--composition: no memory");
	check_options(options, cli);
	if (options->output != NULL && is_stream(options->output) && !options->dry_run)
		cli->json_out = stderr;
	options->file = cli->operands[0];
}

void patch_options_free(struct patch_options *options)
{
	free(options->sets);
	free(options->composition_side);
	*options = (struct patch_options){ 0 };
}
