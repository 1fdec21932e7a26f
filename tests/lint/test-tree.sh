#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# What the tree promises: a layout that can be seen from its listing, licences, scripts that shellcheck likes.
set -u
cd "$(dirname "$0")/../.." || exit 1
mapfile -t files < <(git ls-files 2>/dev/null)
[ ${#files[@]} -gt 0 ] || mapfile -t files < <(find . -path ./.build -prune -o -type f -printf '%P\n' | grep -v '^\.git/')

verdict() {
	if [ -z "$2" ]; then echo "ok $1"; else echo "not ok $1: $2"; fi
}

stray=$(printf '%s\n' "${files[@]}" | cut -d/ -f1 | sort -u | grep -v '^\.' |
	grep -vxE 'tools|libblockz|tests|fixtures|Makefile|README|COPYING' | tr '\n' ' ')
verdict top-level "$stray"

binaries=$(printf '%s\n' "${files[@]}" | grep -E '\.(gz|xz|zst|img|bin|o|a|so)$' | tr '\n' ' ')
verdict no-binaries "$binaries"

# print_wrong FILE...: of sources, those without a comment of at least a sentence behind the licence ("unopened FILE"), and
# headers whose guard is not their path below the folder from which they are included ("unguarded FILE").
print_wrong() {
	awk '
	function judge() {
		if (file == "") return
		if (text !~ /[.:] /) print "unopened", file
		guard = file
		sub(/^(libblockz|tools|tests\/unit\/support|tests)\//, "", guard)
		gsub(/[^a-zA-Z0-9]/, "_", guard)
		guard = toupper(guard)
		if (file ~ /h$/ && directives !~ "^#ifndef " guard "\n#define " guard "\n") print "unguarded", file
	}
	FNR == 1 { judge(); file = FILENAME; text = directives = ""; within = 1; next }
	FNR == 2 && !/^\/\*/ { within = 0 }
	within { text = text $0 " "; within = !/\*\// }
	/^#/ { directives = directives $0 "\n" }
	END { judge() }' "$@"
}

# stand_in FILE: what scripts need to know of one that they source, which shellcheck reads again for each of them: its functions
# say no more than which variables they use.
stand_in() {
	awk '
	/^[a-z0-9_]+\(\) \{/ && !/\}$/ { print $1, "{"; print "\t: \"$@\""; within = 1; next }
	within && /^}/ { print; within = 0; next }
	!within { print; next }
	{
		while (match($0, /\$\{?[a-z_]+/)) {
			name = substr($0, RSTART, RLENGTH)
			gsub(/[${]/, "", name)
			print "\t: \"$" name "\""
			$0 = substr($0, RSTART + RLENGTH)
		}
	}' "$1"
}

# liked SCRIPT...: what shellcheck says of them, and of what they source.
liked() {
	local folder sourced each
	folder=$(mktemp -d) || return
	mapfile -t sourced < <(sed -n 's/^# shellcheck source=//p' "$@" | sort -u)
	cp --parents "$@" "$folder"
	for each in "${sourced[@]}"; do
		stand_in "$each" >"$folder/$each"
	done
	shellcheck -S warning -e SC2034,SC2154 "${sourced[@]}" 2>&1
	(cd "$folder" && shellcheck -x -S warning "$@" 2>&1)
	rm -r "$folder"
}

mapfile -t present < <(for file in "${files[@]}"; do [ ! -f "$file" ] || echo "$file"; done)
mapfile -t sources < <(printf '%s\n' "${present[@]}" | grep '\.[ch]$')
mapfile -t scripts < <(awk 'FNR == 1 && /^#!.*(bash|\/sh)/ { print FILENAME } { nextfile }' "${present[@]}")
verdict licences "$(grep -L 'SPDX-License-Identifier: BSD-3-Clause' "${sources[@]}" | tr '\n' ' ')"
verdict line-length "$(awk 'length($0) > 132 { print FILENAME; nextfile }' "${sources[@]}" | tr '\n' ' ')"
wrong=$(print_wrong "${sources[@]}")
verdict opening-comments "$(sed -n 's/^unopened //p' <<<"$wrong" | tr '\n' ' ')"
verdict header-guards "$(sed -n 's/^unguarded //p' <<<"$wrong" | tr '\n' ' ')"
verdict shellcheck "$(liked "${scripts[@]}" | head -n 20)"
verdict no-foreign-prefix "$(grep -rlE '\bbz_[a-z]' libblockz tools --include='*.[ch]' | tr '\n' ' ')"
