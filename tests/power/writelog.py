# SPDX-License-Identifier: BSD-3-Clause
"""The log that QEMU's blklogwrites keeps of what a disk was told, and what a power failure can make of it.

The format is that of the kernel's dm-log-writes: a superblock, then entries, each a header in a sector of its own and
the data behind it.  The disk modelled has a volatile cache: what was written before a flush is there after the power
failure; of what was written since, each 512-byte sector may be there or not.
"""
import struct

SECTOR = 512
MAGIC = 0x6A736677736872
FLUSH, FUA, DISCARD = 1, 2, 4


class Write:
    def __init__(self, position, offset, data, forced):
        self.position = position  # in the log
        self.offset = offset
        self.data = data
        self.forced = forced  # FUA: durable before any flush

    def sectors(self):
        return range(len(self.data) // SECTOR)

    def covers(self, offset):
        return self.offset <= offset < self.offset + len(self.data)


def count(path):
    """How many entries the log at path has by now."""
    with open(path, "rb") as file:
        head = file.read(28)
    if not head:  # nothing was written yet
        return 0
    magic, version, entries, sector = struct.unpack("<QQQI", head)
    assert (magic, version, sector) == (MAGIC, 1, SECTOR), "not a log of blklogwrites"
    return entries


def epochs(path):
    """The writes in the log, as lists that a flush ends: [(position of the flush or the log's end, writes)]."""
    found, writes, total = [], [], count(path)
    with open(path, "rb") as file:
        file.seek(SECTOR)
        for position in range(total):
            sector, sectors, flags, _ = struct.unpack("<QQQQ", file.read(SECTOR)[:32])
            assert not flags & DISCARD, "the file system was mounted with nodiscard"
            if flags & FLUSH:
                found.append((position, writes))
                writes = []
            if sectors > 0:
                data = file.read(sectors * SECTOR)
                writes.append(Write(position, sector * SECTOR, data, bool(flags & FUA)))
    found.append((total, writes))
    return found


def torn(write, whole, part):
    """A part of the write's sectors; all of them where the write is atomic."""
    return frozenset(write.sectors()) if any(write.covers(offset) for offset in whole) else frozenset(part)


def choices(writes, whole, rng, samples):
    """Which sectors survive: prefixes, one write missing, alone or torn in its middle, then random ones.

    Yields (how many of the writes had been issued, a set of sectors for each write).
    """
    full = [frozenset(write.sectors()) for write in writes]
    none = frozenset()
    amount = len(writes)
    for end in range(amount + 1):
        yield end, full[:end] + [none] * (amount - end)
    for one, write in enumerate(writes):
        half = torn(write, whole, write.sectors()[:len(full[one]) // 2])
        yield amount, full[:one] + [none] + full[one + 1:]
        yield amount, [none] * one + [full[one]] + [none] * (amount - one - 1)
        yield amount, full[:one] + [half] + full[one + 1:]
    for sample in range(samples):
        share = rng.choice((0.2, 0.5, 0.8))
        kept = [sectors if rng.random() < share else none for sectors in full]
        for one in rng.sample(range(amount), min(amount, 3)) if sample % 2 == 1 else ():
            kept[one] = torn(writes[one], whole, (sector for sector in full[one] if rng.random() < 0.5))
        yield amount, kept


def states(end, writes, whole, rng, samples):
    """The different states that one epoch can leave: (position in the log at the failure, [(offset, bytes)])."""
    seen = set()
    for issued, kept in choices(writes, whole, rng, samples):
        position = writes[issued].position if issued < len(writes) else end
        kept = [frozenset(write.sectors()) if write.forced and i < issued else sectors
                for i, (write, sectors) in enumerate(zip(writes, kept))]
        if (position, *kept) in seen:
            continue
        seen.add((position, *kept))
        yield position, [(write.offset + sector * SECTOR, write.data[sector * SECTOR:(sector + 1) * SECTOR])
                         for write, sectors in zip(writes, kept) for sector in sorted(sectors)]
