/* SPDX-License-Identifier: BSD-3-Clause */
/* The states of an overlay, as they matter to who comes across one. */
#include "files/overlays.h"

#include <inttypes.h>
#include <stdio.h>

#include "cli/fault.h"
#include "cli/size.h"

static enum blockz_status look(int dirfd, const char *name, const struct blockz_store *file,
			       struct blockz_overlay **overlay_ret, struct blockz_fault *fault)
{
	return blockz_overlay_open(dirfd, name, file, BLOCKZ_OVERLAY_READ, overlay_ret, fault);
}

static void describe(const struct blockz_overlay_info *info, char *text, size_t room)
{
	if (info->state == BLOCKZ_OVERLAY_OF_FILE)
		snprintf(text, room, "%" PRIu64 " byte%s of the image that were written to a served disk lie in an overlay beside it, "
			 "and are not read", info->bytes, plural(info->bytes));
	else if (info->state == BLOCKZ_OVERLAY_COMMITTED)
		snprintf(text, room, "the overlay beside it has been committed, and can go");
	else if (info->state == BLOCKZ_OVERLAY_OF_OTHER_FILE)
		snprintf(text, room, "the overlay beside it is another file's, and is ignored");
	else
		snprintf(text, room, "what is under the name of its overlay is ignored: %s", info->note != NULL ? info->note : "?");
}

bool overlays_note(int dirfd, const char *name, const struct blockz_store *file, char *text, size_t room)
{
	struct blockz_overlay *overlay = NULL;
	struct blockz_fault why;
	if (look(dirfd, name, file, &overlay, &why) != BLOCKZ_OK) {
		snprintf(text, room, "whether there is an overlay beside it is not known: %s", why.text);
		return true;
	}
	const struct blockz_overlay_info info = blockz_overlay_info(overlay);
	bool told = info.state != BLOCKZ_OVERLAY_NONE;
	if (told)
		describe(&info, text, room);
	blockz_overlay_close(overlay);
	return told;
}

enum blockz_status overlays_open(int dirfd, const char *name, const struct blockz_store *file,
				 struct blockz_overlay **overlay_ret, struct blockz_fault *fault)
{
	struct blockz_overlay *overlay = NULL;
	enum blockz_status status = look(dirfd, name, file, &overlay, fault);
	if (status != BLOCKZ_OK)
		return status;
	enum blockz_overlay_state state = blockz_overlay_info(overlay).state;
	bool of_use = state == BLOCKZ_OVERLAY_OF_FILE, of_none = state == BLOCKZ_OVERLAY_NONE || state == BLOCKZ_OVERLAY_COMMITTED;
	if (!of_use && !of_none)
		status = blockz_overlay_refuse(overlay, fault);
	if (!of_use)
		blockz_overlay_close(overlay);
	if (status == BLOCKZ_OK)
		*overlay_ret = of_use ? overlay : NULL;
	return status;
}

enum blockz_status overlays_refuse(int dirfd, const char *name, const struct blockz_store *file, struct blockz_fault *fault)
{
	struct blockz_overlay *overlay = NULL;
	enum blockz_status status = look(dirfd, name, file, &overlay, fault);
	if (status == BLOCKZ_OK)
		status = blockz_overlay_refuse(overlay, fault);
	blockz_overlay_close(overlay);
	return status;
}
