"""The tables of the index: what a query may name, and what each column means."""

from __future__ import annotations

from collections.abc import Sequence

Columns = Sequence[tuple[str, str, str]]

RECORDS: Columns = (
    ("record_id", "TEXT", "sha256 of everything that caused the numbers; records of one job share it"),
    ("content_digest", "TEXT", "sha256 of this very record"),
    ("status", "TEXT", "standing, repeat (same numbers, younger), drift (other numbers, younger) or withdrawn"),
    ("drift", "INTEGER", "1 where records of this job have other numbers"),
    ("reason", "TEXT", "why it was withdrawn"),
    ("model", "TEXT", "model's name"),
    ("adapter", "TEXT", "way in which the network was got"),
    ("parameters", "INTEGER", "of the network"),
    ("embed_dim", "INTEGER", "length of the features; 0 where none were made"),
    ("weights_digest", "TEXT", "sha256 over the tensors"),
    ("task", "TEXT", "task's name"),
    ("kind", "TEXT", "kind of task"),
    ("classes", "INTEGER", "of the task"),
    ("task_digest", "TEXT", "sha256 over the task's content"),
    ("protocol", "TEXT", "protocol's name"),
    ("version", "INTEGER", "of the protocol"),
    ("recipe", "TEXT", "of the protocol, as JSON: json_extract(recipe, '$.k')"),
    ("selected", "TEXT", "what the protocol chose on validation data, as JSON"),
    ("pooled", "TEXT", "pooling that was asked for"),
    ("precision", "TEXT", "arithmetic inside the network"),
    ("seed", "INTEGER", ""),
    ("question", "TEXT", "sha256 of what was asked: equal in all records that may share a column"),
    ("truncated", "INTEGER", "samples kept per split under --limit; 0 means all"),
    ("metric", "TEXT", "headline metric"),
    ("unit", "TEXT", "of the metric; fraction is 0..1"),
    ("higher_is_better", "INTEGER", "1 or 0"),
    ("chance", "REAL", "what guessing gives, where that is a number"),
    ("value", "REAL", "of the headline metric"),
    ("low", "REAL", "of its interval"),
    ("high", "REAL", "of its interval"),
    ("n", "INTEGER", "test samples behind it, or episodes"),
    ("created", "TEXT", "UTC, ISO 8601"),
    ("release", "TEXT", "version of ssl-bench"),
    ("git_commit", "TEXT", "of the checkout that measured"),
    ("device", "TEXT", "that the network ran on"),
    ("extract_seconds", "REAL", "spent on features"),
    ("protocol_seconds", "REAL", "spent on the rest"),
    ("samples", "TEXT", "sha256 of the per-sample predictions"),
)
METRICS: Columns = (
    ("content_digest", "TEXT", "of the record"),
    ("name", "TEXT", 'such as "top1", or "k=200/top1" for a further reading of the same trial'),
    ("unit", "TEXT", "fraction is 0..1"),
    ("higher_is_better", "INTEGER", "1 or 0"),
    ("value", "REAL", ""),
    ("low", "REAL", "of its interval"),
    ("high", "REAL", "of its interval"),
    ("n", "INTEGER", "test samples behind it, or episodes"),
)

WITHDRAWALS: Columns = (
    ("file", "TEXT", "that holds the withdrawal"),
    ("line", "INTEGER", "of a packed file; 0 for a loose one"),
    ("record_id", "TEXT", "of the job"),
    ("content_digest", "TEXT", "of the record that was withdrawn"),
    ("reason", "TEXT", "as it was given"),
    ("created", "TEXT", "UTC, ISO 8601"),
)
VERIFICATIONS: Columns = (
    ("file", "TEXT", "that holds the verification"),
    ("line", "INTEGER", "of a packed file; 0 for a loose one"),
    ("content_digest", "TEXT", "of one record that it speaks of; a row for each"),
    ("verification", "TEXT", "content digest of the verification"),
    ("level", "TEXT", "schema, rescore, sample, full, dispute or settled"),
    ("outcome", "TEXT", "agrees, or what did not; the reason of a dispute"),
    ("verifier", "TEXT", "who checked"),
    ("bundle", "TEXT", "sha256 of the bundle that was checked"),
    ("link", "TEXT", "where it is discussed"),
    ("release", "TEXT", "version of ssl-bench that checked"),
    ("created", "TEXT", "UTC, ISO 8601"),
)
PLACES: Columns = (
    ("file", "TEXT", "under the root"),
    ("line", "INTEGER", "of a packed file; 0 for a loose one"),
    ("sha", "BLOB", "sha256 of the line, or of the whole file"),
    ("holds", "TEXT", "record, withdrawal, verification or skipped"),
    ("content_digest", "TEXT", "of the record or verification there, or of the record that is withdrawn"),
    ("reason", "TEXT", "why it was skipped"),
)
TABLES = {
    "records": RECORDS,
    "metrics": METRICS,
    "withdrawals": WITHDRAWALS,
    "verifications": VERIFICATIONS,
    "places": PLACES,
}
"""What a query may name."""


def _columns(table: Columns) -> str:
    return ", ".join(f"{name} {kind}" for name, kind, _ in table)


SCHEMA = f"""
CREATE TABLE files (name TEXT PRIMARY KEY, size INTEGER, stamp TEXT) WITHOUT ROWID;
CREATE TABLE places ({_columns(PLACES)}, PRIMARY KEY (file, line)) WITHOUT ROWID;
CREATE INDEX places_sha ON places (sha);
CREATE INDEX places_digest ON places (content_digest);
CREATE TABLE blocks (id INTEGER PRIMARY KEY, sha BLOB UNIQUE, text TEXT);
CREATE TABLE bodies (content_digest TEXT PRIMARY KEY, blocks TEXT, rest TEXT, written TEXT);
CREATE TABLE records ({_columns(RECORDS)}, PRIMARY KEY (content_digest));
CREATE INDEX records_id ON records (record_id);
CREATE INDEX records_job ON records (status, protocol, task, model, seed, value);
CREATE TABLE metrics ({_columns(METRICS)});
CREATE INDEX metrics_digest ON metrics (content_digest);
CREATE TABLE withdrawals ({_columns(WITHDRAWALS)}, PRIMARY KEY (file, line)) WITHOUT ROWID;
CREATE INDEX withdrawals_id ON withdrawals (record_id);
CREATE TABLE verifications ({_columns(VERIFICATIONS)}, PRIMARY KEY (file, line, content_digest)) WITHOUT ROWID;
CREATE TABLE verification_texts (
    file TEXT, line INTEGER, created TEXT, text TEXT, PRIMARY KEY (file, line)
) WITHOUT ROWID;
"""
