"""From files to records, withdrawals and verifications, and to reasons for what is none of them."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator

from ssl_bench.errors import SslBenchError
from ssl_bench.results import verifications, withdrawals
from ssl_bench.results.record import Record, parse
from ssl_bench.results.roots import PACKED
from ssl_bench.results.verifications import Verification
from ssl_bench.results.withdrawals import Withdrawal

Entry = Record | Withdrawal | Verification

_ID = re.compile(rb'"record_id":\s*"([0-9a-f]{64})"')


@dataclasses.dataclass(frozen=True)
class Skipped:
    """A file, or a line of a packed file, that could not be read as a record."""

    where: str
    """File, and line of a packed file, from the root on: it may be published, so it tells nothing of the machine."""
    reason: str

    def __str__(self) -> str:
        return f"{self.where}: {self.reason}"


def read_entry(content: bytes, where: str) -> Entry:
    """Return what is in a loose file or a packed line; raise UsageError naming `where`."""
    body = parse(content, where)
    schema = str(body.get("schema", ""))
    if schema.startswith("ssl-bench.withdrawal/"):
        return withdrawals.from_json(body, where)
    if schema.startswith("ssl-bench.verification/"):
        return verifications.from_json(body, where)
    return Record.from_json(body, where)


def try_entry(content: bytes | OSError, where: str) -> Entry | None:
    """Return what `content` holds, or None where that is no entry."""
    try:
        return None if isinstance(content, OSError) else read_entry(content, where)
    except SslBenchError:
        return None


def lines(name: str, content: bytes) -> Iterator[tuple[int, bytes]]:
    """Give (line number from 1, content) for what may be a record: each line of a packed file, or 0 and a whole one."""
    if not name.endswith(PACKED):
        yield 0, content
        return
    for number, line in enumerate(content.split(b"\n"), start=1):
        if line.strip():
            yield number, line


def where(name: str, line: int) -> str:
    """Return "model.jsonl:3", or the name alone for a loose file."""
    return f"{name}:{line}" if line else name


def ids(line: bytes) -> Iterator[str]:
    """Give what may be the record id of a line that is not parsed; whoever wants the record reads and checks it."""
    for match in _ID.finditer(line):
        yield match[1].decode()


def reason_of(error: SslBenchError | OSError, place: str) -> str:
    """Return why `place` cannot be read, without naming it."""
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return str(error).removeprefix(f"{place}: ")
