"""Tables of text with a header, as the readers of single datasets find them: each line a value by its column's name."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from ssl_bench.errors import DataError


def read(path: Path, columns: Sequence[str], delimiter: str = ",", quoted: bool = True) -> list[dict[str, str]]:
    """Return a line's values by column, of all columns; `columns` are those that every line must have.

    Raises DataError that names the file, and the column or the line, where one lacks or the text is not UTF-8.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 text: {error.reason}. Download it again.") from error
    file = io.StringIO(text, newline="")
    lines = csv.DictReader(file, delimiter=delimiter)
    if not quoted:
        lines = csv.DictReader(file, delimiter=delimiter, quoting=csv.QUOTE_NONE)
    found = []
    try:
        if lacking := [name for name in columns if name not in (lines.fieldnames or ())]:
            raise DataError(f"{path} has no column {lacking[0]!r}. Download it again.")
        for line in lines:
            if any(line[name] is None for name in columns):
                raise DataError(f"{path}: line {lines.line_num} has fewer fields than the header. Download it again.")
            found.append(line)
    except csv.Error as error:
        raise DataError(f"{path} is no table of text: {error}. Download it again.") from error
    return found
