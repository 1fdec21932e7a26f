# SPDX-License-Identifier: BSD-3-Clause
"""What the tests of the nbdkit plugins share: a server, requests to it, cases and their verdicts.

A test imports this in the first place, calls need(), and stands in an empty folder of its own from then on.
"""
import atexit
import contextlib
import errno
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

BIN = os.environ["BLOCKZ_BIN"]
KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
failed = 0
nbd = None


class Skipped(Exception):
    """What a case raises that cannot be run here."""


def skip(name, why):
    """Ends the whole test."""
    print(f"skip {name}: {why}")
    sys.exit(0)


def need(name, plugin, *programs):
    """Ends the test as skipped where something is missing.  Returns libnbd and the plugin's path."""
    global nbd
    os.environ["PATH"] = f"{BIN}:{os.environ['PATH']}:/usr/sbin:/sbin"
    for program in ("nbdkit", *programs):
        if shutil.which(program) is None:
            skip(name, f"there is no {program} here")
    path = os.path.join(BIN, plugin)
    if not os.path.exists(path):
        skip(name, "the plugin was not built, as nbdkit's development files were missing")
    try:
        import nbd as module
    except ImportError:
        skip(name, "there is no libnbd for Python here")
    nbd = module
    folder = os.path.realpath(tempfile.mkdtemp(dir=os.environ.get("BLOCKZ_TEST_TMP")))
    atexit.register(shutil.rmtree, folder)
    os.chdir(folder)
    return nbd, path


def run(*argv, timeout=120, **options):
    return subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=timeout,
                          **options)


def read(path):
    with open(path, "rb") as file:
        return file.read()


def write(path, data):
    with open(path, "wb") as file:
        file.write(data)


def wait_until(true, why):
    deadline = time.monotonic() + 60
    while not true():
        if time.monotonic() > deadline:
            raise AssertionError(why() if callable(why) else why)
        time.sleep(0.01)


# ---- The server

class Server:
    """nbdkit in the foreground; stop() ends it and returns what it printed.  before: what starts it."""

    def __init__(self, *args, before=(), **options):
        for name in ("pid", "sock"):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(name)
        with open("stderr", "wb") as log:
            self.process = subprocess.Popen([*before, "nbdkit", "-f", "-U", "sock", "-P", "pid", *args],
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log, **options)
        wait_until(lambda: os.path.exists("pid") and read("pid").endswith(b"\n") or self.process.poll() is not None,
                   "no server, and no end of it")
        if self.process.poll() is not None:
            raise AssertionError(f"no server: {self.log()}")
        self.pid, self.handles = int(read("pid")), []

    def connect(self, export=""):
        handle = nbd.NBD()
        handle.set_strict_mode(0)  # what libnbd would refuse itself is for the server to refuse
        handle.set_export_name(export)
        handle.add_meta_context("base:allocation")
        handle.connect_unix("sock")
        self.handles.append(handle)
        return handle

    def log(self):
        return read("stderr").decode()

    def wait_for(self, text):
        wait_until(lambda: text in self.log(), lambda: f"no '{text}' in: {self.log()}")

    def kill(self):
        os.kill(self.pid, signal.SIGKILL)
        self.process.wait()

    def stop(self):
        for handle in self.handles:  # nbdkit waits for its clients
            with contextlib.suppress(nbd.Error):
                handle.shutdown()
        if self.process.poll() is None:
            os.kill(self.pid, signal.SIGTERM)
            self.process.wait(timeout=60)
        return self.log()

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.stop()


def ends_by(server, number):
    """A signal ends the server while its clients stay."""
    os.kill(server.pid, number)
    status = server.process.wait(timeout=60)
    assert status == 0, f"status {status}: {server.log()}"


def refused(*args, says):
    """The server does not start, and says why."""
    done = run("nbdkit", "-U", "-", *args, "--run", "true")
    text = done.stderr.decode()
    assert done.returncode == 1, f"status {done.returncode}: {text}"
    for part in says if isinstance(says, tuple) else (says,):
        assert part in text, f"no '{part}' in: {text}"


# ---- Requests

def error_of(call, *args):
    """The errno value that a request ends with, or None."""
    try:
        call(*args)
    except nbd.Error as error:
        return error.errnum
    return None


def expect(wanted, call, *args):
    got = error_of(call, *args)
    assert got == wanted, f"error {got and errno.errorcode.get(got)}, expected {errno.errorcode[wanted]}"


def extents(handle, count, off, flags=0):
    """[(start, end, kind)], kind 3: a hole that reads as zeros."""
    entries = []

    def take(_context, at, pairs, _error):
        for length, kind in zip(pairs[::2], pairs[1::2]):
            entries.append((at, at + length, kind))
            at += length
    handle.block_status(count, off, take, flags)
    return entries


# ---- Cases

def attempt(name, case, *args):
    """Runs a case and prints its verdict."""
    global failed
    try:
        case(*args)
        print(f"ok {name}", flush=True)
    except Skipped as why:
        print(f"skip {name}: {why}", flush=True)
    except Exception as error:
        failed += 1
        why = f"{type(error).__name__}: {error}".replace("\n", " ")
        line = error.__traceback__.tb_next
        while line.tb_next and line.tb_next.tb_frame.f_code.co_filename == line.tb_frame.f_code.co_filename:
            line = line.tb_next
        print(f"not ok {name}: line {line.tb_lineno}: {why[:600]}", flush=True)


def cases_of(names):
    """[(name, function)] of the functions called case_...; those named on the command line, if any are."""
    cases = [(name[len("case_"):].replace("_", "-"), value) for name, value in names.items() if name.startswith("case_")]
    return [(name, value) for name, value in cases if len(sys.argv) == 1 or name in sys.argv[1:]]


def finish():
    sys.exit(failed > 0)
