"""Which images and tasks are done again: drawn from a nonce that nobody knew when the bundle was fixed.

An item's place in the draw is HMAC-SHA256(nonce, digest of the bundle ‖ task ‖ item): who has the bundle and the nonce
draws the same, and who makes the bundle cannot know which images will be asked for.
"""

from __future__ import annotations

import hashlib
import hmac
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean, median

import numpy as np
from numpy.typing import NDArray

from ssl_bench.results.record import Record
from ssl_bench.submission.claims import Claim

IMAGES = 32
"""Images of each task that are extracted again."""
TASKS = 5
"""Tasks that are run again, end to end; see `caught`."""


def place(nonce: str, *words: str) -> bytes:
    """Return an item's place in the draw, 32 bytes; words are kept apart, so that no two items are one."""
    return hmac.new(nonce.encode(), "\0".join(words).encode(), hashlib.sha256).digest()


def images(nonce: str, claim: str, task: str, digests: NDArray[np.uint8], count: int = IMAGES) -> NDArray[np.int64]:
    """Return the positions of `count` images, ascending, among those with these sha256, uint8 (images, 32).

    `claim` is the digest of what is claimed. Of equal images, which have one place, the first come first.
    """
    places = [place(nonce, claim, task, bytes(row).hex()) for row in digests]
    first = sorted(range(len(places)), key=lambda i: (places[i], i))[:count]
    return np.sort(np.array(first, dtype=np.int64))


def tasks(nonce: str, claim: Claim, count: int = TASKS, others: Iterable[Record] = ()) -> tuple[str, ...]:
    """Return the tasks to run again: the one whose result surprises most, and then as they are drawn.

    `others` are records of other models, against which a result surprises.
    """
    names = claim.tasks
    if not names or count < 1:
        return ()
    first = outlier(claim.records, others)
    rest = sorted((name for name in names if name != first), key=lambda name: place(nonce, claim.digest, name))
    return (first, *rest[: count - 1])


def outlier(records: Sequence[Record], others: Iterable[Record] = ()) -> str:
    """Return the task on which the records are furthest above what their own other tasks, and other models' results of
    the same questions, let expect.

    A result counts as its share of the way from chance to the best possible. From it, the median of other models' is
    taken, where there are any; from that, the median over the model's own questions. What is left is the surprise.
    """
    field: dict[str, list[float]] = defaultdict(list)
    for other in others:
        field[other.question].append(achieved(other))
    by_question: dict[tuple[str, str], list[float]] = defaultdict(list)
    for record in records:
        by_question[record.task.name, record.question].append(achieved(record))
    above = {key: fmean(values) - median(field.get(key[1]) or [0.0]) for key, values in by_question.items()}
    usual = {
        known: median([value for key, value in above.items() if bool(field.get(key[1])) == known] or [0.0])
        for known in (True, False)
    }
    surprise = {key: value - usual[bool(field.get(key[1]))] for key, value in above.items()}
    return max(surprise, key=lambda key: (surprise[key], key))[0]


def achieved(record: Record) -> float:
    """Return a record's headline as the share of the way from chance (or the worst) to the best possible value."""
    definition = record.definition(record.task.metric)
    worst, best = (
        (definition.low, definition.high) if definition.higher_is_better else (definition.high, definition.low)
    )
    start = worst if definition.chance is None else definition.chance
    best = best if definition.ceiling is None else definition.ceiling
    return (record.headline.value - start) / (best - start) if best != start else 0.0


def caught(total: int, false: int, drawn: int) -> float:
    """Return the probability that a draw of `drawn` among `total` hits one of `false` (hypergeometric):
    1 - C(total - false, drawn) / C(total, drawn)."""
    if not 0 <= false <= total or not 0 <= drawn <= total:
        raise ValueError(f"{false} of {total} cannot be false, or {drawn} drawn")
    return 1 - math.comb(total - false, drawn) / math.comb(total, drawn)


def odds(total: int, drawn: int) -> Mapping[int, float]:
    """Return, for 1, 2, 4, 8 … falsified tasks of `total`, the probability that a run of `drawn` of them tells."""
    counts = [count for count in (1, 2, 4, 8, 16, 32, 64) if count <= total]
    return {false: caught(total, false, min(drawn, total)) for false in counts}
