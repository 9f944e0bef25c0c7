"""What is claimed of a model for a round: records that are there or are measured now, predictions and sketches."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path

from ssl_bench import model_zoo, sketching
from ssl_bench.errors import MissingError, UsageError, did_you_mean
from ssl_bench.files import canonical_json, digest_file
from ssl_bench.jobs import Job, Request, expand
from ssl_bench.leaderboard.entries import Division, Entry
from ssl_bench.model_zoo import ModelCard
from ssl_bench.plans.planner import Planned, Planner, missing_lines
from ssl_bench.progress import choose
from ssl_bench.results import samples as sample_files
from ssl_bench.results.record import Record
from ssl_bench.results.sources import open_source
from ssl_bench.results.store import Results
from ssl_bench.settings import Settings
from ssl_bench.submission.assembly import Measured
from ssl_bench.submission.rounds import Ask, Round

Execute = Callable[[list[Planned], Settings], Sequence[Record]]
"""Runs what of a plan has no record, and returns all its records."""


def of_model(word: str, entry: Entry, round: Round, settings: Settings, execute: Execute | None) -> Measured:
    """Return what is claimed of a model or checkpoint; without `execute` of what has been measured already.

    Raises UsageError for a model that is not the entry's, MissingError for weights or data that are not there.
    """
    card = model_card(word, entry, settings)
    jobs = expand(Request((card,), suite=round.suite.name), settings)
    planned = Planner(settings).plan(jobs)
    if execute:
        if lacking := missing_lines(planned):
            raise MissingError("\n".join(lacking))
        records = execute(planned, settings)
    else:
        results = Results(settings.results)
        records = [results.get(item.record_id) for item in planned if item.state == "done"]
    if not records:
        raise UsageError(f"nothing of {card.name} was measured for {round.name}; without --check-only it is")
    extract = _extractor(jobs, settings) if execute else sketching.nothing
    return _measured(records, Results(settings.results), entry, round, settings, extract)


def of_records(word: str, entry: Entry, round: Round, settings: Settings) -> Measured:
    """Return what a folder or packed file of records holds of the entry's model, as the round asks; raise UsageError
    where that is nothing."""
    source = open_source(word)
    held = source.records()
    names = {record.model.name for record in held}
    if entry.name not in names:
        near = did_you_mean(entry.name, names)
        raise UsageError(f"no record of {entry.name!r}, the card's model, is in {word}.{near}")
    asks = {(ask.task, ask.protocol): ask for ask in round.asks}
    chosen = [
        record
        for record in held
        if record.model.name == entry.name
        and _answers(record, asks.get((record.task.name, record.protocol.name)), entry.division)
    ]
    if not chosen:
        raise UsageError(f"no record of {entry.name!r} in {word} answers what {round.name} asks")
    return _measured(chosen, source, entry, round, settings, sketching.nothing)


def is_records(word: str, settings: Settings) -> bool:
    """Return whether a word names records, not a model: a folder may be called as a model is."""
    return word.endswith(".jsonl") or (
        Path(word).expanduser().is_dir() and word not in model_zoo.names(settings.shelves)
    )


def _answers(record: Record, ask: Ask | None, division: Division) -> bool:
    """Return whether a record is one of those that a round asks for; a folder holds others, too. In the open division
    recipes and features are the submitter's."""
    if ask is None or record.seed not in ask.seeds or record.task.truncated:
        return False
    said = (record.protocol.recipe, record.features.requested)
    return division == "open" or canonical_json(said) == canonical_json((ask.recipe, ask.requested))


def model_card(word: str, entry: Entry, settings: Settings) -> ModelCard:
    """Return the card of a model, or of a checkpoint file under the entry's name; raise UsageError where the entry is
    of another model or another file."""
    head = word.partition(",")[0]
    path = Path(head).expanduser()
    if path.suffix == ".safetensors" and not path.is_file():
        raise MissingError(f"no checkpoint is at {path}")
    is_checkpoint = path.is_file() and path.suffix != ".toml"
    if is_checkpoint:
        if path.suffix != ".safetensors":
            raise UsageError(
                f"{path} is no safetensors file, and the board takes no other: `ssl-bench model convert {path} "
                f"{path.stem}.safetensors` makes one"
            )
        card = model_zoo.get(f"ckpt:{word}")
    else:
        card = model_zoo.get(word, settings.shelves)
    if ":" in head or is_checkpoint:  # what no card names has the entry's name
        card = dataclasses.replace(card, name=entry.name, title=entry.name)
    if card.name != entry.name:
        raise UsageError(f"the card is of {entry.name!r}, and the model is called {card.name!r}: write its name there")
    weights = model_zoo.weights_state(card, settings.weight_folders).path
    if weights and (found := digest_file(weights)) != entry.sha256:
        raise UsageError(f"the card's sha256 is of another file than {weights}, whose is {found}")
    return card


def _measured(
    records: Sequence[Record],
    source: Results,
    entry: Entry,
    round: Round,
    settings: Settings,
    extract: sketching.Extract,
) -> Measured:
    named = [_named(record, entry) for record in records]
    predictions = {}
    for record in named:
        predictions[record.samples.sha256] = sample_files.read_bytes(source.files, record.samples)
    return Measured(named, predictions, sketching.sketches(named, round.tasks, settings, extract))


def _named(record: Record, entry: Entry) -> Record:
    """Return a record under the entry's name, which enters no identity, and without a place on this machine."""
    source = record.model.source
    if "://" not in source:
        source = "" if entry.weights == "private" else entry.weights
    if (record.model.name, record.model.source) == (entry.name, source):
        return record
    title = record.model.title if record.model.name == entry.name else entry.name
    model = dataclasses.replace(record.model, name=entry.name, title=title, source=source)
    return dataclasses.replace(record, model=model)


def _extractor(jobs: Sequence[Job], settings: Settings) -> sketching.Extract:
    """Return what passes a test split through the network where the cache has lost its features."""

    def extract(record: Record) -> None:
        from ssl_bench.runner import Runner

        job = next(job for job in jobs if job.task.name == record.task.name)
        Runner(settings, choose(settings.progress)).trial(job).features("test")

    return extract
