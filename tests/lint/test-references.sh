#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# What ARCHITECTURE names exists, and so does what comments name: files, functions, sections, invariants, steps, man pages.
set -u
cd "$(dirname "$0")/../.." || exit 1
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

wrong=$(tests/lint/references . 2>&1)
if [ $? -eq 0 ] && [ -z "$wrong" ]; then
	echo "ok references"
else
	echo "not ok references: $(tr '\n' ';' <<<"$wrong")"
fi

# notices NAME FILE SED-COMMAND REGEX: the lint finds what is wrong once the command has changed the file.
notices() {
	cp "$2" "$tmp/$2"
	sed -i "$3" "$tmp/$2"
	if cmp -s "$2" "$tmp/$2"; then
		echo "not ok notices-$1: the command has changed nothing in $2"
	elif found=$(tests/lint/references "$tmp"); then
		echo "not ok notices-$1: nothing is found"
	elif grep -qE "$4" <<<"$found"; then
		echo "ok notices-$1"
	else
		echo "not ok notices-$1: found $(tr '\n' ';' <<<"$found")"
	fi
	cp "$2" "$tmp/$2"
}

cp -r libblockz tools tests fixtures README Makefile .ci "$tmp"
text=libblockz/ARCHITECTURE
notices file $text 's|journal/transaction\.c|journal/transfer.c|' 'no journal/transfer\.c'
notices folder $text 's|^    delta/squashdelta  |    delta/squash  |' 'no delta/squash'
notices function $text 's/write_new()/write_news()/' 'write_news\(\) is not in'
notices function-elsewhere $text 's/sync_store()/transaction_run()/' 'transaction_run\(\) is not in io/access\.c'
notices struct $text 's/struct codec;/struct codex;/' 'no struct codex'
notices section $text 's/^    transaction_run.*/&\n"A section"/' 'no section "A section"'
notices page $text 's/blockz-delta(5)/blockz-patch(5)/' 'no page blockz-patch\(5\)'
notices step-in-code libblockz/journal/transaction.c 's|^/\* Step 9\. \*/|/* Step 19. */|' 'no step 19'
notices step-in-text $text 's/^  9  Write/     Write/' 'no step 9' 
notices invariant libblockz/format/format.h 's/invariant 1\b/invariant 100/' 'no invariant 100'
notices file-in-code libblockz/range/map.h 's|^ \* The map: |&see plans.h, |' 'no plans\.h'
notices section-in-code libblockz/range/map.h 's|^ \* The map: |&see ARCHITECTURE, "The plan", |' 'no section "The plan"'
