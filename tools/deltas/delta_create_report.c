/* SPDX-License-Identifier: BSD-3-Clause */
/* What is said about a delta that was made: its blocks, and in how many windows OLD was searched for it. */
#include <inttypes.h>
#include <stdio.h>

#include "cli/json.h"
#include "cli/size.h"
#include "cli/stream.h"
#include "deltas/delta_create.h"
#include "deltas/delta_report.h"
#include "files/digest.h"

static json_t *creation_json(const struct delta_creation *creation, const char *path, const char *sha256)
{
	const struct blockz_delta_result *result = &creation->result;
	json_t *object = delta_report_json(path, result->delta_size, &creation->head);
	json_object_set_new(object, "sha256", json_string(sha256));
	json_object_set_new(object, "blocks",
			    json_pack("{s:o,s:o,s:o,s:o,s:o,s:o}", "all", json_bytes(result->blocks), "equal",
				      json_bytes(result->blocks_equal), "encoded", json_bytes(result->blocks_encoded),
				      "stored", json_bytes(result->blocks_stored), "packed",
				      json_bytes(result->blocks_packed), "unproved",
				      json_bytes(result->blocks_unproved)));
	json_object_set_new(object, "encode_ms", json_bytes(result->encode_ms));
	json_object_set_new(object, "windows", json_integer(result->windows));
	json_object_set_new(object, "window_size", json_bytes(result->window_size));
	json_object_set_new(object, "memory", json_bytes(result->memory));
	json_object_set_new(object, "memory_wanted", json_bytes(result->memory_wanted));
	return object;
}

static void describe_blocks(const struct blockz_delta_result *result, char *text, size_t room)
{
	char stored[64] = "";
	if (result->blocks == 0) {
		snprintf(text, room, "compared as plain bytes");
		return;
	}
	if (result->blocks_stored > 0)
		snprintf(stored, sizeof(stored), "%" PRIu64 " not compressed, ", result->blocks_stored);
	snprintf(text, room, "%" PRIu64 " block%s equal, %" PRIu64 " encoded again (%.1f CPU seconds at the client), %s%" PRIu64
		 " packed", result->blocks_equal, plural(result->blocks_equal), result->blocks_encoded,
		 (double)result->encode_ms / 1000, stored,
		 result->blocks_packed);
}

/* In how many windows OLD was searched, and why: what it cost cannot be known, but what it would take not to. */
static void describe_windows(const struct blockz_delta_result *result, char *text, size_t room)
{
	char size[32], memory[32];
	size_human(size, sizeof(size), result->window_size);
	size_human(memory, sizeof(memory), result->memory);
	if (result->windows <= 1)
		snprintf(text, room, "one window");
	else if (result->memory_wanted > result->memory)
		snprintf(text, room, "%u windows of %s because memory is limited to %s; --memory %" PRIu64 "M would spare them",
			 result->windows, size, memory, (result->memory_wanted >> 20) + 1);
	else
		snprintf(text, room, "%u windows of %s", result->windows, size);
}

static void say_created(const struct delta_creation *creation, const struct cli *cli, const char *path)
{
	const struct blockz_delta_result *result = &creation->result;
	char delta[32], new[32], blocks[256], windows[192];
	size_human(delta, sizeof(delta), result->delta_size);
	size_human(new, sizeof(new), result->new_size);
	describe_blocks(result, blocks, sizeof(blocks));
	describe_windows(result, windows, sizeof(windows));
	cli_say(cli, is_stream(path) ? stderr : stdout, path, "%s for NEW of %s (%.1f %%): %s; searched OLD in %s", delta, new,
		result->new_size > 0 ? 100.0 * (double)result->delta_size / (double)result->new_size : 100.0, blocks, windows);
	if (creation->head.note[0] != '\0')
		cli_warn(cli, path, "%s", creation->head.note);
}

enum blockz_status delta_create_report(const struct delta_creation *creation, const struct delta_env *env, const char *path,
				       int fd, struct blockz_fault *fault)
{
	char sha256[DIGEST_HEX];
	struct blockz_source delta;
	const struct blockz_work work = { 0 };
	if (!env->cli->json) {
		say_created(creation, env->cli, path);
		return BLOCKZ_OK;
	}
	enum blockz_status status = blockz_source_fd(fd, &delta, fault);
	if (status != BLOCKZ_OK)
		return status;
	status = digest_source(&delta, &work, sha256, fault);
	return status == BLOCKZ_OK ? cli_print_json(env->cli, creation_json(creation, path, sha256), fault) : status;
}
