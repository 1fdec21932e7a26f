#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Help, man pages and programs agree.
set -u
cd "$(dirname "$0")/../.." || exit 1

for page in tools/man/*.[1-9]; do
	warnings=$(LC_ALL=C.UTF-8 MANROFFSEQ='' MANWIDTH=100 man --warnings -E UTF-8 -l -Tutf8 -Z "$page" 2>&1 >/dev/null)
	if [ -z "$warnings" ]; then echo "ok man-lint-${page##*/}"; else echo "not ok man-lint-${page##*/}: $warnings"; fi
done

tools=(partial-deflate blockz-map blockz-patch blockz-cat blockz-verify blockz-delta blockz-merge)
if [ -e "$BLOCKZ_BIN/nbdkit-blockz-plugin.so" ] && command -v nbdkit >/dev/null; then
	tools+=(blockz-guestfish)
	# As the program lists them, the one without a name first.
	for plugin in nbdkit-blockz-plugin nbdkit-blockz-ram-plugin; do
		help=$(nbdkit "$BLOCKZ_BIN/$plugin.so" --help | sed -n 's/^\[\?\([a-z-]*=\).*/\1/p' | sort)
		page=$(sed -n '/^\.SH PARAMETERS/,/^\.SH LIMITS/p' "tools/man/$plugin.1" |
			sed -n '/^\.TP/{n;s/^[^a-z]*\(RB\|BR\|BI\|B\)* *\[* *\([a-z-]*=\).*/\2/p}' | sort)
		if [ -n "$help" ] && [ "$help" = "$page" ]; then
			echo "ok parameters-in-man-$plugin"
		else
			echo "not ok parameters-in-man-$plugin: $(diff <(echo "$help") <(echo "$page") | tr '\n' ' ')"
		fi
	done
else
	echo "skip docs-nbdkit: nbdkit or its development files are missing"
fi

for tool in "${tools[@]}"; do
	page=tools/man/$tool.1
	if [ ! -r "$page" ]; then
		echo "not ok man-$tool: no page"
		continue
	fi
	"$BLOCKZ_BIN/$tool" --help >/dev/null || echo "not ok help-$tool: status $?"
	text=$(MANWIDTH=200 man -l "$page" 2>/dev/null | col -b)
	options=$("$BLOCKZ_BIN/$tool" --help | grep -oE '(^|[ ,])--[a-z][a-z-]+' | tr -d ' ,' | sort -u)
	missing=''
	for option in $options; do
		grep -qF -- "$option" <<<"$text" || missing+=" $option"
	done
	if [ -n "$options" ] && [ -z "$missing" ]; then
		echo "ok options-in-man-$tool"
	else
		echo "not ok options-in-man-$tool:$missing"
	fi
	unknown=''
	for option in $(sed -n '/^OPTIONS/,/^[A-Z]/p' <<<"$text" | grep -oE '^ +(-[a-zA-Z], )?--[a-z][a-z-]+' |
		grep -oE -- '--[a-z-]+' | sort -u); do
		grep -qxF -- "$option" <<<"$options" || unknown+=" $option"
	done
	if [ -z "$unknown" ]; then echo "ok man-in-help-$tool"; else echo "not ok man-in-help-$tool:$unknown"; fi
	if "$BLOCKZ_BIN/$tool" --version | grep -q "$(sed -n 's/.*BLOCKZ_VERSION "\(.*\)"/\1/p' libblockz/blockz.h)"; then
		echo "ok version-$tool"
	else
		echo "not ok version-$tool"
	fi
	"$BLOCKZ_BIN/$tool" --no-such-option >/dev/null 2>&1
	if [ $? -eq 2 ]; then echo "ok usage-status-$tool"; else echo "not ok usage-status-$tool"; fi
done
