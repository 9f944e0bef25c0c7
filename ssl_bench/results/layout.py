"""Which file a record lies in, and in which order records are listed and packed."""

from __future__ import annotations

from pathlib import PurePosixPath

from ssl_bench.results.record import Record
from ssl_bench.results.roots import PACKED
from ssl_bench.results.slugs import slug
from ssl_bench.results.verifications import Verification
from ssl_bench.results.withdrawals import Withdrawal

VERIFICATIONS = "verifications~"
"""Folder of a model's verifications, beside those of its tasks; no task's folder ends so."""
ID8 = 8
"""Hex digits of the record id in a loose record's file name."""
DIGEST16 = 16
"""Hex digits of a content digest in a file name."""


def age(record: Record) -> tuple[str, str]:
    """Return the order of records of one job: the oldest stands for the job, the others are its repeats."""
    return record.created, record.content_digest


def place(record: Record) -> tuple[str, str, str, int, str, str, str]:
    """Return the order in which records are listed and packed."""
    job = (record.model.name, record.task.name, record.protocol.name, record.seed)
    return (*job, record.record_id, *age(record))


def loose_name(record: Record) -> str:
    """Return a record's usual name under the root: <model>/<task>/<protocol>-<id8>.json."""
    return f"{_folder(record.model.name, record.task.name, record.protocol.name)}-{record.record_id[:ID8]}.json"


def replicate_name(record: Record) -> str:
    """Return the name of a record whose usual place is taken by another record: named by its content."""
    return f"{loose_name(record).removesuffix('.json')}.{record.content_digest[:DIGEST16]}.json"


def withdrawal_name(withdrawal: Withdrawal) -> str:
    """Return the name of a withdrawal, beside the record that it withdraws."""
    stem = f"{_folder(withdrawal.model, withdrawal.task, withdrawal.protocol)}-{withdrawal.record_id[:ID8]}"
    return f"{stem}.{withdrawal.content_digest[:DIGEST16]}.withdrawn.json"


def verification_name(verification: Verification) -> str:
    """Return the name of a verification, beside the records that it speaks of."""
    stem = f"{slug(verification.model)}/{VERIFICATIONS}/{verification.level}"
    return f"{stem}-{verification.content_digest[:DIGEST16]}.json"


def packed_name(model: str) -> str:
    """Return the name of the packed file of a model's records."""
    return f"{slug(model)}{PACKED}"


def id8_of(name: str) -> str:
    """Return the first digits of the record id, as a loose file's name tells them."""
    return PurePosixPath(name).name.rpartition("-")[2][:ID8]


def _folder(model: str, task: str, protocol: str) -> str:
    return f"{slug(model)}/{slug(task)}/{slug(protocol)}"
