"""What a model costs to use, as its records tell: operations and images per second, each measured in some job."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Iterable, Mapping
from statistics import median

from ssl_bench.results.record import Record


@dataclasses.dataclass(frozen=True)
class Costs:
    """Of one model under one way of making features."""

    flops: float | None = None
    """Floating-point operations of one image's forward pass, as `timing.flops_per_image` counts them."""
    speeds: Mapping[str, float] = dataclasses.field(default_factory=dict)
    """Hardware, in words, to images per second of the extraction, decoding included; the median of its jobs."""


UNKNOWN = Costs()
Key = tuple[str, str]


def key_of(record: Record) -> Key:
    """Return what two records must share to tell of the same cost: the network and its input."""
    return record.model.weights_digest, record.features.canonical


def hardware(record: Record) -> str:
    """Return what ran a job, such as "NVIDIA H100" or "AMD EPYC, 2 threads"."""
    device = str(record.environment.get("device", "unknown hardware"))
    if device != "cpu":
        return device
    threads = record.environment.get("threads")
    cpu = str(record.environment.get("cpu", "") or "CPU")
    return f"{cpu}, {threads} thread{'s' * (threads != 1)}" if threads else cpu


def of_records(records: Iterable[Record]) -> dict[Key, Costs]:
    """Return the costs of everything that the records are of."""
    flops: dict[Key, float] = {}
    speeds: dict[Key, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for record in records:
        key, timing = key_of(record), record.timing
        if timing.get("flops_per_image"):
            flops[key] = timing["flops_per_image"]
        if timing.get("images_per_second"):
            speeds[key][hardware(record)].append(timing["images_per_second"])
    return {
        key: Costs(flops.get(key), {name: median(found) for name, found in sorted(speeds[key].items())})
        for key in {**flops, **speeds}
    }
