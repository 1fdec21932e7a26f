/* SPDX-License-Identifier: BSD-3-Clause */
/* What is said, on the terminal and as JSON, and how a command ends; options.c and progress.c have the rest of cli.h. */
#include "cli/cli.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include "cli/fault.h"
#include "cli/json.h"
#include "cli/signals.h"

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
