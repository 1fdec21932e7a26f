/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * libblockz: edit chosen parts of a disk image inside its compressed file.
 *
 * A writer stores chosen byte ranges of an image as stored (raw) blocks and compresses the rest; nothing behind a
 * raw range refers into it, so its bytes can be overwritten in place, and the checks over it are moved by
 * arithmetic.  The file is an ordinary .gz, .xz or .zst before and after every operation.
 *
 * Words used throughout
 *   image         the uncompressed bytes; an image offset counts from 0 in it
 *   file          the compressed stream; a file offset counts in it
 *   range         half-open [start, end) of image offsets
 *   raw range     a range that is stored uncompressed
 *   piece         what decodes on its own, with no history
 *   map           the gap-free list of pieces, and where the checks over them stand
 *   plan          the ordered writes that an edit needs, as data
 *
 * Conventions
 *   - All offsets and lengths are bytes, as uint64_t; sizes of memory are size_t.
 *   - A call that can fail returns enum blockz_status, and fills *fault if fault is not NULL and the status is not
 *     BLOCKZ_OK.  Parameters named *_ret are written on success and untouched on failure.
 *   - Callbacks return 0 or an errno value, unless they say otherwise.
 *   - The library prints nothing, keeps no global state, and opens no file but through blockz_store_open() and
 *     blockz_overlay_open(), which get a directory descriptor and a name.
 *   - An object may be used by one thread at a time, unless its description says more.  Maps and plans are
 *     read-only once made and may be shared.
 *   - No value read from a file is trusted before it is checked.
 *
 * This header is enough to map, read, pack, edit and verify a file.  Beside it: blockz_disk.h (serve one as a disk),
 * blockz_delta.h (small updates between images), blockz_pages.h (a RAM disk).
 */
#ifndef BLOCKZ_H
#define BLOCKZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define BLOCKZ_VERSION "0.2.0"

/* No such offset, or a size that is not known in advance. */
#define BLOCKZ_UNKNOWN UINT64_MAX

/* ---- What went wrong --------------------------------------------------------------------------------------- */

/* The values are the exit statuses of the tools. */
enum blockz_status {
	BLOCKZ_OK = 0,
	BLOCKZ_FAILED = 1,         /* the system refused: I/O error, no memory, no room, interrupted */
	BLOCKZ_USAGE = 2,          /* the caller's arguments do not fit together */
	BLOCKZ_DAMAGED = 3,        /* the file is damaged, or a check does not match */
	BLOCKZ_UNSUPPORTED = 4,    /* the file is valid but not supported, or the range is not raw */
	BLOCKZ_LIMIT = 5,          /* a limit on memory or counts was hit */
	BLOCKZ_LOCKED = 6,         /* another program writes the file */
	BLOCKZ_NEEDS_RECOVERY = 7, /* an interrupted edit must be finished or undone first */
};

/* What a failed call left behind. */
enum blockz_state {
	BLOCKZ_IMAGE_UNCHANGED,
	BLOCKZ_IMAGE_ROLLED_BACK,    /* bytes had been written; the old ones are back, and synced */
	BLOCKZ_IMAGE_UPDATED,        /* the edit is complete; what failed came after it */
	BLOCKZ_IMAGE_NEEDS_RECOVERY, /* blockz_recover() has to finish or undo the edit */
	BLOCKZ_IMAGE_TORN,           /* written in part, and there was no journal by which to undo it */
};

/* What is to be done about the journal of an interrupted edit, or the overlay that a disk has left. */
enum blockz_remedy {
	BLOCKZ_REMEDY_RECOVER, /* finish or undo the edit, where the file shows that the journal is its own */
	BLOCKZ_REMEDY_UNDO,    /* write the old content back, although the file may be another one */
	BLOCKZ_REMEDY_DROP,    /* keep the file as it is, and remove the journal or the overlay, whatever it is */
	BLOCKZ_REMEDY_COMMIT,  /* of an overlay: adopt and commit it, although the file may be another one; else as RECOVER */
};

/* What a fault speaks of, named as the parameters and options of the calls are. */
enum blockz_subject {
	BLOCKZ_ABOUT_FILE,    /* the compressed file; or nothing of the following, as an argument that is none */
	BLOCKZ_ABOUT_IMAGE,   /* the image that a file is to be made of */
	BLOCKZ_ABOUT_AGAINST, /* the image that a file is compared with */
	BLOCKZ_ABOUT_EDIT,    /* an edit: its range, or where its bytes come from */
	BLOCKZ_ABOUT_OUTPUT,  /* the sink */
	BLOCKZ_ABOUT_OLD,     /* of a delta: the image that is there, */
	BLOCKZ_ABOUT_NEW,     /* the one that is made of it, */
	BLOCKZ_ABOUT_DELTA,   /* and the delta */
	BLOCKZ_ABOUT_MEMORY,  /* there is none, or a limit on it is too low */
};

struct blockz_fault {
	enum blockz_status status;
	enum blockz_subject subject;
	enum blockz_state state;
	/*
	 * With BLOCKZ_IMAGE_NEEDS_RECOVERY, what will help: BLOCKZ_REMEDY_UNDO and BLOCKZ_REMEDY_COMMIT mean that or
	 * BLOCKZ_REMEDY_DROP, and only somebody who knows what happened to the file can choose.
	 */
	enum blockz_remedy remedy;
	int error;       /* the errno value behind BLOCKZ_FAILED; 0: none */
	uint64_t offset; /* in the subject, that the text speaks of; BLOCKZ_UNKNOWN if it speaks of none */
	char text[1024]; /* one line, UTF-8, no newline: what was wrong, what was expected, what was found */
};

/* ---- Ranges ------------------------------------------------------------------------------------------------ */

struct blockz_range {
	uint64_t start;
	uint64_t end; /* exclusive */
};

/*
 * Sorts ranges in place, unites those that overlap or touch, drops empty ones, and returns how many are left.
 * Each must have start <= end.
 */
size_t blockz_ranges_unite(struct blockz_range *ranges, size_t count);

/* ---- Sources: where bytes come from ------------------------------------------------------------------------ */

struct blockz_source_ops {
	/*
	 * Reads up to len bytes at off into buf; *got_ret is less than len only at the end of the data.  For a
	 * source of known size any thread may call it at any offset; for one of unknown size the calls come from
	 * one thread at a time with ascending offsets and no gap.
	 */
	int (*read)(void *ctx, void *buf, size_t len, uint64_t off, size_t *got_ret);
	/*
	 * Finds the first extent at or after off that may hold something else than zeros: [*start_ret, *end_ret).
	 * Where there is none, both are the size.  NULL: everything may be data.
	 */
	int (*next_data)(void *ctx, uint64_t off, uint64_t *start_ret, uint64_t *end_ret);
};

struct blockz_source {
	const struct blockz_source_ops *ops;
	void *ctx;
	uint64_t size; /* BLOCKZ_UNKNOWN: a stream, read from its beginning to its end */
};

struct blockz_memory {
	const void *bytes;
	size_t len;
};

/* A source over memory; both it and self, which describes it, are the caller's to keep as long. */
struct blockz_source blockz_source_memory(const struct blockz_memory *self);

/*
 * A source over a descriptor that the caller keeps open.  A regular file or block device has a size, can be read
 * anywhere and knows its holes; anything else is a stream.  Errors: BLOCKZ_FAILED.
 */
enum blockz_status blockz_source_fd(int fd, struct blockz_source *source_ret, struct blockz_fault *fault);

/* ---- Sinks: where bytes go --------------------------------------------------------------------------------- */

struct blockz_sink_ops {
	/* Appends len bytes. */
	int (*write)(void *ctx, const void *buf, size_t len);
	/* Overwrites bytes that were appended before; off counts from the first of them.  NULL: cannot. */
	int (*rewrite)(void *ctx, const void *buf, size_t len, uint64_t off);
	/* Appends len zeros.  NULL: they are written like any others. */
	int (*zeros)(void *ctx, uint64_t len);
	/*
	 * Appends bytes of the file that blockz_plan_copy() copies, from file_off on: as many of len as can be had without
	 * reading them here, perhaps none.  NULL: all are read, and written.
	 */
	int (*copy)(void *ctx, uint64_t file_off, uint64_t len, uint64_t *done_ret);
};

struct blockz_sink {
	const struct blockz_sink_ops *ops;
	void *ctx;
};

struct blockz_fd_sink {
	int fd;
	uint64_t base; /* where in the file the output starts */
	uint64_t len;  /* appended so far */
};

/*
 * A sink that appends to a descriptor at its current position; self is its memory and must live as long.  A
 * regular file (not in append mode) can be rewritten, and zeros that lie behind its end become a hole.
 */
struct blockz_sink blockz_sink_fd(struct blockz_fd_sink *self, int fd);

/* ---- Stores: a compressed file that can be changed, and its journal ---------------------------------------- */

/* Tells a file from a copy of it. */
struct blockz_identity {
	uint64_t inode;
	int64_t birth_sec; /* birth time; both 0 where the file system has none */
	uint32_t birth_nsec;
};

/* A disk calls read and write from several threads at once; all else comes from one thread at a time. */
struct blockz_store_ops {
	int (*read)(void *ctx, void *buf, size_t len, uint64_t off, size_t *got_ret);
	/* Overwrites exactly len bytes within the size. */
	int (*write)(void *ctx, const void *buf, size_t len, uint64_t off);
	/* Makes all writes durable.  Never called again after it failed. */
	int (*sync)(void *ctx);
	/*
	 * The journal, one a store.  create: a new empty one under a temporary name, room for len bytes reserved.
	 * publish: its content and then its final name become durable.  It can be written to from then on, too; sync
	 * makes that durable, and is never called again after it failed.  discard: drops an unpublished one.
	 * find: *len_ret is the length of a published one, which can be read from then on; ENOENT: there is none;
	 * EPERM: somebody else has put something under its name; EINVAL: what is there may be the file's own, and is not
	 * to be trusted.  remove: drops what is there, durably.  NULL in all: the store has no journal, and a crash in the
	 * middle of an edit loses it.
	 */
	int (*journal_create)(void *ctx, uint64_t len);
	int (*journal_write)(void *ctx, const void *buf, size_t len, uint64_t off);
	int (*journal_publish)(void *ctx);
	int (*journal_sync)(void *ctx);
	int (*journal_discard)(void *ctx);
	int (*journal_find)(void *ctx, uint64_t *len_ret);
	int (*journal_read)(void *ctx, void *buf, size_t len, uint64_t off, size_t *got_ret);
	int (*journal_remove)(void *ctx);
};

struct blockz_store {
	const struct blockz_store_ops *ops;
	void *ctx;
	uint64_t size;
	struct blockz_identity identity;
	const char *note; /* one line that somebody should be told; NULL: nothing.  As long as the store is open */
};

enum blockz_store_mode {
	BLOCKZ_STORE_READ,               /* shared lock; refused while its journal is there (BLOCKZ_NEEDS_RECOVERY) */
	BLOCKZ_STORE_WRITE,              /* exclusive lock, journal beside the file */
	BLOCKZ_STORE_WRITE_UNJOURNALLED, /* exclusive lock; a crash in the middle of an edit destroys the file */
	/* The same two, where the file system need not know locks: then other programs are not kept out. */
	BLOCKZ_STORE_WRITE_UNLOCKED,
	BLOCKZ_STORE_WRITE_UNLOCKED_UNJOURNALLED,
};

/*
 * Opens the regular file `name` (not a symbolic link, one hard link when it is to be written; for reading also a block
 * device) in the directory dirfd, which must stay open as long as the store.  Locks it as the mode says; where locks are
 * not known, it is read without one.  What cannot be promised here is said in store_ret->note.
 * Errors: BLOCKZ_FAILED, BLOCKZ_UNSUPPORTED (not a regular file, several links, directory not writable, no locks),
 * BLOCKZ_LOCKED, BLOCKZ_NEEDS_RECOVERY.
 */
enum blockz_status blockz_store_open(int dirfd, const char *name, enum blockz_store_mode mode,
				     struct blockz_store *store_ret, struct blockz_fault *fault);

/* Drops the locks and closes.  store->ctx may be NULL. */
void blockz_store_close(struct blockz_store *store);

/* A source that reads the store's file; valid as long as the store. */
struct blockz_source blockz_store_source(const struct blockz_store *store);

/* ---- Work that takes long ---------------------------------------------------------------------------------- */

/*
 * Called now and then, from any thread but one at a time: image bytes done so far, and file bytes written or read
 * for them.  Returns false to stop the work, which then fails with BLOCKZ_FAILED, "interrupted".
 */
typedef bool (*blockz_progress)(void *ctx, uint64_t image_done, uint64_t file_done);

struct blockz_work {
	unsigned threads; /* 0: one for each CPU that this process may use */
	blockz_progress progress; /* NULL: none */
	void *progress_ctx;
};

/* ---- Formats ----------------------------------------------------------------------------------------------- */

struct blockz_format {
	const char *name;   /* "gzip" */
	const char *suffix; /* ".gz" */
	bool is_read_only;  /* blockz_pack() does not write it; what follows is 0 then */
	int level_min, level_max, level_default;
	uint64_t piece_size_min, piece_size_max;
	uint64_t piece_size_default; /* 0: depends on the level */
	const char *const *checks;   /* names of the checks it can write, the default first; NULL ends them */
};

/* The index-th format, or NULL behind the last. */
const struct blockz_format *blockz_format_at(size_t index);

/* The format of this name, or NULL. */
const struct blockz_format *blockz_format_by_name(const char *name);

/* The format of a file that starts with these bytes, of which 64 are enough, or NULL: none that is known. */
const struct blockz_format *blockz_format_by_magic(const void *head, size_t len);

/* ---- Pack: write a compressed file ------------------------------------------------------------------------- */

/* Level 0, in options whose 0 means the default. */
#define BLOCKZ_LEVEL_0 INT32_MIN

struct blockz_pack_options {
	const char *format;             /* name as in struct blockz_format */
	int level;                      /* 0: the format's default; its level 0 is BLOCKZ_LEVEL_0 */
	bool extreme;                   /* slower and a little smaller, for formats that have it (xz) */
	const char *check;              /* one of the format's; NULL: its default */
	uint64_t piece_size;            /* image bytes that decode on their own; 0: the format's default */
	uint64_t memory;                /* so much for encoders, fewer threads if need be; 0: no limit */
	bool no_index;                  /* do not keep the map in the file */
	const struct blockz_range *raw; /* in any order, within the image; end BLOCKZ_UNKNOWN: up to its end */
	size_t raw_count;
	struct blockz_work work;
};

struct blockz_pack_result {
	uint64_t image_size, file_size;
	uint64_t pieces;
	uint64_t raw_bytes, zero_bytes; /* image bytes in raw ranges, and in whole zero pieces */
	uint64_t index_piece_size;      /* image bytes a piece in the index; 0: no index was written */
};

/*
 * Compresses image to the sink.  The output depends on the image's bytes and the options alone: not on threads, and
 * not on whether zeros are holes.  Memory: threads x piece size x a small constant.
 * An index needs a sink that can be rewritten and an image of known size; without them none is written.
 * Errors: BLOCKZ_USAGE (unknown format, level, piece size, check, a raw range beyond the image), BLOCKZ_LIMIT (one
 * encoder needs more than options->memory), BLOCKZ_FAILED (read or write error, image shorter than it said,
 * interrupted).  What the sink holds after an error is not the image.
 */
enum blockz_status blockz_pack(const struct blockz_source *image, const struct blockz_sink *sink,
			       const struct blockz_pack_options *options, struct blockz_pack_result *result_ret,
			       struct blockz_fault *fault);

/* ---- Map: where the image lies in the file ----------------------------------------------------------------- */

struct blockz_map;

enum blockz_index {
	BLOCKZ_INDEX_NONE,   /* found by scanning the file */
	BLOCKZ_INDEX_HEADER, /* kept in the file's header */
	BLOCKZ_INDEX_TRAILER, /* kept at the end of the file */
};

struct blockz_map_info {
	const char *format;
	uint64_t file_size, image_size;
	enum blockz_index index;
	uint64_t pieces;
	/*
	 * The last so many bytes of the file stand behind a gzip stream and are no part of it: metadata that somebody appended.
	 * They are not looked at, and edits leave them as they are.  Zeros alone are padding and do not count.
	 */
	uint64_t appended_bytes;
};

enum blockz_kind { BLOCKZ_COMPRESSED, BLOCKZ_RAW, BLOCKZ_ZERO };

struct blockz_map_range {
	uint64_t start, end; /* image offsets */
	enum blockz_kind kind;
	bool patchable;               /* raw, and nothing else refers to its bytes */
	uint64_t file_off, file_end;  /* the bytes of the file that hold it, headers included */
};

struct blockz_extent {
	uint64_t start;    /* image offset */
	uint64_t length;   /* bytes, contiguous in image and file */
	uint64_t file_off; /* where the first of them stands */
};

/* History that a decoder may need, unless it is said otherwise: what decoders take by default. */
#define BLOCKZ_WINDOW_MAX (UINT64_C(128) << 20)

struct blockz_map_options {
	bool scan;           /* ignore an index */
	uint64_t window_max; /* bytes of an xz dictionary or a zstd window; 0: BLOCKZ_WINDOW_MAX */
	/*
	 * Only raw ranges are to be written, by blockz_plan_new(): a seek table of many frames is compared with those that are raw, and
	 * with others as far as their lengths are no pattern, not with each of them.  What is read by such a map has its check compared.
	 */
	bool raw_only;
};

/*
 * Reads the map of a compressed file, by its index if it has a good one, else by scanning it (which decodes
 * no output but reads the whole file, raw ranges excepted).  options NULL: all zeros.  What window_max is too small for
 * is refused when it has to be decoded.
 * Memory: 16 MiB and 64 bytes a piece, at most 1 Mi pieces.
 * Errors: BLOCKZ_DAMAGED, BLOCKZ_UNSUPPORTED (no known format), BLOCKZ_LIMIT, BLOCKZ_FAILED.
 */
enum blockz_status blockz_map_read(const struct blockz_source *file, const struct blockz_map_options *options,
				   struct blockz_map **map_ret, struct blockz_fault *fault);
void blockz_map_free(struct blockz_map *map);
struct blockz_map_info blockz_map_info(const struct blockz_map *map);

/* The longest range of one kind that contains image offset off, to be walked by off = range.end; false at the end. */
bool blockz_map_range_at(const struct blockz_map *map, uint64_t off, struct blockz_map_range *range_ret);

/* The longest contiguous run of raw bytes from image offset off on; false where off is not raw. */
bool blockz_map_extent_at(const struct blockz_map *map, uint64_t off, struct blockz_extent *extent_ret);

/* How bytes of the image can be changed inside the file. */
enum blockz_edit_how {
	BLOCKZ_EDIT_RAW,   /* they are overwritten: blockz_plan_new() */
	BLOCKZ_EDIT_PIECE, /* their piece is encoded again: blockz_plan_anywhere(), as for the next */
	BLOCKZ_EDIT_PART,  /* what is needed of their piece is, which is a long one */
	BLOCKZ_EDIT_NONE,  /* not at all */
};

/* An estimate by lengths alone, good to a factor of two or three. */
struct blockz_edit_cost {
	enum blockz_edit_how how;
	bool new_file; /* BLOCKZ_WAY_AUTO makes one at once, without trying to edit in place */
	uint64_t piece_image_bytes, piece_file_bytes; /* of the piece that is encoded again; both 0 where none is */
	uint64_t ns; /* nanoseconds on one CPU of today, the copy included if there is a new file; BLOCKZ_UNKNOWN if it cannot be */
};

/*
 * What an edit of 4 KiB takes that lies in one piece, anywhere in a range of the image, which must be within it: at worst,
 * where it holds several pieces.  Whether a piece has what cannot be encoded again, as filters of an xz Block, shows only when
 * it is edited.
 */
struct blockz_edit_cost blockz_map_edit_cost(const struct blockz_map *map, struct blockz_range range);

/* ---- Read: parts of the image ------------------------------------------------------------------------------ */

struct blockz_reader;

/*
 * A reader at any offset, which keeps the piece decoded last.  file and map must outlive it.  Of pieces too long for memory it
 * keeps 16 MiB, where the last read ended, and in a .gz up to 16 MiB of what it takes to go on in the middle, so that each is
 * decoded once as a whole; others are decoded from their beginning by a read that lies before the last one.
 */
enum blockz_status blockz_reader_new(const struct blockz_source *file, const struct blockz_map *map,
				     struct blockz_reader **reader_ret, struct blockz_fault *fault);
void blockz_reader_free(struct blockz_reader *reader);

/*
 * Reads len bytes of the image at off.  Errors: BLOCKZ_USAGE (beyond the image), BLOCKZ_DAMAGED, BLOCKZ_FAILED,
 * BLOCKZ_LIMIT.
 */
enum blockz_status blockz_reader_read(struct blockz_reader *reader, void *buf, size_t len, uint64_t off,
				      struct blockz_fault *fault);

/* Writes a range of the image to the sink, pieces decoded in parallel and written in order.  Errors: as above. */
enum blockz_status blockz_extract(const struct blockz_source *file, const struct blockz_map *map,
				  struct blockz_range range, const struct blockz_sink *sink,
				  const struct blockz_work *work, struct blockz_fault *fault);

/* ---- Patch: overwrite raw ranges --------------------------------------------------------------------------- */

struct blockz_edit {
	struct blockz_range range; /* of the image, to be overwritten */
	struct blockz_source data; /* of known size; the bytes used must not change until the plan is freed */
	uint64_t data_off;         /* where in data the new bytes of the range start */
	/*
	 * Where the range of this edit is not raw, its data must equal the image there: the call refuses otherwise,
	 * naming the first byte that differs.  Without it the whole range must be raw.
	 */
	bool same_elsewhere;
};

struct blockz_plan;

/* Of pieces that an edit has encoded again; zeros: it has none. */
struct blockz_plan_renewed {
	uint64_t pieces;
	uint64_t image_bytes; /* that they hold */
	uint64_t file_bytes;  /* of the file that are replaced: of a long piece not all that it has */
	uint64_t unverified;  /* of the pieces: those of which no check could tell that they were not damaged before */
	uint64_t raw_bytes;   /* of image_bytes: those that could be patched until now, and are encoded with what stands around them */
	/* What was estimated before they were encoded, in nanoseconds; both 0 where nothing had to be. */
	uint64_t in_place_ns, splice_ns;
};

struct blockz_plan_info {
	uint64_t writes;        /* how many; 0: the image has these bytes already */
	uint64_t payload_bytes; /* image bytes that change */
	uint64_t unchecked_bytes; /* of these, those in raw ranges over which the file has no check */
	uint64_t check_bytes;   /* bytes of checks that are overwritten */
	uint64_t file_size;     /* of the file that comes of it, */
	uint64_t image_size;    /* and of its image */
	bool is_splice;         /* it makes a new file, which may have another length, by blockz_plan_copy() alone */
	struct blockz_plan_renewed renewed;
};

enum blockz_written {
	BLOCKZ_WRITTEN_PAYLOAD, /* raw bytes of the image */
	BLOCKZ_WRITTEN_CHECK,
	BLOCKZ_WRITTEN_PIECE, /* a piece that was encoded again, or a part of it */
	BLOCKZ_WRITTEN_INDEX, /* what tells of pieces: an index, sizes in headers */
};

/* Bytes that take the place of others. */
struct blockz_planned_write {
	enum blockz_written kind;
	uint64_t file_off;
	uint64_t length;
	uint64_t new_length; /* the same unless the plan is a splice */
	uint64_t image_off;  /* of payload; else BLOCKZ_UNKNOWN */
};

/*
 * Computes what edits need: the payload bytes of the 4 KiB pages that differ, trimmed to what differs, and the checks
 * over them.  Later edits win where edits overlap.  Nothing is written.  Bytes read from edits are read again when the
 * plan is carried out.
 * Errors: BLOCKZ_UNSUPPORTED (a range is not raw, or not patchable), BLOCKZ_USAGE (beyond the image),
 * BLOCKZ_DAMAGED (old content does not match its check, stored headers or what follows a raw range are not as the
 * map says), BLOCKZ_FAILED.
 */
enum blockz_status blockz_plan_new(const struct blockz_source *file, const struct blockz_map *map,
				   const struct blockz_edit *edits, size_t count, const struct blockz_work *work,
				   struct blockz_plan **plan_ret, struct blockz_fault *fault);
void blockz_plan_free(struct blockz_plan *plan);
struct blockz_plan_info blockz_plan_info(const struct blockz_plan *plan);

/* How edits of compressed bytes are carried out. */
enum blockz_way {
	BLOCKZ_WAY_AUTO,     /* in place where an estimate finds that quick, and all of it fits; else by a splice */
	/*
	 * Pieces are encoded ever stronger until they fit into their old places.  Those that do not borrow room from neighbours,
	 * which are encoded stronger, too; what lies between is moved.  Refused if there is no room for one.
	 */
	BLOCKZ_WAY_IN_PLACE,
	BLOCKZ_WAY_SPLICE,   /* a new file: pieces encoded once, all else as it stands */
};

struct blockz_anywhere {
	enum blockz_way way;
	/*
	 * The image ends at image_size, at most 2^63 - 1: zeros are appended to it, or bytes are cut off.  Edits have to lie in the
	 * image as it is then.  That is a splice, unless the image has this size already.
	 */
	bool resize;
	uint64_t image_size;
	/*
	 * Empty at first; holds the new bytes of pieces until the plan is freed.  Of its operations read and write alone are
	 * called, by one thread at a time, and the size is not looked at: writes append.
	 */
	const struct blockz_store *scratch;
	/*
	 * NULL, or is told, before the first piece is encoded, that there will be a new file of about so many bytes.  What it returns,
	 * but for BLOCKZ_OK, ends the planning.
	 */
	enum blockz_status (*reserve)(void *ctx, uint64_t file_bytes, struct blockz_fault *fault);
	void *reserve_ctx;
	struct blockz_work work;
};

/*
 * The same for bytes that need not be raw: pieces in which an edit changes compressed bytes are encoded again, with all that
 * the edits make of them.  What stands elsewhere in the file is kept as it is, but for checks and indexes.  An edit with
 * same_elsewhere is then like any other: its data may differ from the image everywhere.
 * Checks of a piece are verified before it is encoded again, so that damage stays detectable: a piece that does not match
 * is refused.
 * Where the image is cut inside of a piece, that is encoded again up to there, as raw bytes if it is raw; all behind it is left
 * out unread, but for what a check over the whole of a gzip member covers, which is divided out of that check.  Appended zeros
 * are pieces of their own, as long as those of the file, and as many at once as there are alike.
 * Memory: threads x piece size x a small constant.
 * Errors: as above; BLOCKZ_UNSUPPORTED: a piece does not fit (BLOCKZ_WAY_IN_PLACE), is one that the library cannot encode,
 * or is more than 256 MiB long; BLOCKZ_LIMIT (more than 2^22 pieces would be appended, among others).
 */
enum blockz_status blockz_plan_anywhere(const struct blockz_source *file, const struct blockz_map *map,
					const struct blockz_edit *edits, size_t count, const struct blockz_anywhere *how,
					struct blockz_plan **plan_ret, struct blockz_fault *fault);

/* The index-th write, by ascending file offset; false behind the last. */
bool blockz_plan_write_at(const struct blockz_plan *plan, size_t index, struct blockz_planned_write *write_ret);

/*
 * The index-th range of the image that changes in pieces that are encoded again, ascending; false behind the last.  What
 * changes in raw ranges is told by the writes of payload.
 */
bool blockz_plan_change_at(const struct blockz_plan *plan, size_t index, struct blockz_range *range_ret);

/*
 * Carries a plan out, all or nothing: alters the bytes of the plan's writes and nothing else, through a journal if
 * the store has one.  The store's file must be as it was when the plan was made.  Errors: BLOCKZ_USAGE for a splice.
 * On failure fault->state tells what is left: see enum blockz_state.
 */
enum blockz_status blockz_plan_apply(const struct blockz_plan *plan, const struct blockz_store *store,
				     struct blockz_fault *fault);

/* Writes what the plan makes of the file to the sink: as many bytes as its info says.  Errors: BLOCKZ_USAGE, BLOCKZ_FAILED. */
enum blockz_status blockz_plan_copy(const struct blockz_plan *plan, const struct blockz_source *file,
				    const struct blockz_sink *sink, struct blockz_fault *fault);

/*
 * Writes the new bytes of the index-th write to the sink: new_length of them, whatever the file is by now.
 * Errors: BLOCKZ_USAGE (there is no such write), BLOCKZ_FAILED.
 */
enum blockz_status blockz_plan_copy_new(const struct blockz_plan *plan, size_t index, const struct blockz_sink *sink,
					struct blockz_fault *fault);

enum blockz_recovery {
	BLOCKZ_RECOVERY_NONE,     /* there was no journal */
	BLOCKZ_RECOVERY_FINISHED, /* the edit had been complete; or that of a disk now is, as far as it was written */
	BLOCKZ_RECOVERY_UNDONE,   /* the image is as before the edit */
	BLOCKZ_RECOVERY_DROPPED,  /* the journal is gone, and the image as it was */
};

/*
 * Deals with an interrupted edit by the store's journal.  May be interrupted and run again.  What a disk left behind is
 * always finished.  With BLOCKZ_REMEDY_RECOVER nothing is written unless the file's size, its ends outside of what was
 * edited, and each edited sector (of a disk: each check) show that the journal is the file's own.
 * Errors: BLOCKZ_NEEDS_RECOVERY (they do not, or the journal is damaged or not to be trusted: nothing is touched, and
 * fault->remedy tells what can be said explicitly), BLOCKZ_FAILED.
 */
enum blockz_status blockz_recover(const struct blockz_store *store, enum blockz_remedy remedy,
				  enum blockz_recovery *recovery_ret, struct blockz_fault *fault);

/* ---- Verify ------------------------------------------------------------------------------------------------ */

struct blockz_verify_options {
	bool quick;                          /* structure, index and raw payload only: decode no compressed piece */
	const struct blockz_source *against; /* NULL: none; else of known size, and the image must equal it; not with quick */
	uint64_t window_max;                 /* as in struct blockz_map_options */
	struct blockz_work work;
};

struct blockz_verify_result {
	struct blockz_map_info map;
	uint64_t raw_bytes, zero_bytes, patchable_bytes; /* image bytes */
};

/*
 * Verifies a compressed file: its structure, that each piece decodes alone and ends at a block boundary, every check,
 * the layout of raw ranges, and the index against the stream.
 * Errors: BLOCKZ_DAMAGED (what, at which file offset; with against: the first image offset that differs),
 * BLOCKZ_USAGE, BLOCKZ_UNSUPPORTED, BLOCKZ_LIMIT, BLOCKZ_FAILED.
 */
enum blockz_status blockz_verify(const struct blockz_source *file, const struct blockz_verify_options *options,
				 struct blockz_verify_result *result_ret, struct blockz_fault *fault);

#ifdef __cplusplus
}
#endif

#endif
