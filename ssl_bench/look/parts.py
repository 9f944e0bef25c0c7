"""The page of a task that asks of images' parts: what is true of them, what a network makes of them, what is said."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import html
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ssl_bench import images
from ssl_bench.backbones.base import Backbone
from ssl_bench.datasets.base import Split
from ssl_bench.errors import UsageError
from ssl_bench.images import InputSpec
from ssl_bench.look import drawing
from ssl_bench.look.drawing import Picture
from ssl_bench.look.frame import data_url, framed
from ssl_bench.recording import truth_of
from ssl_bench.results.describe import with_interval
from ssl_bench.results.record import MetricDefinition, MetricValue
from ssl_bench.scoring import definitions, headline, judged, score, scored_by
from ssl_bench.targets import VOID, Mask, Objects, Target
from ssl_bench.tasks import TaskCard

if TYPE_CHECKING:
    from ssl_bench.jobs import Job
    from ssl_bench.runner import Runner

SIDE = 480
"""Pixels of a shown image's longer side."""
COUNTED = {"segmentation": "pixels", "detection": "objects"}
"""What a class has of a kind of task."""
SEEN = "PCA of its features"


@dataclasses.dataclass(frozen=True, eq=False)
class Said:
    """What a protocol says of the test images with a model."""

    protocol: str
    targets: Mapping[int, Target]
    """Position in test to what is said of that image."""
    metrics: Mapping[str, MetricValue] = dataclasses.field(default_factory=dict)
    definitions: Mapping[str, MetricDefinition] = dataclasses.field(default_factory=dict)


def spread(split: Split, count: int) -> NDArray[np.int64]:
    """Return `count` positions of a split, evenly spread over it."""
    return np.unique(np.linspace(0, len(split) - 1, min(count, len(split))).round().astype(np.int64))


def page(
    card: TaskCard,
    splits: Mapping[str, Split],
    count: int,
    *,
    model: str = "",
    seen: Mapping[str, Mapping[int, Picture]] | None = None,
    said: Said | None = None,
) -> str:
    """Return the page of `count` images of every split.

    `seen` holds, by role and position, what `model` makes of images, as `seen_by` gives it; `said` what a protocol says
    of test images with it.
    """
    names = card.class_names or splits["test"].class_names or tuple(map(str, range(card.classes)))
    parts = [_metrics(said)] if said else []
    if card.kind in COUNTED:
        parts.append(_classes(names, splits, said, COUNTED[card.kind]))
    for role, split in splits.items():
        rows = [
            _row(names, split, position, (seen or {}).get(role, {}), said if role == "test" else None)
            for position in spread(split, count).tolist()
        ]
        what = f", and what {html.escape(model)} makes of them: {SEEN}" if seen and role in seen else ""
        parts.append(f"<h2>{role}: {len(rows)} of {len(split):,} images{what}</h2>{''.join(rows)}")
    return framed(card, parts)


def _row(names: Sequence[str], split: Split, position: int, seen: Mapping[int, Picture], said: Said | None) -> str:
    """Return an image, its target, and what there is besides, as figures in a row."""
    assert split.targets is not None
    image, true, name = picture(split, position), split.targets[position], split.ids[position]
    figures = [
        _figure(image, f"{name}, {image.shape[1]} x {image.shape[0]}"),
        _figure(drawing.drawn(true, image), f"target{_named(names, true)}", exact=isinstance(true, Mask)),
    ]
    if position in seen:
        figures.append(_figure(seen[position], SEEN, exact=True))
    if said and position in said.targets:
        answer = said.targets[position]
        figures.append(
            _figure(drawing.drawn(answer, image), f"prediction{_named(names, answer)}", exact=isinstance(answer, Mask))
        )
        error = drawing.mistaken(true, answer, image)
        figures += [_figure(error, "error")] if error is not None else []
    return f'<div class="row parts">{"".join(figures)}</div>'


def _named(names: Sequence[str], target: Target) -> str:
    """Return the classes of objects in words; of pixels the legend tells them."""
    if not isinstance(target, Objects):
        return ""
    counts = np.bincount(target.labels, minlength=len(names)).tolist()
    words = [f"{count} {name}" for count, name in zip(counts, names, strict=True) if count]
    return f": {', '.join(words) or 'nothing'}"


def _figure(shown: Picture, caption: str, exact: bool = False) -> str:
    text = html.escape(caption)
    source = data_url(shown, SIDE, exact)
    mark = " class=exact" if exact else ""
    return f'<figure><img{mark} src="{source}" alt="{text}"><figcaption>{text}</figcaption></figure>'


def picture(split: Split, position: int) -> Picture:
    """Return a sample's whole image in colours (height, width, 3)."""
    return np.asarray(images.decode(split.read(position), split.ids[position]).convert("RGB"))


def _metrics(said: Said) -> str:
    rows = "".join(
        f"<tr><td>{html.escape(name)}</td><td>{html.escape(with_interval(value, said.definitions[name]))}</td></tr>"
        for name, value in said.metrics.items()
        if "/" not in name
    )
    return f"<h2>{html.escape(said.protocol)}, on all of test</h2><table>{rows}</table>"


def _classes(names: Sequence[str], splits: Mapping[str, Split], said: Said | None, what: str) -> str:
    """Return a table of the classes: colour, share of the pixels, or objects, of every split, and what a protocol
    reaches on it."""
    shares = {role: shares_of(split, len(names)) for role, split in splits.items()}
    largest = max(float(share.max()) for share in shares.values()) or 1.0
    scores = {name.removesuffix("/iou"): value for name, value in said.metrics.items() if "/" in name} if said else {}
    rows = []
    for label, name in enumerate(names):
        colour = ",".join(map(str, drawing.colours()[label % VOID].tolist()))
        cells = "".join(
            f'<td class=n>{100 * share[label]:.2f} %</td><td><span class=bar style="width:'
            f'{100 * share[label] / largest:.1f}px"></span></td>'
            for share in shares.values()
        )
        found = scores.get(name)
        reached = f"<td class=n>{100 * found.value:.1f}</td>" if found else "<td></td>" if scores else ""
        rows.append(
            f'<tr><td><span class=colour style="background:rgb({colour})"></span> {html.escape(name)}</td>'
            f"{cells}{reached}</tr>"
        )
    if what == "pixels":
        void = "".join(f"<td class=n>{100 * (1 - share.sum()):.2f} %</td><td></td>" for share in shares.values())
        rows.append(f"<tr><td>counts for no class</td>{void}</tr>")
    head = "".join(f"<th class=n>{role}</th><th></th>" for role in splits) + ("<th class=n>IoU</th>" if scores else "")
    return f"<h2>{what.capitalize()} per class</h2><table><tr><th>class</th>{head}</tr>{''.join(rows)}</table>"


def shares_of(split: Split, classes: int) -> NDArray[np.float64]:
    """Return the share of a split's pixels, or objects, that are of each class (classes,), of all its targets."""
    assert split.targets is not None
    found = split.targets
    with concurrent.futures.ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        least = max(classes, VOID + 1)
        counts = pool.map(lambda i: np.bincount(found[i].labels.ravel(), minlength=least), range(len(split)))
        total = sum(counts, np.zeros(least, dtype=np.int64))
    shares: NDArray[np.float64] = total[:classes] / max(int(total.sum()), 1)
    return shares


def seen_by(
    backbone: Backbone, splits: Mapping[str, Split], count: int, device: str = "cpu"
) -> dict[str, dict[int, Picture]]:
    """Return what a network makes of the shown images, by role and position, as colours; see `drawing.as_colours`.

    Images come in their own shape, their short side twice as long as the model's own, or as the model takes them where
    it takes no others. Raises UsageError for a model without maps.
    """
    places = [(role, position) for role, split in splits.items() for position in spread(split, count).tolist()]
    if backbone.network is not None:
        backbone.network.to(device).eval()
    found = [_map(backbone, splits[role], position, device) for role, position in places]
    shown: dict[str, dict[int, Picture]] = {role: {} for role in splits}
    for (role, position), colours in zip(places, drawing.as_colours(found), strict=True):
        shown[role][position] = colours
    return shown


def _map(backbone: Backbone, split: Split, position: int, device: str) -> NDArray[np.float32]:
    """Return the network's map of one image (dim, rows, columns)."""
    import torch

    from ssl_bench.backbones import dense

    image = images.decode(split.read(position), split.ids[position])

    def of(spec: InputSpec) -> NDArray[np.float32]:
        batch = torch.from_numpy(images.pixels(image, spec).copy())[None].to(device)
        with torch.inference_mode():
            (found,) = dense.maps(backbone, images.normalise(batch, spec))
        return found[0].float().cpu().numpy()  # type: ignore[no-any-return]

    scale = 2 * min(backbone.input.size) / min(image.size)
    large = (round(image.height * scale), round(image.width * scale))
    try:
        return of(dataclasses.replace(backbone.input, size=large, resize="squash"))
    except UsageError:
        return of(dataclasses.replace(backbone.input, resize="squash"))


def said_by(runner: Runner, job: Job, positions: NDArray[np.int64]) -> Said:
    """Return what a job's protocol says of the test images at `positions`, and its figures on all of them.

    The protocol runs; nothing is recorded.
    """
    answer = job.protocol.answer(runner.trial(job))
    data = runner.data(job)
    first = headline(job.task, job.protocol)
    truth = truth_of(job.task, data, None)
    test = data.splits["test"]
    sizes = {i: images.size(test.read(i), test.ids[i]) for i in positions.tolist()}
    found = {i: answer.predictions.of_image(i, size) for i, size in sizes.items()}
    kept = {i: target for i, target in found.items() if target is not None}
    answer = judged(answer, truth)
    scored = scored_by(answer, truth, first)
    return Said(job.protocol_name, kept, score(answer, truth, scored), definitions(scored, job.task.classes))
