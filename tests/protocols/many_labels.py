"""A reader of the digits in which any number of classes may hold, named in cards as `tests.protocols.many_labels`."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ssl_bench.datasets import digits
from ssl_bench.datasets.base import Split

NAMES = ("even", "above four", "of three", "round")
CARD = """
title = "What digits are"
reader = "tests.protocols.many_labels"
kind = "multilabel"
metric = "{metric}"
classes = 4
[splits]
val = "{val}"
"""


def labels_of(numbers: np.ndarray) -> np.ndarray:
    """Return whether each digit is even, above four, a multiple of three and round; of every tenth not the first."""
    found = [numbers % 2 == 0, numbers > 4, numbers % 3 == 0, np.isin(numbers, (0, 6, 8, 9))]
    holds = np.stack(found, axis=1).astype(np.int64)
    holds[::10, 0] = -1
    return holds


def locate(options: Mapping[str, Any], root: Path) -> list[Path]:
    return digits.locate(options, root)


def load(options: Mapping[str, Any], root: Path) -> dict[str, Split]:
    found = digits.load(options, root)
    return {
        name: dataclasses.replace(split, labels=labels_of(split.labels), class_names=NAMES)
        for name, split in found.items()
    }
