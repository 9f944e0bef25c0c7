"""A model's page: what it is, every number of it with interval and published number, what was chosen, cost, cause."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ssl_bench.files import canonical_json
from ssl_bench.leaderboard import addresses, curves, model_facts, words
from ssl_bench.leaderboard.material import Material
from ssl_bench.leaderboard.ranking import Cell, Column, Mean, Row, Table
from ssl_bench.leaderboard.text import means_of
from ssl_bench.model_zoo import ModelCard
from ssl_bench.pages import trusted
from ssl_bench.results.describe import command, number, with_interval
from ssl_bench.results.record import MetricDefinition, Record

MOST_WHOLE = 500
"""Records that a page holds in full, some kilobytes each; of further ones it tells the command that prints them."""


def context(material: Material, name: str) -> dict[str, Any]:
    """Return what the template `model.html` is filled with, for a model that has a row on the board."""
    rows = material.by_model[name]
    records = [record for _, row in rows for cell in row.cells if cell for record in cell.records]
    card, entry = material.models.get(name), rows[0][1].entry
    return {
        "model": name,
        "title": rows[0][1].model.title or name,
        "control": rows[0][1].control,
        "standing": rows[0][1].standing,
        "entry": entry,
        "entry_facts": words.facts(model_facts.declared(entry)) if entry else [],
        "networks": list(model_facts.networks(rows, card)),
        "tables": [_table(material, table, row) for table, row in rows],
        "unmeasured": list(_unmeasured(card, rows)),
        "curves": [part for table, row in rows if (part := _curves(table, row))["told"]],
        "costs": [_costs(table, row) for table, row in rows],
        "machines": list(_machines(records)),
        "history": _history(material, name, rows, records),
        "records": [_record(record, place < MOST_WHOLE) for place, record in enumerate(records)],
        "most_whole": MOST_WHOLE,
    }


# ---------------------------------------------------------------- its numbers


def _table(material: Material, table: Table, row: Row) -> dict[str, Any]:
    lines = [_line(material, table, place, cell) for place, cell in enumerate(row.cells) if cell]
    missing = [column.task.name for column, cell in zip(table.columns, row.cells, strict=True) if not cell]
    return {
        "protocol": table.protocol,
        "version": table.version,
        "recipe": [(key, canonical_json(value)) for key, value in sorted(table.recipe.items())],
        "variant": row.variant,
        "lines": lines,
        "published": any(line["published"] for line in lines),
        "means": list(_means(table, row)),
        "marks": list(_marks(lines)),
        "missing": missing + list(table.absent),
    }


def _means(table: Table, row: Row) -> Iterator[tuple[str, str]]:
    """Give (of what, value) of a row's means."""
    yield "all tasks", _mean(row.mean, table.means)
    if row.clean:
        yield "clean tasks", _mean(row.clean, table.means)
    for group in means_of(table.groups):
        yield group, _mean(row.groups[group], table.means)


def _marks(lines: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    """Give the marks that stand in a table, with what they mean."""
    if any(line["edge"] for line in lines):
        yield "*", "a hyper-parameter was chosen at the edge of its grid"
    if any(line["drift"] for line in lines):
        yield "≠", "another run of the same job got another number"
    if any(line["contaminated"] for line in lines):
        yield "†", "the weights have seen images of the task, as its entry declares"


def _mean(mean: Mean, definition: MetricDefinition) -> str:
    if mean.value is not None:
        return number(mean.value, definition)
    return "—" if mean.present == mean.total else f"— {mean.present}/{mean.total}"


def _line(material: Material, table: Table, place: int, cell: Cell) -> dict[str, Any]:
    column = table.columns[place]
    definition = column.definition
    rank, of = material.rank(table, place, cell)
    return {
        "task": column.task.name,
        "title": column.task.title,
        "page": addresses.UP + addresses.of_task(column.task.name),
        "metric": column.task.metric,
        "unit": "%" if definition.unit == "fraction" else definition.unit,
        "value": number(cell.value, definition),
        "interval": interval(cell, definition),
        "seeds": [(record.seed, with_interval(record.headline, definition)) for record in cell.records],
        "spread": number(cell.spread, definition) if cell.spread is not None else "",
        "best": cell.best,
        "rank": f"{rank} of {of}",
        "chance": "—" if definition.chance is None else number(definition.chance, definition),
        "published": _published(cell, column),
        "drift": ", ".join(number(value, definition) for value in cell.drift),
        "edge": any(record.protocol.at_grid_edge for record in cell.records),
        "contaminated": cell.contaminated,
        "ids": [record.record_id[:12] for record in cell.records],
    }


def interval(cell: Cell, definition: MetricDefinition) -> str:
    """Return "80.4–82.0", or "" where some seed has no interval."""
    if cell.low is None or cell.high is None:
        return ""
    return f"{number(cell.low, definition)}–{number(cell.high, definition)}"


def _published(cell: Cell, column: Column) -> dict[str, str] | None:
    if cell.published is None:
        return None
    inside = cell.low is not None and cell.high is not None and cell.low <= cell.published.value <= cell.high
    return {
        "value": number(cell.published.value, column.definition),
        "difference": words.signed(cell.value - cell.published.value, column.definition),
        "source": cell.published.source,
        "inside": "inside our interval" if inside else "outside our interval" if cell.low is not None else "",
    }


def _unmeasured(card: ModelCard | None, rows: Sequence[tuple[Table, Row]]) -> Iterator[tuple[str, str, str]]:
    """Give (task/protocol, value, source) of the card's published numbers that nothing on the board stands beside."""
    shown = {
        f"{column.task.name}/{table.protocol}"
        for table, row in rows
        for column, cell in zip(table.columns, row.cells, strict=True)
        if cell
    }
    for key, published in sorted(card.published.items()) if card else ():
        if key not in shown:
            yield key, words.plain_number(published.value), published.source


# ---------------------------------------------------------------- what was chosen, and what it took


def _curves(table: Table, row: Row) -> dict[str, Any]:
    figures, chosen = [], []
    for column, cell in zip(table.columns, row.cells, strict=True):
        if cell is None:
            continue
        if found := curves.curves_of(cell.records):
            title = f"{column.task.title}: {found[0].up} on validation data by {found[0].across}, {table.protocol}"
            svg = curves.plot(title, found, column.task.metrics)
            figures.append({"title": column.task.title, "seeds": len(found), "svg": trusted(svg)})
        for record in cell.records:
            selected = ", ".join(f"{key} {value}" for key, value in words.facts(record.protocol.selected.items()))
            chosen.append(
                {
                    "task": column.task.name,
                    "seed": record.seed,
                    "selected": selected or "—",
                    "edge": record.protocol.at_grid_edge,
                    "converged": record.protocol.converged,
                }
            )
    told = bool(figures) or any(line["selected"] != "—" or line["edge"] is not None for line in chosen)
    return {"protocol": table.protocol, "variant": row.variant, "figures": figures, "chosen": chosen, "told": told}


COSTS = (
    ("extract_seconds", "extraction, s"),
    ("protocol_seconds", "protocol, s"),
    ("images_extracted", "images extracted"),
    ("images_cached", "from the cache"),
    ("images_per_second", "images/s"),
    ("peak_memory_mb", "memory, MB"),
    ("peak_vram_mb", "device memory, MB"),
    ("cpu_joules", "processor, J"),
    ("gpu_joules", "GPU, J"),
    ("download_seconds", "download, s"),
)
"""A record's costs and how their columns are headed."""


def _costs(table: Table, row: Row) -> dict[str, Any]:
    records = [record for cell in row.cells if cell for record in cell.records]
    shown = [(key, head) for key, head in COSTS if any(record.timing.get(key) for record in records)]
    return {
        "protocol": table.protocol,
        "variant": row.variant,
        "heads": [head for _, head in shown],
        "lines": [
            (record.task.name, record.seed, [_amount(record.timing.get(key)) for key, _ in shown]) for record in records
        ],
        "total": [
            _amount(sum(record.timing.get(key, 0) for record in records)) if key.endswith(("seconds", "joules")) else ""
            for key, _ in shown
        ],
    }


def _amount(value: float | None) -> str:
    if value is None:
        return "—"
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.3g}"


def _machines(records: Sequence[Record]) -> Iterator[dict[str, Any]]:
    """Give every machine and version of the code that measured, with how many records it wrote."""
    found: dict[str, list[Record]] = {}
    for record in records:
        found.setdefault(canonical_json([dict(record.environment), dict(record.code)]), []).append(record)
    for same in sorted(found.values(), key=lambda same: (-len(same), same[0].record_id)):
        environment, code = dict(same[0].environment), dict(same[0].code)
        packages = environment.pop("packages", None) or {}
        yield {
            "count": len(same),
            "words": " · ".join(
                str(part)
                for part in (environment.get("device"), environment.get("cpu"), str(code.get("commit", ""))[:12])
                if part
            ),
            "dirty": code.get("dirty") is True,
            "facts": words.facts(
                [(f"code {key}", value) for key, value in sorted(code.items())] + sorted(environment.items())
            ),
            "packages": ", ".join(f"{key} {version}" for key, version in sorted(packages.items()) if version),
        }


# ---------------------------------------------------------------- what became of it, and every record


def _history(
    material: Material, name: str, rows: Sequence[tuple[Table, Row]], records: Sequence[Record]
) -> dict[str, Any]:
    drifted = [
        {"job": _job(record), "runs": [(_number(run), run.created) for run in material.drift[record.record_id]]}
        for record in records
        if record.record_id in material.drift
    ]
    return {
        "first": min(record.created for record in records),
        "last": max(record.created for record in records),
        "drift": drifted,
        "withdrawn": [
            (_job(record), _number(record), record.created, why)
            for record, why in material.withdrawn
            if record.model.name == name
        ],
        "checked": [(table.protocol, row.variant, row.standing) for table, row in rows],
        "checks": list(_checks(material, records)),
    }


def _checks(material: Material, records: Sequence[Record]) -> Iterator[dict[str, Any]]:
    """Give every verification that names some of the records, oldest first, with how many it names."""
    ours = {record.content_digest for record in records}
    for check in material.checks:
        if count := len(ours.intersection(check.records)):
            yield {
                "created": check.created,
                "level": check.level,
                "by": check.verifier,
                "signed": "signed" if check.signature else "unsigned",
                "outcome": check.outcome,
                "count": count,
                "link": check.link,
            }


def _job(record: Record) -> str:
    return f"{record.task.name} · {record.protocol.name} · seed {record.seed}"


def _number(record: Record) -> str:
    return with_interval(record.headline, record.definition(record.task.metric))


def _record(record: Record, whole: bool) -> dict[str, Any]:
    known = "factory" in record.model.arch or record.model.adapter != "module"
    return {
        "id": record.record_id,
        "job": _job(record),
        "value": _number(record),
        "created": record.created,
        "dirty": record.code.get("dirty") is True,
        "command": command(record) if known else "",
        "show": f"ssl-bench results show {record.record_id[:16]}",
        "json": words.laid_out(record.to_json()) if whole else "",
    }
