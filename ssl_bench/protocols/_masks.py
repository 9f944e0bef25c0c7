"""What the protocols that tell the class of every pixel share."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ssl_bench.predictions import LabelMaps
from ssl_bench.predictions.spool import Spool
from ssl_bench.protocols.base import Answer, Trial
from ssl_bench.targets import VOID

if TYPE_CHECKING:
    from torch import Tensor


def most_frequent(trial: Trial) -> Answer:
    """Return the class of most pixels of train for every pixel of test: what can be said without looking."""
    counts = np.zeros(VOID + 1, dtype=np.int64)
    for position in range(trial.sizes["train"]):
        counts += np.bincount(trial.targets["train"][position].labels.ravel(), minlength=VOID + 1)
    label = int(counts[: trial.classes].argmax())
    maps: Any = Spool()
    for size in image_sizes(trial):
        maps.append(np.full(size, label, dtype=np.uint8))
    return Answer(LabelMaps(maps))


def image_sizes(trial: Trial) -> Iterator[tuple[int, int]]:
    """Give height and width of every test image."""

    def size(image: NDArray[np.uint8], _target: Any, _generator: np.random.Generator) -> tuple[int, int]:
        return image.shape[0], image.shape[1]

    yield from trial.prepared("test", size, np.arange(trial.sizes["test"]))


def cross_entropy(logits: Tensor, labels: Tensor, size: tuple[int, int], step: int) -> float:
    """Add the gradient of the mean cross-entropy over all pixels to that of `logits`, and return the mean.

    Logits (images, classes, rows, columns), a leaf, are spread to labels (images, height, width) of images of `size`,
    image after image. Pixels that count for no class add nothing, and count in the mean all the same: DINOv3's and
    mmsegmentation's CrossEntropyLoss.
    """
    import torch
    from torch.nn import functional

    from ssl_bench.backbones.dense import spread

    total = torch.zeros((), device=logits.device)  # read once: each reading waits for a GPU
    for some, said in zip(torch.split(logits, 1), torch.split(labels, 1), strict=True):
        wide = spread(some, size, step)
        loss = functional.cross_entropy(wide, said, ignore_index=VOID, reduction="sum") / labels.numel()
        loss.backward()  # type: ignore[no-untyped-call]
        total += loss.detach()
    return float(total)
