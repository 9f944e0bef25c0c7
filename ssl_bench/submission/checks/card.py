"""Whether the card tells of the model that was measured, where its weights are, and what they have seen."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from ssl_bench.leaderboard import overlaps
from ssl_bench.results.slugs import slug
from ssl_bench.submission.checks.base import Case
from ssl_bench.submission.findings import Finding
from ssl_bench.submission.limits import readable

PRIVATE = "private"
CONVERT = "Convert them with `ssl-bench model convert`, measure the converted file, and publish that"
WITHOUT_WEIGHTS = ("embeddings", "module")
"""Adapters of models that nobody else can load from a file."""


def findings(case: Case) -> Iterator[Finding]:
    """Give what the card says otherwise than the records, and what it keeps silent of."""
    entry, model = case.bundle.entry, case.bundle.records[0].model
    if entry.name != model.name:
        what = f"the card is of {readable(entry.name)!r}, the records are of {readable(model.name)!r}"
        yield Finding("card-name", "card.toml: name", what, "Write the model's name into the card")
    if slug(entry.name) != entry.name:
        what = f"{readable(entry.name)!r} is more than lower-case letters, digits, '_', '.' and '-'"
        yield Finding("card-name", "card.toml: name", what, "Choose a plain name, such as method_architecture_data")
    yield from _weights(case)
    yield from _division(case)
    yield from _data(case)
    known = case.known.entries.get(entry.name)
    if known and known.organisation != entry.organisation:
        what = f"{readable(entry.name)!r} is an entry of {readable(known.organisation)}"
        yield Finding("name-taken", "card.toml: name", what, "Choose another name")
    elif any(one.model.weights_digest != model.weights_digest for one in case.namesakes):
        what = f"the board has other weights under the name {readable(entry.name)!r}"
        yield Finding("name-taken", "card.toml: name", what, "Other weights are another model: choose another name")


def _weights(case: Case) -> Iterator[Finding]:
    entry, model = case.bundle.entry, case.bundle.records[0].model
    if entry.sha256 != model.file_sha256 and model.adapter not in WITHOUT_WEIGHTS:
        said = model.file_sha256[:12] or "no file"
        what = f"the card names the file {entry.sha256[:12]}, the records were measured with {said}"
        yield Finding("card-weights", "card.toml: sha256", what, "`ssl-bench model digest` prints the file's sha256")
    if entry.weights == PRIVATE:
        return
    place = urlsplit(entry.weights)
    if place.scheme != "https" or not place.netloc:
        what = f"{readable(entry.weights)!r} is no https address"
        yield Finding("card-weights", "card.toml: weights", what, f'Name where the file is, or write "{PRIVATE}"')
    elif not place.path.endswith(".safetensors") and model.adapter not in WITHOUT_WEIGHTS:
        what = f"{readable(place.path.rpartition('/')[2])!r} is no safetensors file, and others can execute code"
        yield Finding("weights-unsafe", "card.toml: weights", what, CONVERT)


def _division(case: Case) -> Iterator[Finding]:
    entry, model = case.bundle.entry, case.bundle.records[0].model
    if case.closed and model.adapter in WITHOUT_WEIGHTS:
        what = f"features came from {model.adapter}, so that nobody else can extract them"
        yield Finding("division", "card.toml: division", what, 'Write division = "open"')
    if case.closed and entry.passes_per_image != 1:
        what = f"{entry.passes_per_image} passes per image"
        yield Finding("division", "card.toml: passes_per_image", what, 'Write division = "open"')


def _data(case: Case) -> Iterator[Finding]:
    """Give tasks that share images with what the weights have seen, and of which the card says nothing."""
    entry, tasks = case.bundle.entry, list(case.round.tasks)
    for task, declared in overlaps.overlapping(entry.data, tasks, case.known.datasets).items():
        if task not in entry.contamination:
            what = f"{readable(declared)!r} shares images with {task}, and the card does not say which were seen"
            mend = f'Write {task} = "train images without labels", or what is true, under [contamination]'
            yield Finding("contamination-undeclared", f"card.toml: contamination.{task}", what, mend)
    for task in sorted(entry.contamination.keys() - {*tasks}):
        what = f"the round has no task {readable(task)!r}"
        yield Finding("contamination-undeclared", "card.toml: contamination", what, f"It has {', '.join(tasks)}")
    if any(word.strip().lower() == "unknown" for word in entry.data):
        what = "what the weights have seen is not known, so that no task is known to be clean"
        yield Finding("data-unknown", "card.toml: data", what, "Name the datasets, where somebody knows them")
