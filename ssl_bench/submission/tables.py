"""Per-sample predictions from strangers, opened in a process of their own that may die of them; see `decoding`.

One process serves one after another. Of what it answers nothing is believed, either: numbers have types and sizes that
are checked, words come as JSON.
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np

from ssl_bench.errors import UsageError
from ssl_bench.results.samples import Table
from ssl_bench.submission.decoding import LENGTHS
from ssl_bench.submission.limits import USUAL, Limits, readable

SECONDS = 300.0
"""That one table may take."""
NUMBERS = frozenset({"|b1", "<i8", "<f2", "<f4", "<f8"})
"""Types of columns of numbers."""


class _Broken(Exception):
    """The process ended, or answered nonsense."""


class _Decoder:
    """The process, started when it is first asked and again after it died."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()

    def ask(self, content: bytes, limits: Limits, *, decode: bool) -> tuple[dict[str, Any], bytes]:
        """Return the answer's header and bytes; raise _Broken where there is none."""
        with self._lock:
            if self._process is None or self._process.poll() is not None:
                self._process = _start()
            process = self._process
            watch = threading.Timer(SECONDS, process.kill)
            watch.start()
            try:
                return _asked(process, content, limits, decode)
            except (OSError, ValueError, _Broken) as error:
                process.kill()
                process.wait()
                self._process = None
                raise _Broken(str(error)) from error
            finally:
                watch.cancel()


_DECODER = _Decoder()


def _start() -> subprocess.Popen[bytes]:
    """Start the process with our own places of modules, and not with the folder that we happen to stand in (-P)."""
    places = os.pathsep.join(place or str(Path.cwd()) for place in sys.path)
    environment = {"PYTHONPATH": places, "PATH": os.environ.get("PATH", "")}
    command = [sys.executable, "-P", "-m", "ssl_bench.submission.decoding"]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, env=environment)


def _asked(
    process: subprocess.Popen[bytes], content: bytes, limits: Limits, decode: bool
) -> tuple[dict[str, Any], bytes]:
    assert process.stdin is not None
    assert process.stdout is not None
    head = json.dumps({"decode": decode, "limits": dataclasses.asdict(limits)}).encode()
    process.stdin.write(LENGTHS.pack(len(head), len(content)) + head)
    process.stdin.write(content)
    process.stdin.flush()
    lengths = process.stdout.read(LENGTHS.size)
    if len(lengths) < LENGTHS.size:
        raise _Broken(f"the process that opens it died of it, or took more than {SECONDS:g} s")
    header, size = LENGTHS.unpack(lengths)
    if header > 2**20 or size > 4 * limits.decoded:
        raise _Broken("the process that opens it answers nonsense")
    said = json.loads(process.stdout.read(header))
    return said, process.stdout.read(size)


def check_form(content: bytes, where: str, limits: Limits = USUAL) -> None:
    """Raise UsageError naming `where` for a file that is no Parquet, or is larger or of other types than predictions;
    only its description is read."""
    _answer(content, where, limits, decode=False)


def read(content: bytes, where: str, limits: Limits = USUAL) -> Table:
    """Return the table in a Parquet file; raise UsageError naming `where` for what `check_form` refuses, what does not
    decode, and what decodes to more than the limits."""
    said, rest = _answer(content, where, limits, decode=True)
    try:
        return _unpacked(said["columns"], rest)
    except (KeyError, TypeError, ValueError) as error:
        raise UsageError(f"{where}: is no table of predictions: what it decodes to is none") from error


def _answer(content: bytes, where: str, limits: Limits, *, decode: bool) -> tuple[dict[str, Any], bytes]:
    try:
        said, rest = _DECODER.ask(content, limits, decode=decode)
    except _Broken as error:
        raise UsageError(f"{where}: is no Parquet file: {error}") from None
    if error_text := said.get("error"):
        raise UsageError(f"{where}: {readable(str(error_text), 400)}")
    return said, rest


def _unpacked(columns: list[dict[str, Any]], rest: bytes) -> Table:
    """Return the table that `decoding.packed` packed; raise ValueError for anything else."""
    table: dict[str, Any] = {}
    start = 0
    for column in columns:
        name, dtype, shape, size = (column[key] for key in ("name", "dtype", "shape", "bytes"))
        part = rest[start : start + size]
        start += size
        if dtype:
            if dtype not in NUMBERS or math.prod(shape) * np.dtype(dtype).itemsize != len(part):
                raise ValueError(name)
            table[name] = np.frombuffer(part, dtype).reshape(shape)
        else:
            values = json.loads(part)
            whole = all(isinstance(one, str) for one in values) or all(
                isinstance(one, list) and all(type(item) is int for item in one) for one in values
            )
            if not isinstance(values, list) or not whole:
                raise ValueError(name)
            table[name] = values
    if start != len(rest):
        raise ValueError("bytes are left")
    return table
