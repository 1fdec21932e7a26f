# shellcheck shell=bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Pairs of images to make deltas of: small, of every kind, and with the changes that updates bring.
# usage, after lib.sh: . pairs.sh; each pair NAME makes the files old and new, which may be nothing to compress at all.
# shellcheck source=tests/tool/lib.sh

# Programs, text, small files, equal files, holes, noise: a tree .log/old, and .log/new that came of it.  Of the library and of
# its sources, as there are no other files that all machines have.
make_trees() {
	# shellcheck disable=SC2154  # tree is of lib.sh
	python3 - "$BLOCKZ_BIN/libblockz.so" "$tree/libblockz" <<'END'
import os, pathlib, random, re, shutil, sys

library, source = pathlib.Path(sys.argv[1]).read_bytes()[:200000], pathlib.Path(sys.argv[2])
rand = random.Random(1)
sources = sorted(source.rglob("*.[ch]"))
text = b"".join(path.read_bytes() for path in sources)[:150000]


def relinked(code):
    """As a linker would have it after an insertion: what is behind it moves, addresses change here and there."""
    code = bytearray(code[:100000] + rand.randbytes(700) + code[100000:])
    for at in range(1000, len(code) - 4, 4000):
        code[at:at + 4] = (int.from_bytes(code[at:at + 4], "little") + 700 & 0xFFFFFFFF).to_bytes(4, "little")
    return bytes(code)


def write(root, name, content):
    path = pathlib.Path(".log", root, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def holes(root, name, pieces):
    write(root, name, b"")
    with open(f".log/{root}/{name}", "r+b") as file:
        for at, piece in pieces:
            file.seek(at)
            file.write(piece)
        file.truncate(1 << 20)


noise = rand.randbytes(80000)
for root in ("old", "new"):
    is_new = root == "new"
    write(root, "usr/program", relinked(library) if is_new else library)
    write(root, "usr/text", text.replace(b"status", b"result", 40)[5000:] + text[:5000] if is_new else text)
    write(root, "usr/noise", noise)
    write(root, "usr/copy", noise)
    write(root, "usr/more", rand.randbytes(20000) if is_new else noise[:20000])
    write(root, "usr/empty", b"")
    holes(root, "var/holes", [(100000, text[:70000]), ((600 << 10) + is_new, library[:10000])])
    holes(root, "var/hole", [])
    for path in sources[:25]:
        content = path.read_bytes()
        write(root, f"src/{path.relative_to(source)}", re.sub(b"int ", b"long ", content, 1) if is_new else content)
    for n in range(150):
        write(root, f"many/a file with a name that is long enough for an index, of number {n}", b"%d\n" % (n + is_new * (n == 7)))
    os.symlink("usr/program", f".log/{root}/link")
    os.link(f".log/{root}/usr/text", f".log/{root}/usr/hard")
END
}
make_trees

# What files cannot be made of by any user: for mksquashfs, and for gensquashfs, with attributes.
cat >.log/nodes <<'END'
dev d 755 0 0
dev/null c 666 0 0 1 3
dev/sda b 660 0 6 8 0
dev/pipe i 600 1 2 f
dev/socket i 600 1 2 s
END
cat >.log/pack <<'END'
dir /dev 0755 0 0
nod /dev/null 0666 0 0 c 1 3
nod /dev/null-x 0666 0 0 c 1 3
nod /dev/sda 0660 0 6 b 8 0
nod /dev/sda-x 0660 0 6 b 8 0
pipe /dev/pipe 0600 1 2
pipe /dev/pipe-x 0600 1 2
sock /dev/socket 0600 1 2
sock /dev/socket-x 0600 1 2
slink /dev/link 0777 0 0 usr/program
slink /dev/link-x 0777 0 0 usr/program
dir /plain 0755 0 0
file /plain/program 0755 0 0 usr/program
file /plain/program-x 0755 0 0 usr/text
glob /usr 0644 3 4 -type f usr
glob /var 0644 3 4 -type f var
glob /many 0644 3 4 -type f many
END
for node in dev dev/null-x dev/sda-x dev/pipe-x dev/socket-x dev/link-x plain/program-x; do
	printf '# file: %s\nsecurity.selinux="system_u:object_r:%s:s0"\ntrusted.note="old or new"\n\n' $node ${node//\//_}
done >.log/xattrs

# squashfs OUT TREE OPTION...: by mksquashfs.
squashfs() {
	local out=$1 root=$2
	shift 2
	mksquashfs ".log/$root" "$out" -pf .log/nodes -all-root -all-time 0 -mkfs-time 0 -noappend -no-progress -quiet "$@" \
		>.log/mksquashfs 2>&1 || not_ok "mksquashfs $*" "$(tail -n 1 .log/mksquashfs)"
}

# Where the encoder does not matter: mksquashfs's own level takes long.
quick=(-comp zstd -Xcompression-level 3)

squashfs_pair() { # OPTION...
	squashfs old old "$@"
	squashfs new new "$@"
}

# gensquashfs_pair OPTION...: every kind of inode, each with and without attributes.
gensquashfs_pair() {
	local side
	for side in old new; do
		gensquashfs -q -f -F .log/pack -D ".log/$side" -A .log/xattrs "$@" $side >.log/gensquashfs 2>&1 ||
			not_ok "gensquashfs $*" "$(tail -n 1 .log/gensquashfs)"
	done
}

# The disk of lib.sh, with an edit in a file system and some sectors that are others.
make_disks() {
	[ ! -e .log/disk-old ] || return 0
	small_disk .log/disk-old
	truncate -s 7M .log/disk-old
	cp .log/disk-old .log/disk-new
	dd if=.log/disk-old of=.log/boot.img bs=1M skip=1 count=4 status=none
	edit_entry .log/boot.img
	dd if=.log/boot.img of=.log/disk-new bs=1M seek=1 conv=notrunc status=none
	dd if=.log/new/usr/program of=.log/disk-new bs=1000 seek=6900 conv=notrunc status=none
}

# packed_pair COMMAND...: the disk compressed by a filter.
packed_pair() {
	local side
	make_disks
	for side in old new; do
		"$@" <.log/disk-$side >$side 2>.log/packed || not_ok "$*" "$(tail -n 1 .log/packed)"
	done
}

zstd_pair() { # OPTION...: by name, as zstd knows no size of a stream
	local side
	make_disks
	for side in old new; do
		zstd -q -1 "$@" -c .log/disk-$side >$side || not_ok "zstd $*"
	done
}

deflated_pair() { # OPTION...
	local side
	make_disks
	for side in old new; do
		partial-deflate -q -f "$@" .log/disk-$side - >$side || not_ok "partial-deflate $*"
	done
}

# Names of all pairs, and how many per cent of NEW a delta may have, as far as that is sure.
# shellcheck disable=SC2034  # of those who source this
readonly PAIRS='
gzip 40
gzip-strategies 40
lzma 40
xz 40
xz-bcj 40
zstd 40
zstd-3 40
lzo 40
lz4 60
lz4hc 40
4K 60
16K 60
1M 40
no-fragments 40
all-fragments 40
stored-inodes 40
stored-data 20
stored-fragments 40
stored-all 20
no-duplicates 30
no-sparse 40
no-exports 40
no-xattrs 40
no-padding 40
kinds-gzip 50
kinds-lzma 50
kinds-xz 50
kinds-zstd 50
kinds-lzo 50
kinds-lz4 60
kinds-4K 60
own-lzma 50
own-xz 50
own-xz-bcj 50
added-files 110
removed-files 5
equal 1
empty
from-empty 110
to-empty
other-block-size 110
other-compressor 110
padded 40
padded-rubbish 40
gz 25
xz-blocks 25
zst 25
gz-gzip 110
gz-pigz 110
xz-xz 25
xz-threads 25
zst-zstd 25
zst-single 25
zst-frames 110
gz-to-zst 110
plain 10
plain-noise 110
plain-from-nothing 110
plain-to-nothing
nothing
one-byte
'

pair() { # NAME
	rm -f old new
	case $1 in
	gzip | lzma | xz | zstd | lzo | lz4) squashfs_pair -comp "$1" ;;
	gzip-strategies) squashfs_pair -comp gzip -Xstrategy default,filtered,huffman_only -Xcompression-level 6 ;;
	xz-bcj) squashfs_pair -comp xz -Xbcj x86 -Xdict-size 50% ;;
	zstd-3) squashfs_pair -comp zstd -Xcompression-level 3 ;;
	lz4hc) squashfs_pair -comp lz4 -Xhc ;;
	4K | 16K | 1M) squashfs_pair "${quick[@]}" -b "$1" ;;
	no-fragments) squashfs_pair "${quick[@]}" -no-fragments ;;
	all-fragments) squashfs_pair "${quick[@]}" -always-use-fragments ;;
	stored-inodes) squashfs_pair "${quick[@]}" -noI -noX ;;
	stored-data) squashfs_pair "${quick[@]}" -noD ;;
	stored-fragments) squashfs_pair "${quick[@]}" -noF ;;
	stored-all) squashfs_pair -comp gzip -noI -noD -noF -noX ;;
	no-duplicates | no-sparse | no-exports | no-xattrs) squashfs_pair "${quick[@]}" "-$1" ;;
	no-padding) squashfs_pair "${quick[@]}" -nopad ;;
	own-lzma) gensquashfs_pair -c lzma -X level=4,lc=2,lp=1,pb=0 ;;
	own-xz) gensquashfs_pair -c xz -X level=3,extreme,lc=0,lp=3,pb=1 ;;
	own-xz-bcj) gensquashfs_pair -c xz -X level=2,x86,lc=1,lp=1 ;;
	kinds-4K) gensquashfs_pair -c zstd -b 4096 -e ;;
	kinds-*) gensquashfs_pair -c "${1#*-}" ;;
	added-files)
		squashfs_pair "${quick[@]}"
		squashfs old old "${quick[@]}" -e usr ;;
	removed-files)
		squashfs_pair "${quick[@]}"
		squashfs new old "${quick[@]}" -e usr ;;
	equal)
		squashfs_pair "${quick[@]}"
		cp old new ;;
	empty)
		mkdir -p .log/nothing
		squashfs old nothing -comp xz
		squashfs new nothing -comp xz -mkfs-time 1 ;;
	from-empty)
		pair empty
		squashfs new new -comp xz ;;
	to-empty)
		pair empty
		squashfs old new -comp xz ;;
	other-block-size)
		squashfs old old "${quick[@]}" -b 64K
		squashfs new new "${quick[@]}" -b 128K ;;
	other-compressor)
		squashfs old old -comp gzip
		squashfs new new -comp zstd ;;
	padded)
		squashfs_pair "${quick[@]}"
		truncate -s %1M old ;;
	padded-rubbish)
		squashfs_pair "${quick[@]}"
		cat .log/old/usr/noise >>old ;;
	gz) deflated_pair gzip ;;
	xz-blocks) deflated_pair xz -1 --piece-size 1M ;;
	zst) deflated_pair zstd --piece-size 1M ;;
	gz-gzip) packed_pair gzip -n ;;
	gz-pigz) packed_pair pigz -n ;;
	xz-xz) packed_pair xz -1 ;;
	xz-threads) packed_pair xz -1 -T2 --block-size=3MiB ;;
	zst-zstd) zstd_pair -T2 ;;
	zst-single) zstd_pair --single-thread ;;
	zst-frames) packed_pair pzstd -q ;;
	gz-to-zst)
		deflated_pair gzip
		mv old .log/gz
		deflated_pair zstd
		mv .log/gz old ;;
	plain)
		cp .log/old/usr/program old
		cp .log/new/usr/program new ;;
	plain-noise)
		cp .log/old/usr/noise old
		cp .log/new/usr/more new ;;
	plain-from-nothing)
		: >old
		cp .log/new/usr/program new ;;
	plain-to-nothing)
		cp .log/old/usr/program old
		: >new ;;
	nothing)
		: >old
		: >new ;;
	one-byte)
		printf a >old
		printf b >new ;;
	esac
}
