# SPDX-License-Identifier: BSD-3-Clause
"""Edits as runs, (offset, new bytes) in ascending order: of a copy of a file, and real ones, by a file system that is mounted."""
import contextlib
import json
import os
import re
import subprocess
import time
from pathlib import Path
from typing import NamedTuple

from common import command

CHUNK, PAGE = 1 << 20, 4 << 10


def chunks_with_data(fd, start, end):
    """(offset, length) of what is not a hole, cut into chunks."""
    while start < end:
        try:
            start = os.lseek(fd, start, os.SEEK_DATA)
        except OSError:  # there is none up to the end of the file
            return
        hole = min(os.lseek(fd, start, os.SEEK_HOLE), end)
        for off in range(start, hole, CHUNK):
            yield off, min(CHUNK, hole - off)
        start = hole


def append(runs, off, content):
    """Joins what follows at once to the last run."""
    if runs and runs[-1][0] + len(runs[-1][1]) == off:
        off, content = runs[-1][0], runs.pop()[1] + content
    runs.append((off, content))


class Copy:
    """A copy of a file that is changed, and made like the file again."""

    def __init__(self, source, path):
        self.source, self.path = source, Path(path)
        self.renew()

    def renew(self):
        """By copying all of it, so that it is on the disk."""
        self.path.unlink(missing_ok=True)
        command("cp", "--sparse=always", self.source, self.path)
        command("sync", self.path)

    def differences(self, start=0, end=None):
        """The runs that make the copy of the file, in whole pages."""
        runs = []
        with open(self.source, "rb") as old, open(self.path, "rb") as new:
            for off, length in chunks_with_data(new.fileno(), start, end or os.stat(self.path).st_size):
                before, after = (os.pread(file.fileno(), length, off) for file in (old, new))
                if before != after:
                    pages = ((off + at, after[at:at + PAGE]) for at in range(0, length, PAGE)
                             if before[at:at + PAGE] != after[at:at + PAGE])
                    for page in pages:
                        append(runs, *page)
        return runs

    def write(self, runs):
        with open(self.path, "r+b") as file:
            for off, content in runs:
                os.pwrite(file.fileno(), content, off)

    def restore(self, runs):
        with open(self.source, "rb") as file:
            self.write([(off, os.pread(file.fileno(), len(content), off)) for off, content in runs])


class Partition(NamedTuple):
    number: int
    start: int
    end: int


def partition(image, name):
    """The partition of this name; None if there is none, or no table."""
    done = subprocess.run(["sfdisk", "-J", image], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    table = json.loads(done.stdout)["partitiontable"] if done.returncode == 0 else {"partitions": []}
    sector = table.get("sectorsize", 512)
    for row in table["partitions"]:
        if row.get("name") == name:
            number = int(re.search(r"\d+$", row["node"])[0])
            return Partition(number, row["start"] * sector, (row["start"] + row["size"]) * sector)
    return None


@contextlib.contextmanager
def mounted(path, place, *options):
    """Yields the folder where the file system of this partition is mounted.  Needs root."""
    folder = Path("mnt")
    folder.mkdir(exist_ok=True)
    where = ["loop", f"offset={place.start}", f"sizelimit={place.end - place.start}"]
    command("mount", "-o", ",".join([*where, *options]), path, folder)
    try:
        yield folder
    finally:
        command("umount", folder)
        while command("losetup", "-j", path):  # the next mount would find its old pages
            time.sleep(0.01)


def edits_by(changes, copy, place):
    """Yields for each change, a call with the folder, the runs that it makes of the copied image, by itself."""
    for change in changes:
        with mounted(copy.path, place) as folder:
            change(folder)
        runs = copy.differences(place.start, place.end)
        copy.restore(runs)
        yield runs
