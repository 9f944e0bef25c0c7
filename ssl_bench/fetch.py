"""Getting weights and data onto this machine; everything else only reads what is there."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from ssl_bench import backbones, datasets, model_zoo, subsets
from ssl_bench.backbones.base import LoadContext
from ssl_bench.download import download, mirrored
from ssl_bench.errors import MissingError, SslBenchError, UsageError
from ssl_bench.facts import remember_download
from ssl_bench.files import digest_file
from ssl_bench.model_zoo import ModelCard
from ssl_bench.pins import Pin
from ssl_bench.progress import Progress
from ssl_bench.settings import Settings
from ssl_bench.tasks import TaskCard

LIBRARIES = ("open_clip", "timm", "torchhub", "torchvision")
"""Adapters whose library knows where its weights are and keeps them itself, where a card names no place."""


def fetch_weights(card: ModelCard, settings: Settings, progress: Progress | None = None) -> Path | None:
    """Download a card's weights into the weights folder and return the file; None where the card needs none or
    the card's library keeps it.

    Interrupted downloads go on where they stopped. Raises MissingError without a network or under `offline`, and
    UsageError where the file's sha256 is not the card's (the file is removed).
    """
    state = model_zoo.weights_state(card, settings.weight_folders)
    if not state.needed and card.adapter in LIBRARIES:
        backbones.load(card, LoadContext(offline=settings.offline))
    if not state.missing:
        return state.path
    if settings.offline:
        raise MissingError(
            f"the weights of {card.name} are not here and --offline forbids fetching them: {state.source}"
        )
    start = time.monotonic()
    try:
        if card.adapter == "huggingface":
            path = _snapshot(card, settings)
        else:
            path = _from_hub(card, settings) if card.weights.hub else _from_url(card, settings, progress or Progress())
    except SslBenchError:
        raise
    except Exception as error:  # every client has its own family of network errors
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise MissingError(f"cannot fetch the weights of {card.name} from {state.source}: {reason}") from error
    if card.weights.sha256 and digest_file(path) != card.weights.sha256:
        path.unlink()
        raise UsageError(
            f"the file from {state.source} does not have the sha256 that the card {card.name} pins "
            f"({card.weights.sha256[:12]}…); it was removed"
        )
    remember_download(settings, card, time.monotonic() - start)
    return path


def _from_hub(card: ModelCard, settings: Settings) -> Path:
    from huggingface_hub import hf_hub_download

    file_name = card.weights.file or "model.safetensors"
    return Path(hf_hub_download(card.weights.hub, file_name, local_dir=settings.weights / card.weights.hub))


def _snapshot(card: ModelCard, settings: Settings) -> Path:
    """Download configurations, safetensors and the tokenizer of a repository, nothing else of it."""
    from huggingface_hub import snapshot_download

    if model_zoo.is_folder_name(card.weights.name):
        raise MissingError(f"{card.name}: there is no model.safetensors in the folder {card.weights.name}")
    repository, _, revision = card.weights.name.partition("@")
    wanted = ["config.json", "preprocessor_config.json", "model*.safetensors", "model.safetensors.index.json"]
    wanted += ["tokenizer*", "vocab*", "merges.txt", "special_tokens_map.json", "added_tokens.json", "*.model"]
    snapshot_download(
        repository, revision=revision or None, local_dir=settings.weights / card.weights.name, allow_patterns=wanted
    )
    path = model_zoo.weights_state(card, settings.weight_folders).path
    if path is None:
        raise UsageError(f"{card.name}: {repository} holds no model.safetensors; pickled weights are not read")
    return path


def _from_url(card: ModelCard, settings: Settings, progress: Progress) -> Path:
    if not card.weights.url:
        raise MissingError(
            f"the card {card.name} names no place to fetch {card.weights.file} from; put the file there by hand"
        )
    name = card.weights.file or Path(card.weights.url).name
    urls = mirrored(settings.mirror, [card.weights.url], name)
    return download(urls, settings.weights / name, progress, Pin(card.weights.sha256))


def fetch_data(card: TaskCard, settings: Settings, progress: Progress | None = None) -> list[Path]:
    """Download a task's data into the data folder and return its files; interrupted downloads go on.

    Raises MissingError that says the manual step, where the source has no download or the network is absent, and what
    `datasets.fetch` raises.
    """
    try:
        return datasets.locate(card, settings.data)
    except MissingError:
        if settings.offline:
            raise
    start = time.monotonic()
    datasets.fetch(card, settings.data, progress, settings.mirror)
    remember_download(settings, card, time.monotonic() - start)
    return datasets.locate(card, settings.data)


def fetch_subsets(
    names: Iterable[str], settings: Settings, progress: Progress | None = None
) -> list[tuple[str, Path | SslBenchError | None]]:
    """Fetch published subsets into the data folder, going on after a failure; return (what, file or error) in order."""
    done: list[tuple[str, Path | SslBenchError | None]] = []
    for name in dict.fromkeys(names):
        subset, path = subsets.get(name), subsets.place(name, settings.data)
        try:
            if settings.offline and not path.is_file():
                raise MissingError(f"{subsets.lacking(name, settings.data)} is not here and --offline forbids fetching")
            urls = mirrored(settings.mirror, [subset.url])
            download(urls, path, progress or Progress(), Pin(subset.sha256, size=subset.bytes))
            done.append((f"subset {name}", path))
        except SslBenchError as error:
            done.append((f"subset {name}", error))
    return done


def fetch_all(
    models: Iterable[ModelCard], cards: Iterable[TaskCard], settings: Settings, progress: Progress | None = None
) -> Iterator[tuple[str, Path | SslBenchError | None]]:
    """Fetch everything, going on after a failure; give (what, file or folder or error) as each is done, in order."""
    for model in models:
        try:
            yield f"weights of {model.name}", fetch_weights(model, settings, progress)
        except SslBenchError as error:
            yield f"weights of {model.name}", error
    for card in cards:
        try:
            yield f"data of {card.name}", _common(fetch_data(card, settings, progress))
        except SslBenchError as error:
            yield f"data of {card.name}", type(error)(str(error).removeprefix(f"task {card.name!r}: "))


def _common(paths: list[Path]) -> Path | None:
    """Return the file, or the folder that all files lie in."""
    return Path(os.path.commonpath(paths)) if paths else None
