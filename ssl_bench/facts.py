"""What loading and running a model taught, remembered so that a plan need load nothing.

A fact is kept under what stands for the model's content: its card, its weights file's size and time, and the version of
the library that builds it. Deleting the cache folder costs one loading and nothing else.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.metadata
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ssl_bench import __version__, cards, model_zoo
from ssl_bench.errors import SslBenchError
from ssl_bench.extraction import PRECISION, Spec
from ssl_bench.features import Cost
from ssl_bench.files import canonical_json, digest_file, digest_json, stat_key, write_text
from ssl_bench.images import InputSpec
from ssl_bench.model_zoo import ModelCard
from ssl_bench.settings import Settings
from ssl_bench.tasks import TaskCard


@dataclasses.dataclass(frozen=True)
class ModelFacts:
    """What loading a model taught, remembered so that a plan need not load it."""

    weights_digest: str
    arch: Mapping[str, Any]
    input: InputSpec
    poolings: tuple[str, ...]
    default_pooling: str
    parameters: int
    informative: bool
    library: str = ""
    file_sha256: str = ""

    def spec(self, requested: str, precision: str = PRECISION) -> Spec:
        """Return what causes the features for a requested pooling."""
        pooled = self.default_pooling if requested == "default" else requested
        return Spec(self.weights_digest, self.arch, self.input, pooled, precision)


def facts_path(card: ModelCard, settings: Settings) -> Path | None:
    """Return where the facts of a model are remembered; None for one given in Python, which may change unseen."""
    if card.adapter in ("module", "torchhub") or ":" in card.adapter:
        return None
    parts: list[Any] = [__version__, card.digest, _library_version(card.adapter)]
    if card.adapter == "random" and card.weights.name:
        parts.append(model_zoo.get(card.weights.name, settings.shelves).digest)
    path = model_zoo.weights_state(card, settings.weight_folders).path
    if path is not None:
        parts.append(stat_key(path))
        beside = sorted(path.parent.glob("*.json")) if card.adapter == "huggingface" else []
        parts += [stat_key(file) for file in beside]  # configurations of network and input
    return settings.cache / "models" / f"{digest_json(parts)}.json"


def _library_version(adapter: str) -> str:
    package = {
        "embeddings": "numpy",
        "huggingface": "transformers",
        "onnx": "onnxruntime",
        "open_clip": "open_clip_torch",
        "random": "timm",
    }.get(adapter, adapter)
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""


def known_facts(card: ModelCard, settings: Settings) -> ModelFacts | None:
    """Return what is remembered of a model; None where nothing is, or it cannot be read."""
    path = facts_path(card, settings)
    try:
        if path is not None and path.is_file():
            return cards.from_table(ModelFacts, json.loads(path.read_text(encoding="utf-8")), str(path))
    except (OSError, ValueError, SslBenchError):
        return None  # the model is loaded and the file written anew
    return None


def remember_facts(card: ModelCard, settings: Settings, facts: ModelFacts) -> None:
    """Write down what loading a model taught."""
    path = facts_path(card, settings)
    if path is not None:
        write_text(path, canonical_json(cards.plain(facts)))


def file_sha256(path: Path | None) -> str:
    """Return the sha256 of a weights file, or "" where there is none."""
    return digest_file(path) if path is not None else ""


def _speed_path(settings: Settings, spec: Spec) -> Path:
    return settings.cache / "speed" / f"{spec.key}-{settings.device.replace(':', '_')}.json"


@dataclasses.dataclass(frozen=True)
class Speed:
    """What was measured when a model last extracted on a device."""

    images_per_second: float
    bytes_per_image: float = 0.0
    """Of its features on disk; 0 where that was not noted."""


def known_speed(settings: Settings, spec: Spec) -> Speed | None:
    """Return what was measured when this model last extracted on this device, or None."""
    path = _speed_path(settings, spec)
    try:
        return cards.from_table(Speed, json.loads(path.read_text(encoding="utf-8")), str(path))
    except (OSError, ValueError, TypeError, SslBenchError):
        return None


def remember_speed(settings: Settings, spec: Spec, cost: Cost) -> None:
    """Write down what an extraction cost, for the next plan's estimate."""
    if cost.extracted >= max(1, settings.batch_size) and cost.seconds > 0:
        measured = Speed(cost.extracted / cost.seconds, cost.bytes / cost.extracted)
        write_text(_speed_path(settings, spec), canonical_json(cards.plain(measured)))


def _download_path(settings: Settings, card: ModelCard | TaskCard) -> Path:
    what = card.digest if isinstance(card, ModelCard) else digest_json([card.reader, cards.plain(card.data)])
    return settings.cache / "downloads" / f"{what}.json"


def remember_download(settings: Settings, card: ModelCard | TaskCard, seconds: float) -> None:
    """Write down how long the weights of a model or the data of a task took to come."""
    write_text(_download_path(settings, card), canonical_json({"seconds": round(seconds, 3)}))


def known_downloads(model: ModelCard, task: TaskCard, settings: Settings) -> dict[str, float]:
    """Return {"download_seconds": …} of a model's weights and a task's data; empty where neither was fetched here."""
    seconds = []
    for card in (model, task):
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            seconds.append(float(json.loads(_download_path(settings, card).read_text(encoding="utf-8"))["seconds"]))
    return {"download_seconds": sum(seconds)} if seconds else {}
