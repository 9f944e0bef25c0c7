"""A network that a repository's own hubconf.py builds: `weights.name` is "ORG/REPO:COMMIT#entry" or "FOLDER#entry".

Building it runs that repository's code, which may do anything that you may do. So nothing is downloaded or imported
unless the card's [arch], or the command line, says `trust = true`. The other keys of [arch] are the entry's arguments.

The network's output, (images, dim), is the feature; from a map (images, dim, height, width) the mean over height and
width is taken. What the repository says of its input is unknown here: it is ImageNet's unless [input] differs.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ssl_bench.backbones.base import (
    Backbone,
    Features,
    LoadContext,
    build_seeded,
    choose_pooling,
    features_of_output,
    freeze,
    frozen_unless_trained,
)
from ssl_bench.errors import MissingError, SslBenchError, UsageError
from ssl_bench.images import InputSpec
from ssl_bench.model_zoo import ModelCard

HUB: Any = torch.hub
"""Its functions bear no types."""


def load(card: ModelCard, context: LoadContext) -> Backbone:
    """Return what the entry makes; raise UsageError unless the card trusts the repository."""
    source, mark, entry = card.weights.name.partition("#")
    if not mark or not entry:
        raise UsageError(
            f"{card.name}: weights.name is {card.weights.name!r}, not ORG/REPO:COMMIT#entry or FOLDER#entry"
        )
    if card.arch.get("trust") is not True:
        raise UsageError(
            f"{card.name}: this runs the code of {source} with your rights. If you trust it, say so: trust = true in "
            "[arch], or ',trust=true' after the name"
        )
    if context.untrained:
        raise UsageError(f"{card.name}: what a repository makes cannot be had untrained; see its entry's arguments")
    arguments = {key: value for key, value in card.arch.items() if key != "trust"}
    try:
        with _offline() if context.offline else contextlib.nullcontext():
            folder = _folder(card, source, context)
            network = build_seeded(lambda: HUB.load(str(folder), entry, source="local", **arguments), context.seed)
    except SslBenchError:
        raise
    except Exception as error:  # the repository's code is foreign
        raise UsageError(f"{card.name}: {card.weights.name} raised {type(error).__name__}: {error}") from error
    if not isinstance(network, nn.Module):
        raise UsageError(f"{card.name}: {card.weights.name} returned a {type(network).__name__}, not a torch module")
    return TorchHubBackbone(card, network, {"entry": entry, "code": code_digest(folder), **arguments})


class TorchHubBackbone(Backbone):
    """A torch module of a repository; its output is the feature."""

    library = f"torch {torch.__version__}"
    poolings = ("output",)

    def __init__(self, card: ModelCard, network: nn.Module, arch: dict[str, Any]) -> None:
        self.network, self._arch = freeze(network), arch
        self.input = card.input.applied_to(InputSpec(size=(224, 224), resize_to=256))
        self.default_pooling = choose_pooling(card, self.poolings, "output")

    @frozen_unless_trained
    def forward(self, images: Tensor, pooling: str) -> Features:
        """Return the module's output; raise UsageError where it is neither vectors nor maps."""
        assert self.network is not None
        return features_of_output(self.network(images), str(self._arch["entry"]))

    def arch(self) -> dict[str, Any]:
        """Return the entry, its arguments and the digest of the repository's code."""
        return {"class": type(self.network).__qualname__, **self._arch}


def code_digest(folder: Path) -> str:
    """Return the sha256 (hex) over the Python files of a repository, so that changed code is another network."""
    total = hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        content = path.read_bytes()
        total.update(f"{path.relative_to(folder).as_posix()}\0{len(content)}\0".encode() + content)
    return total.hexdigest()


def _folder(card: ModelCard, source: str, context: LoadContext) -> Path:
    """Return the repository's folder: the local one, or torch's own copy of what GitHub holds."""
    local = Path(card.folder) / Path(source).expanduser()
    if (local / "hubconf.py").is_file():
        return local
    repository, _, commit = source.partition(":")
    if source.startswith(("/", ".", "~")) or repository.count("/") != 1:
        raise MissingError(f"{card.name}: there is no hubconf.py in the folder {local}")
    if not commit:
        raise UsageError(f"{card.name}: name the commit, as in {repository}:COMMIT#entry; a branch that moves is none")
    kept = Path(torch.hub.get_dir()) / f"{repository}/{commit}".replace("/", "_")
    if not kept.is_dir():
        if context.offline:
            raise MissingError(
                f"{card.name}: {source} is not on this machine (https://github.com/{repository}). "
                f"Get it: ssl-bench fetch --model {card.name}"
            )
        try:  # only `list` downloads a repository without building one of its networks
            HUB.list(source, trust_repo=True, verbose=False)
        except OSError as error:
            raise MissingError(f"{card.name}: cannot fetch {source} from GitHub: {error}") from error
    return kept


@contextlib.contextmanager
def _offline() -> Iterator[None]:
    """Let torch.hub download nothing, so that a repository's entry says in one line which weights it lacks."""

    def refuse(url: str, *_: object, **__: object) -> None:
        raise MissingError(f"{url} is not on this machine and --offline forbids fetching it")

    download = torch.hub.download_url_to_file
    torch.hub.download_url_to_file = refuse  # type: ignore[assignment]
    try:
        yield
    finally:
        torch.hub.download_url_to_file = download
