"""Whether somebody hands in what is there already, or a name that readers would take for another."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator

import numpy as np

from ssl_bench.errors import SslBenchError
from ssl_bench.results.record import Record
from ssl_bench.submission.checks.base import Case, where
from ssl_bench.submission.findings import Finding
from ssl_bench.submission.limits import readable

ALIKE = 0.999
"""Share of equal predictions above which a person looks."""
NEAR = 0.02
"""Difference of any headline above which two models are not alike."""
TELLING = frozenset({"confidence", "scores"})
"""Columns that two networks never share to the last bit."""
LOOKS = str.maketrans("01lаеорсхуіѕјԁɡкмтοανρτκι", "oiiaeopcxyisjdgkmtoavptki")
"""Letters, Cyrillic and Greek among them, to those that they look like."""
SAME = "A person of the board looks; say in the card's note how the two are related"


def findings(case: Case) -> Iterator[Finding]:
    """Give weights, predictions and names that are known under another name."""
    yield from _weights(case)
    yield from _predictions(case)
    yield from _names(case)


def _weights(case: Case) -> Iterator[Finding]:
    entry, model = case.bundle.entry, case.bundle.records[0].model
    same = {one.model.name for one in case.others if one.model.weights_digest == model.weights_digest}
    same |= {one.name for one in case.known.entries.values() if one.sha256 == entry.sha256 and one.name != entry.name}
    for name in sorted(same):
        what = f"these weights are known as {readable(name)!r}"
        yield Finding("weights-known", "card.toml: name", what, "One network has one name; see POLICIES.md")


def _predictions(case: Case) -> Iterator[Finding]:
    """Give other models whose predictions are these, file by file, and those that nearly are, over all tasks."""
    pairs: dict[str, list[tuple[Record, Record]]] = {}
    for record in case.bundle.records:
        for peer in case.peers.get(record.question, ()):
            if peer.seed == record.seed:
                pairs.setdefault(peer.model.name, []).append((record, peer))
    for name, shared in sorted(pairs.items()):
        for record, peer in shared:
            if peer.samples.sha256 == record.samples.sha256 and TELLING & {*record.samples.columns}:
                what = f"these are the predictions of {readable(name)!r}, bit by bit"
                yield Finding("predictions-known", where(record), what, "Hand in what your own network says")
        same, total = _agreement(case, shared)
        if same > ALIKE * total:
            what = f"{same:,} of {total:,} predictions are those of {readable(name)!r}"
            yield Finding("predictions-alike", "records.jsonl", what, SAME)


def _agreement(case: Case, shared: list[tuple[Record, Record]]) -> tuple[int, int]:
    """Return how many predictions two models share, of how many; none are read where their numbers are too far apart
    for the same predictions."""
    same = total = 0
    if any(abs(mine.headline.value - theirs.headline.value) > NEAR for mine, theirs in shared):
        return same, total
    for mine, theirs in shared:
        try:
            known = case.known.table(theirs)
            own = case.bundle.table(mine) if known is not None and "pred" in known else {}
        except SslBenchError:
            continue  # another check tells of it
        if known is not None and "pred" in own and len(own["pred"]) == len(known["pred"]):
            same += int((np.asarray(own["pred"]) == np.asarray(known["pred"])).sum())
            total += len(own["pred"])
    return same, total


def _names(case: Case) -> Iterator[Finding]:
    entry = case.bundle.entry
    known = {one.model.name: "" for one in case.others} | {n: one.organisation for n, one in case.known.entries.items()}
    for name, organisation in sorted(known.items()):
        if name == entry.name:
            continue
        looks, stranger = skeleton(name) == skeleton(entry.name), organisation not in ("", entry.organisation)
        if looks or (stranger and one_edit(name.lower(), entry.name.lower())):
            what = f"{readable(entry.name)!r} reads like {readable(name)!r}"
            yield Finding("name-alike", "card.toml: name", what, SAME)


def skeleton(name: str) -> str:
    """Return what a reader takes a name for: without accents, case and separators, 0 as o, 1 and l as i, rn as m."""
    plain = "".join(one for one in unicodedata.normalize("NFKD", name) if not unicodedata.combining(one))
    letters = "".join(one for one in plain.casefold() if one.isalnum())
    return letters.translate(LOOKS).replace("rn", "m").replace("vv", "w")


def one_edit(one: str, other: str) -> bool:
    """Return whether two names differ by one letter that was changed, added, left out, or swapped with the next."""
    if one == other or abs(len(one) - len(other)) > 1:
        return False
    short, long = sorted((one, other), key=len)
    start = next((i for i, (a, b) in enumerate(zip(short, long, strict=False)) if a != b), len(short))
    if len(short) < len(long):
        return short[start:] == long[start + 1 :]
    return short[start + 1 :] == long[start + 1 :] or (
        short[start + 2 :] == long[start + 2 :] and short[start : start + 2] == long[start : start + 2][::-1]
    )
