#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Includes and calls go down only.
#
# libblockz/ARCHITECTURE has the picture, in its section "Layers": each indented line is a layer, the highest first, and
# names folders (FOLDER/*: all in it that no line names), or files without their suffix, which stand elsewhere than their
# folder.  Folders of one line do not know each other.  Includes are read from the sources, calls from the symbols of
# the objects: a call of a public function is one, too.  Public headers may be included by all.  What lies in tools/ and
# is not in the picture is a program or a plugin, which may use all that programs share.
set -u
cd "$(dirname "$0")/../.." || exit 1

# print_layers FILE: the lines of its picture.
print_layers() {
	awk '/^-+$/ { inside = before == "Layers" } inside && /^    [a-z]/ { print } { before = $0 }' "$1"
}

# A file of the library is FOLDER/NAME here, one of the tools tools/FOLDER/NAME.

# print_includes: who includes whom, "FROM TO what".
print_includes() {
	local file included to
	while IFS=: read -r file included; do
		included=${included#*\"}
		included=${included%\"*}
		case $included in blockz*.h) continue ;; esac
		if [[ $file != tools/* || ! -e tools/$included ]]; then
			case $included in */*) to=$included ;; *) to=${file%/*}/$included ;; esac
		else
			to=tools/$included
		fi
		file=${file#libblockz/} to=${to#libblockz/}
		echo "${file%.[ch]} ${to%.h} includes"
	done < <(grep -rH '^#include "' libblockz tools --include='*.[ch]')
}

# print_calls: the same of symbols that one object needs and another has.  What programs of two folders both have is each
# one's own, and all may call what is public in the library.
print_calls() {
	local objects=() object
	while read -r object; do
		[ ! -e "${object%.o}.c" ] || objects+=("$object")
	done < <(cd "$BLOCKZ_BIN" && find libblockz tools -mindepth 2 -name '*.o')
	(cd "$BLOCKZ_BIN" && nm -A -g "${objects[@]}") | sed -E 's/^(libblockz\/)?([^:]*)\.o:[0-9a-f ]* ([A-Za-z]) (.*)/\2 \3 \4/' |
		awk '
		function folder_of(name) { sub(/\/[^\/]*$/, "", name); return name }
		$2 != "U" { owner[$3] = $1; has[folder_of($1), $3] }
		$2 == "U" { user[++count] = $1; needed[count] = $3 }
		END {
			for (i = 1; i <= count; i++)
				if (needed[i] in owner && !(needed[i] ~ /^blockz_/ && user[i] ~ /^tools\//) &&
				    !(folder_of(owner[needed[i]]) != folder_of(user[i]) && (folder_of(user[i]), needed[i]) in has))
					print user[i], owner[needed[i]], "calls:" needed[i]
		}'
}

# judge LAYERS: says of each edge on standard input that goes up, or to where nobody stands, what it is.
judge() {
	awk -v layers="$1" '
	function folder_of(name) { sub(/\/[^\/]*$/, "", name); return name }
	function place_of(file, folder) {
		if (file in level)
			return file
		folder = folder_of(file)
		if (!(folder in level) && (folder_of(folder) "/*" in level))
			level[folder] = level[folder_of(folder) "/*"]
		return folder in level ? folder : ""
	}
	function is_allowed(from, to, above, below) {
		if ((from ~ /^tools\//) != (to ~ /^tools\//))
			return 0
		above = place_of(from)
		below = place_of(to)
		if (above == below && (above != "" || folder_of(from) == folder_of(to)))
			return 1
		if (above == "" && from ~ /^tools\//)
			return below != ""
		return above != "" && below != "" && level[below] > level[above]
	}
	BEGIN {
		lines = split(layers, line, "\n")
		for (i = 1; i <= lines; i++) {
			names = split(line[i], name, " ")
			for (j = 1; j <= names; j++)
				level[name[j]] = i
		}
	}
	!is_allowed($1, $2) { print $1, $3, $2 }'
}

layers=$(print_layers libblockz/ARCHITECTURE)
if [ "$(wc -l <<<"$layers")" -lt 10 ]; then
	echo "not ok layers: libblockz/ARCHITECTURE has no section Layers with a picture in it"
	exit
fi
# verdict NAME EDGES: none of them goes up, and there are some.
verdict() {
	local bad
	bad=$(judge "$layers" <<<"$2" | sort -u)
	[ "$(wc -l <<<"$2")" -ge 100 ] || bad+=' hardly any were found'
	if [ -z "$bad" ]; then echo "ok $1"; else echo "not ok $1: $bad"; fi
}
verdict layers-includes "$(print_includes)"
verdict layers-calls "$(print_calls)"
stray=$(tr ' ' '\n' <<<"$layers" | sed 's/\/\*$//' | while read -r name; do
	[ -z "$name" ] || [ -d "libblockz/$name" ] || [ -d "$name" ] || [ -e "libblockz/$name.c" ] || echo "$name"
done)
if [ -z "$stray" ]; then echo "ok layers-exist"; else echo "not ok layers-exist: no such folder: $stray"; fi

# ---- What is known of a format stands in its row, and in that of the codec that makes its pieces

# BLOCKZ_..._FORMAT is the one place of a format that something is bound to.
named=$(grep -rnE '\bformat_(gzip|xz|zstd)\b|"(gzip|xz|zstd)"' libblockz tools --include='*.[ch]' |
	grep -vE '^libblockz/(format|codec)/|:#define BLOCKZ_[A-Z]+_FORMAT "' |
	sed 's/\/\*.*\*\///' | grep -E '\bformat_(gzip|xz|zstd)\b|"(gzip|xz|zstd)"')
if [ -z "$named" ]; then echo "ok formats-by-name"; else echo "not ok formats-by-name: $named"; fi
