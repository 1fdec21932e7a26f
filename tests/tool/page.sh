# shellcheck shell=bash
# SPDX-License-Identifier: BSD-3-Clause
#
# What tests of man pages share: the blocks of commands of a page, run as they are printed there.
# usage, after lib.sh: . page.sh PAGE
# shellcheck source=tests/tool/lib.sh
man_page=$tree/tools/man/$1

# page ENCODING: the man page as text.
page() {
	MANWIDTH=100 man -E "$1" -l "$man_page" 2>.log/man | col -bx
}
page ascii >.log/page

# copyable: in the page there are many blocks of commands, and in UTF-8 they have no other characters than in ASCII.
copyable() {
	page utf8 | sed -n '/^RECIPES/,/^SEE ALSO/p' | grep '^           ' >.log/utf8
	sed -n '/^RECIPES/,/^SEE ALSO/p' .log/page | grep '^           ' >.log/ascii
	if [ "$(wc -l <.log/ascii)" -gt 50 ]; then ok page-has-recipes; else not_ok page-has-recipes "$(cat .log/man)"; fi
	same page-can-be-copied .log/utf8 .log/ascii
}

# code HEADING N: the N-th block of commands under a heading of the page.
code() {
	awk -v heading="$1" -v wanted="$2" '
		/^[^ ]/ || /^   [^ ]/ { inside = $0 == heading || $0 == "   " heading; found = blank = 0; next }
		!inside { next }
		/^$/ { blank++; next }
		/^           / {
			if (!within)
				found++
			while (within && blank-- > 0)
				if (found == wanted)
					print ""
			if (found == wanted)
				print substr($0, 12)
			within = 1
			blank = 0
			next
		}
		{ within = blank = 0 }' .log/page
}

# recipe NAME HEADING N [FROM TO]: runs a block of commands in this shell, FROM in it replaced by TO.
recipe() {
	local commands
	commands=$(code "$2" "$3")
	[ $# -le 3 ] || commands=${commands//"$4"/"$5"}
	if [ -z "$commands" ]; then
		not_ok "$1" "the page has no such commands"
	elif eval "$commands" >.log/out 2>.log/err; then
		ok "$1"
	else
		not_ok "$1" "$(tail -n 2 .log/err | tr '\n' ' '), of: $commands"
	fi
}

# prints NAME HEADING N: the last recipe printed the N-th block, apart from the numbers in it.
prints() {
	local blur='s/[0-9]+(\.[0-9]+)?/N/g'
	code "$2" "$3" | tr -s ' \n' ' ' | sed -E "$blur" >.log/expected
	tr -s ' \n' ' ' <.log/out | sed -E "$blur" >.log/printed
	[ -s .log/expected ] || echo 'the page has no such block' >.log/expected
	same "$1" .log/expected .log/printed
}

# holds NAME FILE IMAGE: FILE decompresses to IMAGE.
holds() {
	decode "$2" 2>.log/err | cmp - "$3" >.log/out 2>&1
	if [ "${PIPESTATUS[*]}" = '0 0' ]; then ok "$1"; else not_ok "$1" "$(cat .log/err .log/out)"; fi
}
