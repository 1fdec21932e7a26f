/* SPDX-License-Identifier: BSD-3-Clause */
/* The entries of a seek table. */
#include "format/zstd/seek_table.h"

#include <string.h>

#include "base/bytes.h"
#include "base/checked.h"
#include "base/fault.h"
#include "io/access.h"

enum blockz_status seek_table_open(struct seek_table *table, const struct blockz_source *file, bool *found_ret,
				   struct blockz_fault *fault)
{
	uint8_t footer[SEEK_FOOTER_LEN], head[SKIPPABLE_HEAD_LEN];
	*found_ret = false;
	if (file->size < SKIPPABLE_HEAD_LEN + SEEK_FOOTER_LEN)
		return BLOCKZ_OK;
	enum blockz_status status = read_file(file, footer, sizeof(footer), file->size - sizeof(footer), fault);
	if (status != BLOCKZ_OK || load_le32(footer + 5) != SEEKABLE_MAGIC)
		return status;
	table->file = file;
	table->count = load_le32(footer);
	table->next = 0;
	table->checksums = footer[4] & SEEK_CHECKSUM_FLAG;
	table->entry_len = SEEK_ENTRY_LEN + (table->checksums ? CHECKSUM_LEN : 0);
	uint64_t len = table->count * table->entry_len + SEEK_FOOTER_LEN;
	*found_ret = true;
	if (table->count > SEEK_FRAMES_MAX || (footer[4] & SEEK_RESERVED) != 0 || len > file->size - SKIPPABLE_HEAD_LEN)
		return fault_set(fault, BLOCKZ_DAMAGED, file->size - sizeof(footer), "seek table: its footer cannot be right");
	table->off = file->size - len - SKIPPABLE_HEAD_LEN;
	status = read_file(file, head, sizeof(head), table->off, fault);
	if (status == BLOCKZ_OK && (load_le32(head) != SEEK_TABLE_MAGIC || load_le32(head + 4) != len))
		return fault_set(fault, BLOCKZ_DAMAGED, table->off, "seek table: its frame's header cannot be right");
	return status;
}

enum blockz_status seek_table_next(struct seek_table *table, struct seek_entry *entry_ret, struct blockz_fault *fault)
{
	uint64_t first = table->off + SKIPPABLE_HEAD_LEN, part = table->next % ENTRIES_A_READ;
	if (part == 0) {
		uint64_t left = table->count - table->next;
		size_t len = (size_t)(left < ENTRIES_A_READ ? left : ENTRIES_A_READ) * table->entry_len;
		enum blockz_status status =
			read_file(table->file, table->bytes, len, first + table->next * table->entry_len, fault);
		if (status != BLOCKZ_OK)
			return status;
	}
	const uint8_t *p = table->bytes + part * table->entry_len;
	*entry_ret = (struct seek_entry){
		.file_len = load_le32(p), .image_len = load_le32(p + 4),
		.checksum = table->checksums ? load_le32(p + SEEK_ENTRY_LEN) : 0,
		.checksum_off = first + table->next * table->entry_len + SEEK_ENTRY_LEN,
	};
	table->next++;
	return BLOCKZ_OK;
}

uint64_t seek_table_pass_alike(struct seek_table *table)
{
	const uint64_t part = (table->next - 1) % ENTRIES_A_READ, left = min(ENTRIES_A_READ - 1 - part, table->count - table->next);
	const uint8_t *last = table->bytes + part * table->entry_len, *p = last;
	uint64_t alike = 0;
	while (alike < left && memcmp(p += table->entry_len, last, table->entry_len) == 0)
		alike++;
	table->next += alike;
	return alike;
}
