"""What a model is, as its records, its card and its submitter tell: the facts at the head of its page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ssl_bench import cards as card_files
from ssl_bench.files import canonical_json
from ssl_bench.leaderboard import words
from ssl_bench.leaderboard.entries import Entry
from ssl_bench.leaderboard.ranking import Row, Table
from ssl_bench.model_zoo import ModelCard
from ssl_bench.results.record import Record


def networks(rows: Sequence[tuple[Table, Row]], card: ModelCard | None) -> Iterator[dict[str, Any]]:
    """Give every network and way of making features that goes by the name; usually there is one."""
    found: dict[str, tuple[Record, str, list[str]]] = {}
    for table, row in rows:
        for record in (cell.records[0] for cell in row.cells if cell):
            key = canonical_json([record.model.weights_digest, card_files.plain(record.features.resolved)])
            asked = found.setdefault(key, (record, row.variant, []))[2]
            if table.protocol not in asked:
                asked.append(table.protocol)
    for record, variant, protocols in found.values():
        yield {
            "variant": variant,
            "protocols": protocols,
            "facts": words.facts(_network(record, card)),
            "about": words.facts(_about(record, card)),
        }


def _network(record: Record, card: ModelCard | None) -> Iterator[tuple[str, Any]]:
    model, resolved = record.model, record.features.resolved
    seen: Mapping[str, Any] = resolved.get("input") or {}
    flops = record.timing.get("flops_per_image")
    yield "weights digest", model.weights_digest
    yield "weights file sha256", model.file_sha256
    yield "got by", " · ".join(part for part in (model.adapter, model.library) if part)
    yield "source", model.source
    yield "architecture", model.arch
    yield "parameters", words.counted(model.parameters)
    yield "FLOPs of an image", words.counted(flops) if flops else ""
    yield "feature", f"{model.embed_dim:,} dimensions" if model.embed_dim else ""
    yield "pooling", resolved.get("pooled")
    yield "documented pooling", card.pooled if card else ""
    yield "precision", resolved.get("precision")
    for key in sorted(seen):
        yield f"input {key}", seen[key]


def _about(record: Record, card: ModelCard | None) -> Iterator[tuple[str, Any]]:
    about = card_files.plain(card.about) if card else record.model.about
    for key, title in (
        ("data", "pretrained on"),
        ("labels_used", "saw labels"),
        ("licence", "licence"),
        ("paper", "paper"),
    ):
        yield title, about.get(key)
    yield "code", about.get("code")
    yield "note", about.get("note")
    yield "card", f"model_zoo/{card.name}.toml" if card else "none: the record tells what it knew"


def declared(entry: Entry) -> Iterator[tuple[str, Any]]:
    """Give (fact, value) of what a submitter declares."""
    yield "organisation", entry.organisation
    yield "contact", entry.contact
    yield "division", entry.division
    yield "licence of the weights", entry.licence
    yield "weights", entry.weights
    yield "weights sha256", entry.sha256
    yield "data that the weights have seen", ", ".join(entry.data)
    yield "saw labels", entry.labels_used
    yield "passes per image", str(entry.passes_per_image)
    yield "training code", entry.code
    yield "paper", entry.paper
    yield "note", entry.note
    for task, seen in sorted(entry.contamination.items()):
        yield f"has seen of {task}", seen
