"""Photographs of buildings, and the authors' pickle of queries, boxes and judgements."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np

from ssl_bench.images import decode
from tests.datasets.replicas import Truth, encoded, pixels, write

CARDS = ("roxford5k", "rparis6k")


def build(place: Path, card: str) -> Truth:
    """Put ten photographs and a pickle, in the form of Python 2 as the authors' are, that asks for two of them."""
    names = [f"all_souls_{number:06d}" for number in range(10)]
    images = {name: encoded(image) for name, image in zip(names, pixels(10, 48), strict=True)}
    write(place / card / "jpg", {f"{name}.jpg": image for name, image in images.items()})
    queries = [
        {"bbx": [4.0, 8.0, 40.0, 44.0], "easy": [1, 2], "hard": [3], "junk": [4]},
        {"bbx": [0, 0, 48, 48], "easy": np.array([5]), "hard": [], "junk": [6]},
    ]
    truth = {"imlist": names, "qimlist": names[8:], "gnd": queries}
    write(place / card, {f"gnd_{card}.pkl": pickle.dumps(truth, protocol=2)})
    cut = {}
    for name, query in zip(names[8:], queries, strict=True):
        left, upper, right, lower = (int(edge) for edge in query["bbx"])  # type: ignore[attr-defined]
        cut[name] = (0, np.asarray(decode(images[name], name))[upper:lower, left:right])
    return {"gallery": {name: (0, image) for name, image in images.items()}, "query": cut}
