"""The page of a task whose images have labels: what a network would see, how classes are spread, and neighbours."""

from __future__ import annotations

import dataclasses
import html
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from ssl_bench.datasets.base import Split
from ssl_bench.images import InputSpec, decode, pixels
from ssl_bench.look.frame import data_url, framed, said_of
from ssl_bench.protocols.base import Trial
from ssl_bench.solvers.neighbours import nearest
from ssl_bench.tasks import TaskCard

PLAIN = InputSpec((96, 96), resize="short", mean=(0.0,) * 3, std=(1.0,) * 3)
"""How images are shown where no model says what it sees."""


@dataclasses.dataclass(frozen=True, eq=False)
class Neighbours:
    """The training images that a model finds nearest to some test images."""

    queries: NDArray[np.int64]  # (queries,): positions in test
    nearest: NDArray[np.int64]  # (queries, k): positions in train


def page(
    card: TaskCard,
    splits: Mapping[str, Split],
    spec: InputSpec | None = None,
    model: str = "",
    neighbours: Neighbours | None = None,
    per_class: int = 3,
) -> str:
    """Return the page; `spec` is what `model` sees, and without one images are shown small and whole.

    Of an image of a shifted set for which several labels are right, the lowest is shown.
    """
    splits = {role: split if card.kind == "multilabel" else _first_labels(split) for role, split in splits.items()}
    seen = f"as {html.escape(model)} sees them: {said_of(spec)}" if spec else "cut to their middle square"
    parts = [_balance(splits)]
    if neighbours is not None:
        parts.append(_neighbours(splits, neighbours, spec or PLAIN))
    for role, split in splits.items():
        shown = _spread(split.labels, per_class)
        figures = "".join(_figure(split, int(position), spec or PLAIN) for position in shown)
        parts.append(
            f'<h2>{role}: {len(shown)} of {len(split):,} images, {seen}</h2><div class="sheet">{figures}</div>'
        )
    return framed(card, parts)


def _first_labels(split: Split) -> Split:
    return split if split.labels.ndim == 1 else dataclasses.replace(split, labels=split.labels[:, 0])


def _spread(labels: NDArray[np.int64], per_class: int) -> NDArray[np.int64]:
    """Return positions of up to `per_class` samples of every class, class by class, the same every time."""
    generator = np.random.default_rng(0)
    classes = np.unique(labels) if labels.ndim == 1 else range(labels.shape[1])
    members = [generator.permutation(np.flatnonzero(_holds(labels, label)))[:per_class] for label in classes]
    return np.array(list(dict.fromkeys(np.concatenate(members).tolist())), dtype=np.int64)


def _holds(labels: NDArray[np.int64], label: int) -> NDArray[np.bool_]:
    """Tell of which samples a class holds."""
    holds: NDArray[np.bool_] = labels == label if labels.ndim == 1 else labels[:, label] == 1
    return holds


def _counts(labels: NDArray[np.int64], classes: int) -> NDArray[np.int64]:
    """Return of how many samples each class holds."""
    return np.bincount(labels, minlength=classes) if labels.ndim == 1 else (labels == 1).sum(axis=0)


def _agree(label: NDArray[np.int64], other: NDArray[np.int64]) -> bool:
    """Tell whether two samples have a class in common."""
    return bool(label == other) if label.ndim == 0 else bool(((label == 1) & (other == 1)).any())


def _class_of(split: Split, position: int) -> str:
    """Return a sample's class, or its classes, in words where there are any."""
    label = split.labels[position]
    held = np.flatnonzero(label == 1) if label.ndim else label[None]
    return ", ".join(split.class_names[one] if split.class_names else str(one) for one in held) or "none"


def _balance(splits: Mapping[str, Split]) -> str:
    """Return a table of how many samples each class has per split."""
    names = splits["test"].class_names
    labels = {role: split.labels for role, split in splits.items()}
    test = labels["test"]
    classes = max(int(own.max()) for own in labels.values()) + 1 if test.ndim == 1 else test.shape[1]
    counts = {role: _counts(own, classes) for role, own in labels.items()}
    largest = max(int(count.max()) for count in counts.values())
    head = "".join(f"<th class=n>{role}</th><th></th>" for role in splits)
    rows = []
    for label in range(classes):
        cells = "".join(
            f'<td class=n>{count[label]:,}</td><td><span class=bar style="width:{100 * count[label] / largest:.1f}px">'
            "</span></td>"
            for count in counts.values()
        )
        rows.append(f"<tr><td>{html.escape(names[label] if names else str(label))}</td>{cells}</tr>")
    return f"<h2>Samples per class</h2><table><tr><th>class</th>{head}</tr>{''.join(rows)}</table>"


def _neighbours(splits: Mapping[str, Split], found: Neighbours, spec: InputSpec) -> str:
    train, test = splits["train"], splits["test"]
    rows = []
    for query, places in zip(found.queries, found.nearest, strict=True):
        figures = [_figure(test, int(query), spec)]
        for place in places:
            wrong = not _agree(train.labels[place], test.labels[query])
            figures.append(_figure(train, int(place), spec, wrong))
        rows.append(f'<div class="row">{"".join(figures)}</div>')
    return (
        "<h2>Nearest training images</h2><p>Each row: a test image, then the training images that the model finds most "
        f"like it; red names are of another class.</p>{''.join(rows)}"
    )


def _figure(split: Split, position: int, spec: InputSpec, wrong: bool = False) -> str:
    name = _class_of(split, position)
    mark = ' class="wrong"' if wrong else ""
    alt = html.escape(f"{split.ids[position]}, class {name}")
    source = thumbnail(split, position, spec)
    return f'<figure{mark}><img src="{source}" alt="{alt}"><figcaption>{html.escape(name)}</figcaption></figure>'


def thumbnail(split: Split, position: int, spec: InputSpec = PLAIN) -> str:
    """Return a sample's image, small, in a `data:` address: as PNG, or as JPEG where that is a large file."""
    seen = pixels(decode(split.read(position), split.ids[position]), spec)
    return data_url(seen[0] if len(seen) == 1 else seen.transpose(1, 2, 0))


def neighbours_of(trial: Trial, count: int, k: int = 6) -> Neighbours:
    """Return the `k` nearest training images, by cosine, of `count` test samples that are drawn the same every time."""
    queries = np.sort(np.random.default_rng(1).permutation(trial.sizes["test"])[:count])
    bank = trial.features("train")
    found = nearest(bank, trial.features("test")[queries], min(k, len(bank)), device=trial.device)
    return Neighbours(queries, found.indices)
