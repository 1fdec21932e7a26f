# shellcheck shell=bash
# SPDX-License-Identifier: BSD-3-Clause
#
# What tool tests share.  A test sources this file, stands in an empty folder of its own, and ends with `finish`.
set -u
PATH=$BLOCKZ_BIN:$PATH:/usr/sbin:/sbin
export LC_ALL=C.UTF-8
tree=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
self=$(realpath "$0")
tmp=$(mktemp -d "${BLOCKZ_TEST_TMP:-/tmp}/tool.XXXXXX")
trap 'chmod -R u+rwx "$tmp"; rm -rf "$tmp"' EXIT
cd "$tmp" || exit 1
mkdir .log
# shellcheck disable=SC2034  # of those who source this
suffixes=(.gz .xz .zst) # one a format
failed=0
# 7z learnt it in version 23.
: "${sevenzip_zstd:=$(7z i 2>/dev/null | grep -q ' zstd ' && echo true || echo false)}"
export sevenzip_zstd

# python3 ARGUMENT...: with the modules of this folder, and without those that are installed beside Python's own, which it need
# not look for.
python3() {
	PYTHONPATH=$tree/tests/tool${PYTHONPATH:+:$PYTHONPATH} command python3 -BS "$@"
}

ok() {
	echo "ok $1"
}

not_ok() { # NAME [WHY]
	echo "not ok $1: ${2:-it is not so}"
	failed=1
}

skip() { # NAME WHY
	echo "skip $1: $2"
}

# check NAME COMMAND...: the command succeeds.  What it prints is in .log/out and .log/err.
check() {
	status 0 "$@"
}

# status WANTED NAME COMMAND...: the command ends with this exit status.
status() {
	local wanted=$1 name=$2 got
	shift 2
	"$@" >.log/out 2>.log/err
	got=$?
	if [ "$got" -eq "$wanted" ]; then
		ok "$name"
	else
		not_ok "$name" "status $got, expected $wanted: $* ($(tail -n 2 .log/err .log/out | tr '\n' ' '))"
	fi
}

# says NAME REGEX...: stderr of the last command has lines that match each of these.
says() {
	local name=$1 regex line lines
	shift
	mapfile -t lines <.log/err
	for regex; do
		for line in "${lines[@]}"; do
			[[ ! $line =~ $regex ]] || continue 2
		done
		not_ok "$name" "no '$regex' in: ${lines[*]}"
		return
	done
	ok "$name"
}

# same NAME FILE FILE: both have the same bytes.
same() {
	if cmp -s "$2" "$3"; then ok "$1"; else not_ok "$1" "$(cmp "$2" "$3" 2>&1)"; fi
}

# nothing_left NAME ENTRY...: the folder holds these entries and no other.
nothing_left() {
	local name=$1 each found missing=''
	shift
	shopt -s dotglob nullglob
	found=(*)
	shopt -u dotglob nullglob
	for each in .log "$@"; do
		[ -e "$each" ] || [ -L "$each" ] || missing+=" $each"
	done
	if [ -z "$missing" ] && [ ${#found[@]} -eq $(($# + 1)) ]; then ok "$name"; else not_ok "$name" "there is ${found[*]}"; fi
}

# unprivileged COMMAND...: permissions hold for the command even where root runs the tests.
unprivileged() {
	if [ "$(id -u)" -eq 0 ]; then
		setpriv --bounding-set=-dac_override,-dac_read_search "$@"
	else
		"$@"
	fi
}

# image ARGUMENT...: prints the path of an image by make-image, made once for all tests; not to be changed.  Few files are in
# its root, as each test reads all of it many times.
image() {
	local path
	path=${BLOCKZ_TEST_TMP:-/tmp}/image-$(echo "$*" | tr -c 'a-zA-Z0-9\n' _)
	(
		flock 9
		[ -e "$path" ] || "$tree/fixtures/make-image" --fill 10 "$@" "$path" >&2 9<&-
	) 9>"$path.lock" || exit 1
	echo "$path"
}

# format_of FILE: the suffix of its format, whatever its name where a test runs for each format.
format_of() {
	echo "${suffix:-.${1##*.}}"
}

# each_format: runs the test once for each format, as $suffix, with it before the names of the cases.
each_format() {
	local each status=0
	[ -z "${suffix:-}" ] || return 0
	for each in "${suffixes[@]}"; do
		suffix=$each "$self" | sed -uE "s/^(ok|not ok|skip) /\1 ${each#.}-/"
		[ "${PIPESTATUS[0]}" -eq 0 ] || status=1
	done
	exit "$status"
}

# judges FILE [IMAGE]: each decoder that has to accept a file, as a command, one a line.  The image in the file goes to IMAGE.
judges() {
	local own=${2:+"decode $1 >$2"}
	case $(format_of "$1") in
	.gz)
		echo "${own:-gzip -t <$1}"
		echo "libdeflate-gunzip -t $1"
		echo "pigz -t <$1"
		echo "7z t $1"
		echo "busybox gunzip -t <$1"
		echo "zstd -q -t --format=gzip <$1"
		echo "python3 -c 'import gzip, shutil; shutil.copyfileobj(gzip.open(\"$1\"), open(\"/dev/null\", \"wb\"))'"
		;;
	.xz)
		echo "${own:-xz -t <$1}"
		echo "7z t $1"
		echo "zstd -q -t --format=xz <$1"
		echo "busybox xz -t <$1"
		[ "$(stat -c %s "$1")" -eq 32 ] || echo "pixz -d <$1 >.log/pixz" # wants a Block
		echo "bsdcat <$1 >.log/bsdcat"
		echo "python3 -c 'import lzma, shutil; shutil.copyfileobj(lzma.open(\"$1\"), open(\"/dev/null\", \"wb\"))'"
		;;
	.zst)
		echo "${own:-zstd -q -t <$1}"
		$sevenzip_zstd && echo "7z t $1"
		echo "bsdcat <$1 >.log/bsdcat"
		echo "pzstd -q -t <$1"
		;;
	esac
}

# accepted NAME FILE [IMAGE]: every judge takes it.  The image in it goes to IMAGE.
accepted() {
	local judge refused=''
	while read -r judge; do
		eval "$judge" </dev/null >.log/judge 2>&1 || refused+="[$judge: $(tail -n 1 .log/judge)]"
	done < <(judges "${@:2}")
	if [ -z "$refused" ]; then ok "$1"; else not_ok "$1" "$refused"; fi
}

# rejected NAME FILE: every judge refuses it.
rejected() {
	local judge taken=''
	while read -r judge; do
		eval "$judge" </dev/null >/dev/null 2>&1 && taken+="[$judge]"
	done < <(judges "$2")
	if [ -z "$taken" ]; then ok "$1"; else not_ok "$1" "$taken"; fi
}

# decode FILE: the image in it, by the format's own program.
decode() {
	case $(format_of "$1") in
	.gz) gzip -dc <"$1" ;;
	.xz) xz -dc -T0 <"$1" ;;
	.zst) zstd -q -dc <"$1" ;;
	esac
}

# bounded PEAK COMMAND...: as the command ends, but 99 where it took more than PEAK KiB of memory or half a minute.
bounded() {
	local peak=$1 got lines
	shift
	(ulimit -t 30; exec /usr/bin/time -q -o .log/peak -f %M "$@")
	got=$?
	mapfile -t lines <.log/peak
	if [ "${lines[-1]}" -gt "$peak" ]; then
		echo "${lines[-1]} KiB" >&2
		got=99
	fi
	return "$got"
}

# edit_entry IMAGE: changes a line of the loader entry in the ext4 boot file system IMAGE, with debugfs.
edit_entry() {
	debugfs -R 'cat /loader/entries/fixture-1.conf' "$1" 2>/dev/null | sed "s/=metal/=${2:-qemu}/" >.log/entry
	printf 'rm /loader/entries/fixture-1.conf\nwrite .log/entry /loader/entries/fixture-1.conf\n' |
		debugfs -w -f - "$1" >.log/debugfs 2>&1
	debugfs -R 'cat /loader/entries/fixture-1.conf' "$1" 2>/dev/null | grep -q "=${2:-qemu}"
}

# small_disk FILE: 12 MiB with a GPT, an ext4 partition named boot that holds what edit_entry changes, data and noise.
small_disk() {
	mkdir -p .log/boot/loader/entries
	echo 'options root=LABEL=root fixture.platform=metal' >.log/boot/loader/entries/fixture-1.conf
	head -c 1M "$BLOCKZ_BIN/partial-deflate" >.log/boot/vmlinuz
	truncate -s 12M "$1"
	printf 'label: gpt\nstart=2048, size=8192, name=boot\nstart=10240, size=12288, name=root\n' | sfdisk -q "$1"
	mke2fs -q -t ext4 -L boot -d .log/boot -E offset=1048576 "$1" 4M 2>.log/mke2fs || return 1
	cat "$BLOCKZ_BIN"/blockz-* | head -c 2M | dd of="$1" bs=1M seek=6 conv=notrunc status=none
	head -c 512K /dev/urandom | dd of="$1" bs=1M seek=9 conv=notrunc status=none
}

# scattered_disk FILE: 362 MiB with a line and some text in every second piece of 64 KiB, so that no two are one entry of an index.
scattered_disk() {
	python3 - "$1" <<-'END'
		import random, sys
		rand = random.Random(1)
		with open(sys.argv[1], "wb") as image:
		    for i in range(2900):
		        image.seek(i << 17)
		        image.write(b"piece %06d\n" % i + rand.randbytes(6000).hex().encode())
		    image.truncate(2900 << 17)
	END
}

# partition IMAGE LABEL: start and length in bytes of a partition of a plain image, from its own table.
partition() {
	sfdisk -J "$1" 2>/dev/null | python3 -c '
import json, sys
table = json.load(sys.stdin)["partitiontable"]
for part in table["partitions"]:
    if part.get("name") == sys.argv[1]:
        size = table.get("sectorsize", 512)
        print(part["start"] * size, part["size"] * size)' "$2"
}

finish() {
	exit "$failed"
}
