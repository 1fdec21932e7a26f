/* SPDX-License-Identifier: BSD-3-Clause */
/* The head is printed before the whole delta is read, which may take long. */
#include "deltas/delta_report.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "blockz_delta.h"
#include "cli/fault.h"
#include "cli/hex.h"
#include "cli/json.h"
#include "cli/size.h"
#include "deltas/delta_head.h"
#include "deltas/encoders.h"
#include "deltas/squashdelta.h"
#include "files/digest.h"
#include "files/input.h"

static json_t *image_json(uint64_t size, const uint8_t sha256[32], const char *container)
{
	char hex[DIGEST_HEX];
	hex_write(hex, sha256, 32);
	return json_pack("{s:o,s:s,s:o}", "size", json_bytes(size), "sha256", hex, "container", json_name(container));
}

json_t *delta_report_json(const char *path, uint64_t size, const struct blockz_delta_info *head)
{
	json_t *encoders = json_object();
	for (size_t i = 0; i < head->encoder_count && encoders != NULL; i++)
		encoders_add(encoders, &head->encoders[i]);
	return json_pack("{s:o,s:o,s:o,s:o,s:o,s:o}", "path",
			 json_path(path), "size", json_bytes(size), "old",
			 image_json(head->old_size, head->old_sha256, head->old_container), "new",
			 image_json(head->new_size, head->new_sha256, head->new_container), "note", json_name(head->note),
			 "encoders", encoders);
}

static void print_image(const char *label, uint64_t size, const uint8_t sha256[32], const char *container)
{
	char human[32], hex[DIGEST_HEX];
	size_human(human, sizeof(human), size);
	hex_write(hex, sha256, 32);
	printf("%-8s %" PRIu64 " byte%s (%s), ", label, size, plural(size), human);
	put_escaped(stdout, container);
	printf("\n%-8s SHA-256 %s\n", "", hex);
}

static void print_head(const struct blockz_delta_info *head)
{
	print_image("OLD", head->old_size, head->old_sha256, head->old_container);
	print_image("NEW", head->new_size, head->new_sha256, head->new_container);
	if (head->note[0] != '\0') {
		printf("%-8s ", "note");
		put_escaped(stdout, head->note);
		putchar('\n');
	}
	if (head->encoder_count == 0)
		printf("%-8s none\n", "encoders");
	for (size_t i = 0; i < head->encoder_count; i++) {
		char hex[ENCODERS_HEX];
		encoders_hex(&head->encoders[i], hex);
		printf("%-8s %s ", i == 0 ? "encoders" : "", hex);
		put_escaped(stdout, head->encoders[i].name);
		putchar('\n');
	}
	fflush(stdout);
}

static void print_ops(const char *label, const char *name, const struct blockz_delta_ops *ops)
{
	char bytes[32];
	size_human(bytes, sizeof(bytes), ops->bytes);
	printf("%-8s %-8s %10" PRIu64 " time%-1s %12s\n", label, name, ops->count, plural(ops->count), bytes);
}

/* What the delta consists of. */
static void print_summary(const struct blockz_delta_summary *summary)
{
	char plain[32], coded[32];
	size_human(plain, sizeof(plain), summary->blocks_plain);
	size_human(coded, sizeof(coded), summary->blocks_coded);
	printf("%-8s %" PRIu64 " of OLD are decompressed, %" PRIu64 " of NEW compressed again, %s to %s\n", "blocks",
	       summary->old_blocks, summary->blocks, plain, coded);
	print_ops("NEW", "copied", &summary->copy);
	print_ops("", "changed", &summary->add);
	print_ops("", "new", &summary->extra);
	print_ops("", "packed", &summary->packed);
	const char *label = "streams";
	for (size_t i = 0; i < summary->part_count; i++) {
		const struct blockz_delta_part *part = &summary->parts[i];
		if (part->plain == 0)
			continue;
		size_human(plain, sizeof(plain), part->plain);
		size_human(coded, sizeof(coded), part->coded);
		printf("%-8s %-20s %10s of %10s\n", label, part->name, coded, plain);
		label = "";
	}
}

static json_t *ops_json(const struct blockz_delta_ops *ops)
{
	return json_pack("{s:o,s:o}", "count", json_bytes(ops->count), "bytes", json_bytes(ops->bytes));
}

static void add_summary(json_t *object, const struct blockz_delta_summary *summary)
{
	json_t *streams = json_object();
	for (size_t i = 0; i < summary->part_count; i++)
		json_object_set_new(streams, summary->parts[i].name,
				    json_pack("{s:o,s:o}", "coded", json_bytes(summary->parts[i].coded), "plain",
					      json_bytes(summary->parts[i].plain)));
	json_object_set_new(object, "old_blocks", json_bytes(summary->old_blocks));
	json_object_set_new(object, "encoded", json_pack("{s:o,s:o,s:o}", "blocks", json_bytes(summary->blocks), "plain",
							 json_bytes(summary->blocks_plain), "coded",
							 json_bytes(summary->blocks_coded)));
	json_object_set_new(object, "ops", json_pack("{s:o,s:o,s:o,s:o}", "copy", ops_json(&summary->copy), "add",
						     ops_json(&summary->add), "extra", ops_json(&summary->extra),
						     "packed", ops_json(&summary->packed)));
	json_object_set_new(object, "streams", streams);
}

/*
 * Of a stream only the head can be looked at: it is not there for a second time.  The head comes first, since a small delta
 * may be one of very much, which takes long to read.
 */
static enum blockz_status print_native(const struct cli *cli, const char *path, const struct blockz_source *delta,
				       struct blockz_fault *fault)
{
	struct blockz_delta_info head;
	struct blockz_delta_summary summary;
	bool has_summary = delta->size != BLOCKZ_UNKNOWN, has_text = !cli->quiet && !cli->json;
	enum blockz_status status = blockz_delta_info(delta, &head, fault);
	if (status != BLOCKZ_OK)
		return status;
	if (has_text)
		print_head(&head);
	if (has_summary)
		status = blockz_delta_summary(delta, &summary, fault);
	if (status != BLOCKZ_OK)
		return status;
	if (cli->json) {
		json_t *object = delta_report_json(path, delta->size, &head);
		if (has_summary)
			add_summary(object, &summary);
		return cli_print_json(cli, object, fault);
	}
	if (has_text && has_summary)
		print_summary(&summary);
	return BLOCKZ_OK;
}

enum blockz_status delta_report_print(const struct cli *cli, const char *path, struct blockz_fault *fault)
{
	struct input delta;
	struct delta_head head;
	enum blockz_status status = input_open(&delta, path, fault);
	if (status != BLOCKZ_OK)
		return status;
	status = delta_head_read(&head, &delta.source, fault);
	if (status == BLOCKZ_OK && head.is_squashdelta)
		status = squashdelta_print(cli, path, &delta.source, fault);
	else if (status == BLOCKZ_OK)
		status = print_native(cli, path, &delta.source, fault);
	input_close(&delta);
	return status;
}
