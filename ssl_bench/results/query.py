"""Questions of others to the index, in SQL: reading only, whatever they say."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Sequence
from typing import Any

from ssl_bench.errors import UsageError, did_you_mean
from ssl_bench.results.index import Index
from ssl_bench.results.index_schema import TABLES

STEPS = 100_000
"""Instructions of SQLite after which it looks whether Ctrl-C was pressed."""

_ALLOWED = {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE}


def ask(index: Index, sql: str, values: Sequence[Any] = ()) -> tuple[list[str], list[tuple[Any, ...]]]:
    """Return the column names and rows of one SELECT; raise UsageError for anything else, and for what SQLite says."""
    index.refresh()
    db = index.db
    db.set_authorizer(_only_reading)
    db.set_progress_handler(lambda: 0, STEPS)  # lets Python take its signals
    try:
        cursor = db.execute(sql, values)
        if cursor.description is None:
            raise UsageError("the query asks for nothing; write SELECT …")
        return [name for name, *_ in cursor.description], cursor.fetchall()
    except (sqlite3.Error, sqlite3.Warning, ValueError) as error:  # ValueError: a NUL in the query
        if str(error) == "interrupted":
            raise KeyboardInterrupt from None
        raise UsageError(_in_words(str(error))) from None
    finally:
        db.set_authorizer(None)
        db.set_progress_handler(None, 0)


def _only_reading(action: int, table: str | None, column: str | None, *_: object) -> int:
    if action not in _ALLOWED or (action == sqlite3.SQLITE_FUNCTION and column == "load_extension"):
        return sqlite3.SQLITE_DENY
    if action == sqlite3.SQLITE_READ and table and table not in TABLES and not table.startswith(("json_", "sqlite_")):
        return sqlite3.SQLITE_DENY
    return sqlite3.SQLITE_OK


def _in_words(message: str) -> str:
    """Return SQLite's message with what may have been meant."""
    columns = {name for table in TABLES.values() for name, _, _ in table}
    for kind, known in (("column", columns), ("table", set(TABLES))):
        if match := re.fullmatch(rf"no such {kind}: (?:\w+\.)?(\w+).*", message):
            return f"{message}.{did_you_mean(match[1], known)} `ssl-bench results query --columns` lists them all"
    if "authoriz" in message or "prohibited" in message:
        return f"a query can only read the tables {', '.join(TABLES)}: SELECT …"
    return f"SQLite: {message}"
