/* SPDX-License-Identifier: BSD-3-Clause */
/* As text for people, or as one JSON object. */
#include "deltas/merge_report.h"

#include "cli/json.h"
#include "cli/size.h"
#include "cli/stream.h"
#include "files/digest.h"

static void say_made(const struct merge_report *report, const struct delta_env *env)
{
	char size[32];
	FILE *out = is_stream(report->path) ? stderr : stdout;
	size_human(size, sizeof(size), report->size);
	if (report->deltas == 0)
		cli_say(env->cli, out, report->path, "image of %s", size);
	else
		cli_say(env->cli, out, report->path, "image of %s by %zu delta%s, %s", size, report->deltas,
			plural(report->deltas), report->unproved ? "SquashDelta's, which has no digest to compare it with"
								 : "its SHA-256 agrees");
}

enum blockz_status merge_report_print(const struct merge_report *report, const struct delta_env *env,
				      struct blockz_fault *fault)
{
	char sha256[DIGEST_HEX];
	struct blockz_source image;
	if (!env->cli->json) {
		say_made(report, env);
		return BLOCKZ_OK;
	}
	enum blockz_status status = blockz_source_fd(report->fd, &image, fault);
	if (status != BLOCKZ_OK)
		return status;
	const struct blockz_work work = cli_work(env->cli, "digest", report->size);
	status = digest_source(&image, &work, sha256, fault);
	cli_work_end(env->cli);
	if (status != BLOCKZ_OK)
		return status;
	return cli_print_json(env->cli, json_pack("{s:o,s:o,s:s,s:o}", "path", json_path(report->path), "size",
						  json_bytes(report->size), "sha256", sha256, "patches",
						  json_bytes(report->deltas)), fault);
}

enum blockz_status merge_report_applicable(const struct cli *cli, const char *delta, const char *old, uint64_t new_size,
					   struct blockz_fault *fault)
{
	char size[32];
	if (cli->json)
		return cli_print_json(cli, json_pack("{s:o,s:o,s:o}", "path", json_path(delta), "old", json_name(old), "new_size",
						     json_bytes(new_size)), fault);
	size_human(size, sizeof(size), new_size);
	cli_say(cli, stdout, delta, "can be applied to %s here, and makes an image of %s", old, size);
	return BLOCKZ_OK;
}
