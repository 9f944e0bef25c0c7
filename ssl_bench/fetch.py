"""Getting weights and data onto this machine; everything else only reads what is there."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path

from ssl_bench import backbones, datasets, model_zoo
from ssl_bench.backbones.base import LoadContext
from ssl_bench.download import download
from ssl_bench.errors import MissingError, SslBenchError, UsageError
from ssl_bench.facts import remember_download
from ssl_bench.files import digest_file
from ssl_bench.model_zoo import ModelCard
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
    """Download configurations and safetensors of a repository, nothing else of it."""
    from huggingface_hub import snapshot_download

    if model_zoo.is_folder_name(card.weights.name):
        raise MissingError(f"{card.name}: there is no model.safetensors in the folder {card.weights.name}")
    repository, _, revision = card.weights.name.partition("@")
    wanted = ["config.json", "preprocessor_config.json", "model*.safetensors", "model.safetensors.index.json"]
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
    mirror = [f"{settings.mirror.rstrip('/')}/{name}"] if settings.mirror else []
    return download([*mirror, card.weights.url], settings.weights / name, progress, sha256=card.weights.sha256)


def fetch_data(card: TaskCard, settings: Settings) -> list[Path]:
    """Download a task's data into the data folder and return its files.

    Raises MissingError that says the manual step, where the source has no download or the network is absent.
    """
    try:
        return datasets.locate(card, settings.data)
    except MissingError:
        if settings.offline:
            raise
    start = time.monotonic()
    datasets.fetch(card, settings.data)
    remember_download(settings, card, time.monotonic() - start)
    return datasets.locate(card, settings.data)


def fetch_all(
    models: Iterable[ModelCard], cards: Iterable[TaskCard], settings: Settings, progress: Progress | None = None
) -> list[tuple[str, Path | SslBenchError | None]]:
    """Fetch everything, going on after a failure; return (what, file or error) in order."""
    done: list[tuple[str, Path | SslBenchError | None]] = []
    for model in models:
        try:
            done.append((f"weights of {model.name}", fetch_weights(model, settings, progress)))
        except SslBenchError as error:
            done.append((f"weights of {model.name}", error))
    for card in cards:
        try:
            done.append((f"data of {card.name}", next(iter(fetch_data(card, settings)), None)))
        except SslBenchError as error:
            done.append((f"data of {card.name}", error))
    return done
