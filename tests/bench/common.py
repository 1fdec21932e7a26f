# SPDX-License-Identifier: BSD-3-Clause
"""What benchmarks share: running commands and servers, where an image has data, and judging figures."""
import contextlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

PROGRAM = Path(sys.argv[0]).name


def give_up(text):
    sys.exit(f"{PROGRAM}: {text}")


def command(*argv):
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if done.returncode != 0:
        give_up(f"{' '.join(argv)}: status {done.returncode}: {done.stderr.decode(errors='replace')}")
    return done.stdout


@contextlib.contextmanager
def running(name, argv, socket):
    """Yields the process of the server and a libnbd handle that is connected to it; what it says goes to a file."""
    import nbd
    Path(socket).unlink(missing_ok=True)
    with open(socket + ".errors", "wb") as errors:
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stderr=errors)
    try:
        while True:
            handle = nbd.NBD()
            try:
                handle.connect_unix(socket)
                break
            except nbd.Error:
                if process.poll() is not None:
                    give_up(f"{name}: does not start: {Path(errors.name).read_text(errors='replace')}")
                time.sleep(0.001)
        yield process, handle
    finally:
        process.terminate()
        process.wait()


def extents_of(file):
    """Yields where what is no hole starts and ends."""
    end = 0
    with contextlib.suppress(OSError):  # ENXIO: nothing but a hole from here on
        while True:
            start = file.seek(end, os.SEEK_DATA)
            end = file.seek(start, os.SEEK_HOLE)
            yield start, end


def verdict(text, value, goal, most=False):
    """Prints whether value is at least the goal, or with most at most that, and by how much it is not."""
    reached = value <= goal if most else value >= goal
    places = 0 if isinstance(value, int) else 2
    by = "reached" if reached else f"missed by {abs(value - goal):.{places}f}"
    print(f"{text:75} {value:6.{places}f}  {by} ({'at most ' if most else ''}{goal})")


def require(packages, programs, *files):
    missing = [name for name in programs if shutil.which(name) is None] or [str(file) for file in files if not file.exists()]
    if missing:
        give_up(f"missing {' '.join(missing)}; packages: {packages}")
    try:
        import nbd  # noqa: F401
    except ImportError:
        give_up("the package python3-libnbd is missing")
