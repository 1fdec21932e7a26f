/* SPDX-License-Identifier: BSD-3-Clause */
/* What is said about deltas and expanded files of SquashDelta. */
#include <inttypes.h>

#include "blockz_delta.h"
#include "cli/json.h"
#include "cli/size.h"
#include "cli/stream.h"
#include "deltas/squashdelta.h"
#include "files/digest.h"

static json_t *list_json(const struct blockz_squashdelta_info *info)
{
	return json_pack("{s:o,s:o,s:o}", "blocks", json_bytes(info->blocks), "packed_bytes", json_bytes(info->packed_bytes),
			 "plain_bytes", json_bytes(info->plain_bytes));
}

static enum blockz_status report_json(const struct delta_env *env, const char *path,
				      const struct blockz_source *made, const struct squashdelta_result *result,
				      struct blockz_fault *fault)
{
	char sha256[DIGEST_HEX];
	const struct blockz_work work = { 0 };
	enum blockz_status status = digest_source(made, &work, sha256, fault);
	if (status != BLOCKZ_OK)
		return status;
	json_t *object = json_pack("{s:o,s:s,s:o,s:s,s:s,s:o}", "path", json_path(path), "format", "squashdelta", "size",
				   json_bytes(made->size), "sha256", sha256, "encoder", result->new.encoder, "new",
				   list_json(&result->new));
	if (result->old.list_len > 0)
		json_object_set_new(object, "old", list_json(&result->old));
	return cli_print_json(env->cli, object, fault);
}

static void say_made(const struct delta_env *env, const char *path, uint64_t made,
		     const struct squashdelta_result *result)
{
	char size[32];
	FILE *out = is_stream(path) ? stderr : stdout;
	size_human(size, sizeof(size), made);
	if (result->old.list_len > 0)
		cli_say(env->cli, out, path, "%s: %" PRIu64 " block%s of OLD and %" PRIu64 " of NEW decoded (%s)", size,
			result->old.blocks, plural(result->old.blocks), result->new.blocks, result->new.encoder);
	else
		cli_say(env->cli, out, path, "%s: %" PRIu64 " block%s decoded (%s)", size, result->new.blocks,
			plural(result->new.blocks), result->new.encoder);
}

enum blockz_status squashdelta_report(const struct delta_env *env, const char *path, int fd,
				      const struct squashdelta_result *result, struct blockz_fault *fault)
{
	struct blockz_source made;
	enum blockz_status status = blockz_source_fd(fd, &made, fault);
	if (status != BLOCKZ_OK)
		return status;
	if (env->cli->json)
		return report_json(env, path, &made, result, fault);
	say_made(env, path, made.size, result);
	return BLOCKZ_OK;
}

enum blockz_status squashdelta_print(const struct cli *cli, const char *path, const struct blockz_source *delta,
				     struct blockz_fault *fault)
{
	struct blockz_squashdelta *list = NULL;
	enum blockz_status status = blockz_squashdelta_read(delta, &list, fault);
	if (status != BLOCKZ_OK)
		return status;
	const struct blockz_squashdelta_info info = blockz_squashdelta_info(list);
	blockz_squashdelta_free(list);
	if (cli->json)
		return cli_print_json(cli, json_pack("{s:o,s:s,s:o,s:s,s:o}", "path", json_path(path), "format", "squashdelta",
						     "size", json_bytes(delta->size), "encoder", info.encoder, "old",
						     list_json(&info)), fault);
	if (!cli->quiet)
		printf("format   SquashDelta 0.1\nencoder  %s\nOLD      %" PRIu64 " block%s decoded, %" PRIu64 " byte%s of %" PRIu64
		       "\n", info.encoder, info.blocks, plural(info.blocks), info.plain_bytes, plural(info.plain_bytes),
		       info.packed_bytes);
	return BLOCKZ_OK;
}
