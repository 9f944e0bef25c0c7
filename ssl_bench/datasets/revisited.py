"""The revisited Oxford and Paris benchmarks: a gallery of buildings, queries cut from photographs, and judgements.

The ground truth is the authors' `gnd_<name>.pkl` (Radenović et al., CVPR 2018): names of gallery and queries, and for
each query its box and the gallery's positions that are easy, hard and junk. It is a pickle, which could run anything;
it is read by `pickles`, which makes plain containers, numbers, text and NumPy arrays alone.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ssl_bench import cards
from ssl_bench.datasets import containers, pickles
from ssl_bench.datasets.base import Split
from ssl_bench.errors import DataError, MissingError, reason
from ssl_bench.files import digest_json
from ssl_bench.images import Raw, decode
from ssl_bench.predictions import Judgements

KINDS = ("easy", "hard", "junk")


@dataclasses.dataclass(frozen=True)
class Options:
    """The card's `[data]`."""

    path: str
    """The folder of JPEG files, relative to the data folder."""
    judgements: str
    """The pickle, relative to the data folder."""
    crop: bool = True
    """True: a query is what its box shows, as the benchmark asks; false: its whole photograph, as in DINO's code."""


@dataclasses.dataclass(frozen=True)
class Photographs:
    """JPEG files, some of them cut to a box (left, upper, right, lower)."""

    folder: Path
    names: tuple[str, ...]
    boxes: tuple[tuple[float, ...], ...] = ()

    def __len__(self) -> int:
        return len(self.names)

    def read(self, index: int) -> Raw:
        """Return a file's bytes, or the pixels in its box."""
        path = self.folder / f"{self.names[index]}.jpg"
        try:
            content = path.read_bytes()
        except OSError as error:
            raise MissingError(f"cannot read {path}: {error.strerror or error}") from error
        if not self.boxes:
            return content
        image = decode(content, str(path)).convert("RGB")
        left, upper, right, lower = self.boxes[index]
        return np.asarray(image.crop((round(left), round(upper), round(right), round(lower))))


def locate(options: Mapping[str, Any], root: Path) -> list[Path]:
    """Return the ground truth and every photograph that it names, or the folder; raise MissingError that names both."""
    chosen = cards.from_table(Options, options, "data")
    truth, folder = root / chosen.judgements, root / chosen.path
    containers.require(truth, folder)
    return [truth, *sorted(folder.glob("*.jpg"))]


def load(options: Mapping[str, Any], root: Path) -> dict[str, Split]:
    """Return the splits "gallery" and "query", without labels.

    A query's id is its name and a digest of its box and judgements, so that a task's digest covers them. Raises
    DataError for a ground truth that is not one.
    """
    chosen = cards.from_table(Options, options, "data")
    containers.require(root / chosen.judgements, root / chosen.path)
    truth = _truth(root / chosen.judgements)
    gallery, queries = tuple(map(str, truth["imlist"])), tuple(map(str, truth["qimlist"]))
    boxes = tuple(tuple(map(float, query["bbx"])) for query in truth["gnd"]) if chosen.crop else ()
    ids = tuple(
        f"{name}#{digest_json([box, *(query[kind].tolist() for kind in KINDS)])[:12]}"
        for name, query, box in zip(queries, truth["gnd"], boxes or [[]] * len(queries), strict=True)
    )
    return {
        "gallery": _split(Photographs(root / chosen.path, gallery), gallery),
        "query": _split(Photographs(root / chosen.path, queries, boxes), ids),
    }


def judgements(options: Mapping[str, Any], root: Path) -> Judgements:
    """Return what is easy, hard and junk for every query, as positions in the gallery."""
    queries = _truth(root / cards.from_table(Options, options, "data").judgements)["gnd"]
    easy, hard, junk = (tuple(query[kind] for query in queries) for kind in KINDS)
    return Judgements(easy, hard, junk)


def _split(source: Photographs, ids: tuple[str, ...]) -> Split:
    return Split(source, np.arange(len(ids)), ids, np.zeros(len(ids), dtype=np.int64))


def _truth(path: Path) -> dict[str, Any]:
    """Return the ground truth with its judgements as arrays; raise DataError where the file holds something else."""
    try:
        found = pickles.read(path)
        gallery, queries = list(found["imlist"]), list(found["qimlist"])
        truth = [_judged(one) for one in found["gnd"]]
    except (KeyError, TypeError, ValueError, IndexError, DataError) as error:
        raise DataError(f"{path} is no ground truth of the revisited benchmarks: {reason(error)}") from error
    highest = max((int(place) for one in truth for kind in KINDS for place in one[kind]), default=0)
    if len(queries) != len(truth) or highest >= len(gallery) or any(len(one["bbx"]) != 4 for one in truth):
        raise DataError(
            f"{path}: {len(queries)} queries, {len(truth)} judgements of positions up to {highest} and "
            f"{len(gallery)} gallery images do not fit together"
        )
    return {"imlist": gallery, "qimlist": queries, "gnd": truth}


def _judged(query: Mapping[str, Any]) -> dict[str, Any]:
    """Return a query's box, and its positions (found,) of each kind."""
    positions = {kind: np.asarray(query[kind]).astype(np.int64).reshape(-1) for kind in KINDS}
    return {"bbx": list(query["bbx"])} | positions
