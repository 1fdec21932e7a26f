# shellcheck shell=bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Files that are well-formed and lie, for tests that source this behind lib.sh and set $suffix and $format.

python3 - <<'END'
import random
from texts import text
rng = random.Random(5)
with open("disk.img", "wb") as file:
    file.write(text(rng, 400000) + rng.randbytes(200000) + text(rng, 200000) + bytes(300000) + text(rng, 100001))
END
# shellcheck disable=SC2154  # format and suffix are of those who source this
partial-deflate -q -f "$format" --piece-size 128K disk.img "base$suffix" 400000 600000 || exit 1
printf 'new bytes' >data
at=450000 # where they go, raw, and compressed
packed=5000

# refused STATUS: a refusal that says where, of a file.
refused() {
	case $1 in 3 | 4 | 5) grep -qE "(lie|patched)$suffix: .*(offset|image offset) [0-9]+(:| is| does not fit)" .log/err ;; *) false ;; esac
}

# judged NAME STATUS REGEX: of lie$suffix, blockz-verify says this; no tool takes it for other than what the format's own
# program takes it for, or needs more than a little memory.
judged() {
	local name=$1 good=false others='' tool got peak
	decode "lie$suffix" >judge.img 2>.log/judge && good=true
	[ "$2$suffix" = 3.xz ] || [ "$2$suffix" = 3.zst ] || [ "$2" -gt 3 ] || $good || not_ok "$name-judge" "$(tail -n 1 .log/judge)"
	status "$2" "$name" bounded 65536 blockz-verify "lie$suffix"
	[ "$2" -eq 0 ] || says "$name-says" "lie$suffix: offset [0-9]+: $3"
	for tool in 'map' 'map --scan' 'cat' 'verify --quick'; do
		peak=65536
		[[ $tool != map* ]] || peak=16384
		# shellcheck disable=SC2086  # a tool and its option
		bounded $peak blockz-$tool "lie$suffix" >.log/out 2>.log/err
		got=$?
		refused $got && continue
		case $tool:$got in
		cat:0) ! $good || cmp -s .log/out judge.img || others+=" cat has other content" ;;
		*:0) ;;
		*) others+=" $tool: status $got $(tail -n 1 .log/err)" ;;
		esac
	done
	if [ -z "$others" ]; then ok "$name-others"; else not_ok "$name-others" "$others"; fi
	patched "$name-patch" "$good" --set $at=data
	for tool in splice in-place; do
		patched "$name-$tool" "$good" --anywhere --way $tool --set $at=data --set $packed=data
	done
}

# patched NAME GOOD OPTION...: an edit is refused and the file as it was, or it is what it should be, and damage is still seen.
patched() {
	local name=$1 good=$2 each got
	shift 2
	cp "lie$suffix" "patched$suffix"
	bounded 65536 blockz-patch -q "$@" "patched$suffix" 2>.log/err
	got=$?
	if [ $got -ne 0 ]; then
		refused $got && cmp -s "lie$suffix" "patched$suffix" && ok "$name" || not_ok "$name" "status $got, $(cat .log/err)"
	elif $good; then
		cp judge.img wanted.img
		for each; do
			case $each in *=data) dd if=data of=wanted.img bs=1 seek="${each%=*}" conv=notrunc status=none ;; esac
		done
		decode "patched$suffix" 2>.log/err | cmp -s - wanted.img && ok "$name" || not_ok "$name" "other content"
	elif decode "patched$suffix" >.log/out 2>.log/err; then
		not_ok "$name" "what was damaged is good now"
	else
		ok "$name"
	fi
}

# shellcheck disable=SC2154  # tree is of lib.sh
# lie NAME STATUS REGEX PYTHON: judged, of what a piece of Python makes of the base.
lie() {
	"$tree/tests/tool/lie-$format" "base$suffix" "lie$suffix" "$4" && judged "$1" "$2" "$3" || not_ok "$1" "no lie was made"
}
