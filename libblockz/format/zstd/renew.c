/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Frames that are encoded again, in a file of any program.
 *
 * A seek table has an entry for each frame.  It is kept right if it was right before: every entry is compared with the map
 * first, and a table that does not fit stays as it is.
 */
#include "format/zstd/renew.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/checked.h"
#include "base/fault.h"
#include "format/zstd/edge.h"
#include "format/zstd/frame.h"
#include "format/zstd/seek_table.h"
#include "format/zstd/write.h"
#include "io/access.h"

static uint64_t copy_file_len(const struct piece *piece)
{
	return piece->file_len / piece->copies;
}

static uint64_t copy_image_len(const struct blockz_map *map, size_t piece)
{
	return (map_piece_end(map, piece) - map->pieces[piece].start) / map->pieces[piece].copies;
}

/* ---- Encoding */

enum blockz_status zstd_renew_params(const struct blockz_source *file, const struct blockz_map *map, size_t piece,
				     struct pack_params *params_ret, struct blockz_fault *fault)
{
	const struct piece *old = &map->pieces[piece];
	uint8_t bytes[FRAME_HEADER_LEN_MAX];
	struct frame_header header;
	size_t len = (size_t)min(copy_file_len(old), sizeof(bytes));
	enum blockz_status status = read_file(file, bytes, len, old->file_off, fault);
	if (status == BLOCKZ_OK)
		status = frame_header_parse(bytes, len, old->file_off, &header, fault);
	if (status != BLOCKZ_OK)
		return status;
	*params_ret = (struct pack_params){
		.check = header.checksum ? CHECK_XXH64_LOW32 : CHECK_NONE, .piece_size = copy_image_len(map, piece),
		.image_size = map->image_size, .window_max = header.window,
	};
	return BLOCKZ_OK;
}

/* ---- The seek table */

/* Goes through the entries of the table and the frames of the map together. */
struct walk {
	const struct renewal *renewal;
	struct seek_table table;
	uint64_t off; /* of the frame that the next entry speaks of */
	/* The next frame of the map, and the next one that was encoded again. */
	size_t piece, next;
	uint64_t copy;
};

static void walk_rewind(struct walk *walk)
{
	walk->table.next = walk->off = walk->copy = 0;
	walk->piece = walk->next = 0;
}

/* The frame at the entry, if the map has it, which it has not of those without bytes of the image. */
static const struct piece *piece_of(const struct walk *walk)
{
	const struct blockz_map *map = walk->renewal->map;
	if (walk->piece == map->piece_count)
		return NULL;
	const struct piece *piece = &map->pieces[walk->piece];
	return piece->file_off + walk->copy * copy_file_len(piece) == walk->off ? piece : NULL;
}

/* The frame at the entry, if it was encoded again. */
static const struct renewed_piece *renewed_of(const struct walk *walk)
{
	const struct renewal *renewal = walk->renewal;
	if (walk->next == renewal->count)
		return NULL;
	const struct renewed_piece *renewed = &renewal->pieces[walk->next];
	bool is_it = renewed->piece == walk->piece && renewed->copy == walk->copy;
	return is_it && piece_of(walk) != NULL ? renewed : NULL;
}

static void walk_on(struct walk *walk, const struct seek_entry *entry)
{
	const struct piece *piece = piece_of(walk);
	walk->next += renewed_of(walk) != NULL;
	if (piece != NULL && ++walk->copy == piece->copies) {
		walk->copy = 0;
		walk->piece++;
	}
	walk->off += entry->file_len;
}

/* *same_ret: the frame's own checksum, where it has one, is the one that the table has. */
static enum blockz_status compare_checksum(const struct walk *walk, const struct piece *piece,
					   const struct seek_entry *entry, bool *same_ret, struct blockz_fault *fault)
{
	uint8_t own[CHECKSUM_LEN];
	*same_ret = true;
	if (!walk->table.checksums || piece->method == CHECK_NONE || piece->has_crc)
		return BLOCKZ_OK;
	enum blockz_status status =
		read_file(walk->renewal->file, own, sizeof(own), walk->off + entry->file_len - sizeof(own), fault);
	*same_ret = load_le32(own) == entry->checksum;
	return status;
}

/* Of a frame that was not encoded again, only the lengths are compared. */
static enum blockz_status entry_fits(const struct walk *walk, const struct seek_entry *entry, bool *fits_ret,
				     struct blockz_fault *fault)
{
	const struct piece *piece = piece_of(walk);
	*fits_ret = piece == NULL ? entry->image_len == 0
				  : entry->file_len == copy_file_len(piece) &&
					    entry->image_len == copy_image_len(walk->renewal->map, walk->piece);
	return *fits_ret && renewed_of(walk) != NULL ? compare_checksum(walk, piece, entry, fits_ret, fault) : BLOCKZ_OK;
}

static enum blockz_status table_fits(struct walk *walk, bool *fits_ret, struct blockz_fault *fault)
{
	enum blockz_status status = BLOCKZ_OK;
	*fits_ret = true;
	walk_rewind(walk);
	while (status == BLOCKZ_OK && *fits_ret && walk->table.next < walk->table.count) {
		struct seek_entry entry;
		status = seek_table_next(&walk->table, &entry, fault);
		if (status == BLOCKZ_OK)
			status = entry_fits(walk, &entry, fits_ret, fault);
		if (status == BLOCKZ_OK)
			walk_on(walk, &entry);
	}
	if (walk->off != walk->table.off || walk->piece != walk->renewal->map->piece_count)
		*fits_ret = false;
	return status;
}

/* That an entry can tell of a frame that was encoded again. */
static enum blockz_status check_entry(const struct walk *walk, const struct seek_entry *entry, const struct renewed_piece *renewed,
				      struct blockz_fault *fault)
{
	if (renewed->file_len > UINT32_MAX)
		return fault_set(fault, BLOCKZ_LIMIT, walk->off, "a frame becomes longer than a seek table can say");
	if (walk->table.checksums && walk->renewal->map->pieces[renewed->piece].method == CHECK_NONE)
		return fault_set(fault, BLOCKZ_UNSUPPORTED, entry->checksum_off - SEEK_ENTRY_LEN,
				 "the seek table alone has a frame's checksum, and was not gone by");
	return BLOCKZ_OK;
}

static enum blockz_status renew_entry(const struct walk *walk, const struct seek_entry *entry,
				      const struct renewed_piece *renewed, struct blockz_fault *fault)
{
	const struct renewal *renewal = walk->renewal;
	uint8_t bytes[SEEK_ENTRY_LEN + CHECKSUM_LEN];
	uint64_t off = entry->checksum_off - SEEK_ENTRY_LEN;
	enum blockz_status status = check_entry(walk, entry, renewed, fault);
	if (status != BLOCKZ_OK)
		return status;
	store_le32(bytes, (uint32_t)renewed->file_len);
	store_le32(bytes + 4, (uint32_t)entry->image_len);
	store_le32(bytes + SEEK_ENTRY_LEN, renewed->check);
	struct blockz_range old = { off, off + walk->table.entry_len };
	return renewal->replace(renewal->ctx, old, bytes, walk->table.entry_len, fault);
}

static enum blockz_status renew_entries(struct walk *walk, struct blockz_fault *fault)
{
	enum blockz_status status = BLOCKZ_OK;
	walk_rewind(walk);
	while (status == BLOCKZ_OK && walk->next < walk->renewal->count) {
		struct seek_entry entry;
		status = seek_table_next(&walk->table, &entry, fault);
		if (status == BLOCKZ_OK && renewed_of(walk) != NULL)
			status = renew_entry(walk, &entry, renewed_of(walk), fault);
		if (status == BLOCKZ_OK)
			walk_on(walk, &entry);
	}
	return status;
}

/* Begins a walk; *fits_ret: there is a table, and it fits. */
static enum blockz_status walk_new(const struct renewal *renewal, struct walk **walk_ret, bool *fits_ret,
				   struct blockz_fault *fault)
{
	bool found = false;
	*fits_ret = false;
	struct walk *walk = malloc(sizeof(*walk));
	if (walk == NULL)
		return fault_nomem(fault);
	walk->renewal = renewal;
	enum blockz_status status = renewal->map->index_fault.status == BLOCKZ_OK
					    ? seek_table_open(&walk->table, renewal->file, &found, fault) : BLOCKZ_OK;
	if (status == BLOCKZ_OK && found)
		status = table_fits(walk, fits_ret, fault);
	*walk_ret = walk;
	/* What is damaged is something that looks like a table, and by which no map was made. */
	return status == BLOCKZ_DAMAGED ? BLOCKZ_OK : status;
}

static enum blockz_status renew_table(const struct renewal *renewal, struct blockz_fault *fault)
{
	struct walk *walk = NULL;
	bool fits = false;
	enum blockz_status status = walk_new(renewal, &walk, &fits, fault);
	if (status == BLOCKZ_OK && fits)
		status = renew_entries(walk, fault);
	free(walk);
	return status;
}

/* ---- Another end */

/* One that ends early has its checksum there. */
static void end_frame(const struct blockz_map *map, const struct piece_edge *edge, struct file_cut *cut)
{
	cut->off = edge->file_off;
	if (map->pieces[map_find_piece(map, edge->off)].method == CHECK_NONE)
		return;
	memcpy(cut->lead, edge->check, CHECKSUM_LEN);
	cut->lead_len = CHECKSUM_LEN;
}

/* New frames stand behind the last that stays, or before the table, if all stay. */
enum blockz_status zstd_cut(const struct blockz_source *file, const struct blockz_map *map, const struct ending *ending,
			    struct file_cut *cut_ret, struct blockz_fault *fault)
{
	const struct renewal renewal = { .file = file, .map = map };
	const struct piece *first = map->piece_count > 0 ? &map->pieces[0] : NULL;
	const bool has_own = first == NULL || (first->method != CHECK_NONE && !first->has_crc);
	struct walk *walk = NULL;
	bool fits = false;
	enum blockz_status status = walk_new(&renewal, &walk, &fits, fault);
	if (status == BLOCKZ_OK)
		*cut_ret = (struct file_cut){
			.off = ending->kept < map->image_size ? map_file_end(map, ending->kept) : fits ? walk->table.off : file->size,
			.end = file->size, .covered = ending->kept,
			.method = has_own || (fits && walk->table.checksums) ? CHECK_XXH64_LOW32 : CHECK_NONE,
		};
	free(walk);
	if (status == BLOCKZ_OK && ending->edge != NULL)
		end_frame(map, ending->edge, cut_ret);
	return status;
}

/* Adds the entries of frames that stay. */
static enum blockz_status keep_entries(struct walk *walk, void *writer, struct blockz_fault *fault)
{
	enum blockz_status status = BLOCKZ_OK;
	walk_rewind(walk);
	while (status == BLOCKZ_OK && walk->table.next < walk->table.count && walk->off < walk->renewal->end->cut->off) {
		struct seek_entry entry;
		status = seek_table_next(&walk->table, &entry, fault);
		if (status != BLOCKZ_OK)
			return status;
		const struct renewed_piece *renewed = renewed_of(walk);
		const struct written_piece kept = {
			.end = entry.image_len, .file_len = renewed != NULL ? renewed->file_len : entry.file_len, .copies = 1,
			.tag = renewed != NULL ? renewed->check : entry.checksum,
		};
		if (renewed != NULL)
			status = check_entry(walk, &entry, renewed, fault);
		if (status == BLOCKZ_OK)
			status = zstd_write_piece(writer, &kept, fault);
		walk_on(walk, &entry);
	}
	return status;
}

/* The new frames, and behind them the table, if there was one; or the one frame of an image of no bytes. */
static enum blockz_status make_tail(struct walk *walk, bool fits, void *writer, struct buffer *out, size_t *len_ret,
				    struct blockz_fault *fault)
{
	const struct new_end *end = walk->renewal->end;
	uint64_t piece_size;
	enum blockz_status status = fits ? keep_entries(walk, writer, fault) : BLOCKZ_OK;
	for (size_t i = 0; i < end->count && status == BLOCKZ_OK; i++)
		status = zstd_write_piece(writer, &end->pieces[i], fault);
	if (status == BLOCKZ_OK && (fits || end->image_size == 0))
		status = zstd_write_tail(writer, out, len_ret, &piece_size, fault);
	return status;
}

static enum blockz_status renew_end(const struct renewal *renewal, struct blockz_fault *fault)
{
	const struct file_cut *cut = renewal->end->cut;
	struct buffer out = { 0 };
	struct walk *walk = NULL;
	size_t len = 0;
	bool fits = false;
	enum blockz_status status = walk_new(renewal, &walk, &fits, fault);
	const struct pack_params params = {
		.check = fits && !walk->table.checksums ? CHECK_NONE : cut->method, .no_index = !fits,
	};
	void *writer = zstd_writer_new(&params);
	if (status == BLOCKZ_OK)
		status = writer != NULL ? make_tail(walk, fits, writer, &out, &len, fault) : fault_nomem(fault);
	if (status == BLOCKZ_OK && len > 0)
		status = renewal->replace(renewal->ctx, (struct blockz_range){ cut->end, cut->end }, out.bytes, len, fault);
	zstd_writer_free(writer);
	buffer_free(&out);
	free(walk);
	return status == BLOCKZ_OK && renewal->end->edge != NULL ? zstd_end_early(renewal, fault) : status;
}

/* ---- The lengths before frames */

/* pzstd skips from frame to frame by these: a skippable frame before each, of the length of the frame behind it. */
static enum blockz_status renew_length(const struct renewal *renewal, const struct renewed_piece *renewed,
				       struct blockz_fault *fault)
{
	const struct blockz_map *map = renewal->map;
	const struct piece *old = &map->pieces[renewed->piece], *before = renewed->piece > 0 ? old - 1 : NULL;
	uint64_t behind = before != NULL ? before->file_off + before->file_len : 0;
	uint8_t bytes[LENGTH_FRAME_LEN];
	if (renewed->copy > 0 || old->file_off - behind < sizeof(bytes))
		return BLOCKZ_OK;
	enum blockz_status status = read_file(renewal->file, bytes, sizeof(bytes), old->file_off - sizeof(bytes), fault);
	if (status != BLOCKZ_OK || load_le32(bytes) != SKIPPABLE_MAGIC || load_le32(bytes + 4) != LENGTH_LEN ||
	    load_le32(bytes + SKIPPABLE_HEAD_LEN) != copy_file_len(old))
		return status;
	if (renewed->file_len > UINT32_MAX)
		return fault_set(fault, BLOCKZ_LIMIT, old->file_off, "a frame becomes longer than what stands before it can say");
	store_le32(bytes, (uint32_t)renewed->file_len);
	struct blockz_range range = { old->file_off - LENGTH_LEN, old->file_off };
	return renewal->replace(renewal->ctx, range, bytes, LENGTH_LEN, fault);
}

enum blockz_status zstd_renew_index(const struct renewal *renewal, struct blockz_fault *fault)
{
	enum blockz_status status = BLOCKZ_OK;
	for (size_t i = 0; i < renewal->count && status == BLOCKZ_OK; i++)
		if (renewal->pieces[i].file_len != copy_file_len(&renewal->map->pieces[renewal->pieces[i].piece]))
			status = renew_length(renewal, &renewal->pieces[i], fault);
	if (status != BLOCKZ_OK)
		return status;
	return renewal->end != NULL ? renew_end(renewal, fault) : renew_table(renewal, fault);
}
