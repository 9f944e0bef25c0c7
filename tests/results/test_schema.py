"""What the published schema promises."""

from __future__ import annotations

import copy
import json
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ssl_bench.errors import UsageError
from ssl_bench.results.invariants import ContradictionError
from ssl_bench.results.record import Record
from ssl_bench.results.schema import record_schema
from tests.cli.conftest import Command, command
from tests.results.factory import make_full_record, make_record

__all__ = ["command"]
SCHEMA = record_schema()
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)
BASES = [json.loads(make_full_record().to_text()), json.loads(make_record().to_text())]
WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8) | st.sampled_from(["top1", "test", "names"])
NUMBERS = st.integers(-(2**60), 2**60) | st.floats(-1e300, 1e300, allow_nan=False)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | WORDS | st.sampled_from([0, 1, 1.0, 0.5, -1, "ssl-bench.record/1"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=6,
)


def places(value: Any) -> list[tuple[Any, Any]]:
    """Return every (container, key) inside a JSON value."""
    if isinstance(value, dict):
        return [place for key in value for place in [(value, key), *places(value[key])]]
    if isinstance(value, list):
        return [place for i in range(len(value)) for place in [(value, i), *places(value[i])]]
    return []


@st.composite
def mutated(draw: st.DrawFn) -> dict[str, Any]:
    """Give a record's JSON in which up to three values are replaced, removed or added."""
    body = copy.deepcopy(draw(st.sampled_from(BASES)))
    for _ in range(draw(st.integers(0, 3))):
        holder, key = draw(st.sampled_from(places(body)))
        how = draw(st.sampled_from(["replace", "remove", "add"]))
        if how == "replace":
            holder[key] = draw(VALUES)
        elif how == "remove":
            del holder[key]
        elif isinstance(holder, dict):
            holder[draw(WORDS)] = draw(VALUES)
        else:
            holder.append(draw(VALUES))
    return body


def well_formed(body: dict[str, Any]) -> bool:
    """Return whether reading takes a record's form; what its parts say of one another is another matter."""
    try:
        Record.from_json(body, "x")
    except ContradictionError:
        return True
    except UsageError:
        return False
    return True


@settings(max_examples=500)
@given(mutated())
def test_reading_takes_exactly_what_the_schema_takes(body: dict[str, Any]) -> None:
    """Of valid records and of mutated ones, reading refuses the form of exactly those that the schema refuses."""
    errors = [error.message for error in VALIDATOR.iter_errors(body)]
    assert well_formed(body) == (not errors), errors


def test_mutations_are_of_both_kinds() -> None:
    """The mutations of the test above are not all of one kind: some are well formed, and some are not."""
    found = set()

    @settings(max_examples=100)
    @given(mutated())
    def look(body: dict[str, Any]) -> None:
        found.add(VALIDATOR.is_valid(body) and body not in BASES)

    look()
    assert found == {True, False}


def test_every_field_of_a_record_is_described() -> None:
    """Every numeric field of the schema whose name does not say its unit is described in a sentence."""
    tables = [SCHEMA, *SCHEMA["$defs"].values()]
    assert all(table["description"] for table in tables)
    bare = {
        f"{table.get('title', '')}{name}"
        for table in SCHEMA["$defs"].values()
        for name, field in table["properties"].items()
        if field.get("type") in ("number", "integer") and "description" not in field
    }
    assert bare <= {"version", "classes", "value", "low", "high"}


@pytest.mark.parametrize("kind", ["record", "plan", "model", "task", "suite"])
def test_the_command_prints_a_valid_schema(command: Command, kind: str) -> None:
    """`ssl-bench schema` prints a valid schema of draft 2020-12, of each kind."""
    schema = json.loads(command("schema", kind).out)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    jsonschema.Draft202012Validator.check_schema(schema)


def test_a_plan_is_as_its_schema_says(command: Command) -> None:
    """What `plan --json` prints fits its schema."""
    rows = json.loads(command("plan", "-m", "digits_vit", "-s", "quick", "--json").out)
    assert rows
    jsonschema.validate(rows, json.loads(command("schema", "plan").out))
