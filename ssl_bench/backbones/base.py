"""What every backbone offers: images in, features out, and the network itself for fine-tuning."""

from __future__ import annotations

import abc
import copy
import dataclasses
import functools
import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from ssl_bench import model_zoo
from ssl_bench.errors import MissingError, UsageError, did_you_mean
from ssl_bench.files import digest_file
from ssl_bench.images import InputSpec
from ssl_bench.model_zoo import ModelCard

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor, nn

Method = TypeVar("Method", bound=Callable[..., Any])


@dataclasses.dataclass(frozen=True)
class Features:
    """What a backbone says of a batch of images."""

    pooled: Tensor  # (images, dim)
    dense: Tensor | None = None  # (images, dim, height, width): patch grid or feature map, without cls and registers


@dataclasses.dataclass(frozen=True)
class LoadContext:
    """What an adapter may know besides the card."""

    weights_path: Path | None = None
    """The local weights file that `model_zoo.weights_state` found."""
    offline: bool = False
    """True: never open a network connection; raise MissingError instead."""
    seed: int = 0
    """Seed of untrained networks."""
    untrained: bool = False
    """True: leave the network as its constructor and `seed` make it, for a control."""
    load_card: Callable[[str], ModelCard] = model_zoo.get
    """The card that a control names; given where there are other shelves than the built-in ones."""
    load_untrained: Callable[[ModelCard], Backbone] | None = None
    """Makes another card's network without its weights, with the same seed; `backbones.load` sets it."""


class Backbone(abc.ABC):
    """A frozen network with named poolings. An adapter module holds `load(card, context) -> Backbone`."""

    input: InputSpec
    """The resolved input: what the adapter's library says, with the card's values in place."""
    poolings: tuple[str, ...]
    """Names that `forward` takes: cls, patch_mean, cls+patch_mean, gap, proj, map, pixels …"""
    default_pooling: str
    """The documented global feature of this model."""
    network: nn.Module | None = None
    """The torch module in eval mode; None for a control without one."""
    informative: bool = True
    """False where the features say nothing of the image: every protocol then answers with the prior of train."""
    recalls: bool = False
    """True where features are known by the images' digests: `recall` is then asked, and no image is decoded."""
    library: str = ""
    """Library and version that built the network, such as "timm 1.0.31"."""

    @abc.abstractmethod
    def forward(self, images: Tensor, pooling: str) -> Features:
        """Return features of normalised images (images, channels, height, width).

        They have gradients where parameters of the network do, which those of a loaded backbone never have.
        """

    def forward_all(self, images: Tensor, poolings: Sequence[str]) -> dict[str, Tensor]:
        """Return several poolings (images, dim) of the same images; adapters that can do it pass them once."""
        return {pooling: self.forward(images, pooling).pooled for pooling in poolings}

    def texts(self, texts: Sequence[str]) -> Tensor:
        """Return what the text tower says of each text (texts, dim), in the space of the pooling `proj`.

        Raises UsageError for a model without one.
        """
        raise UsageError("this model has no text tower; zero-shot classification needs one, such as open_clip's models")

    def recall(self, digests: NDArray[np.uint8]) -> Features:
        """Return the features of the images with these digests (images, 32), for a backbone that `recalls`."""
        raise NotImplementedError(f"{type(self).__name__} computes features from images")

    def resolve_pooling(self, requested: str) -> str:
        """Return the pooling for a requested name; "default" is the model's documented feature.

        Raises UsageError naming what this model offers.
        """
        if requested == "default":
            return self.default_pooling
        if requested not in self.poolings:
            raise UsageError(
                f"this model has no pooling {requested!r}.{did_you_mean(requested, self.poolings)} "
                f"It offers: {', '.join(self.poolings)}"
            )
        return requested

    def layers(self, images: Tensor, indices: Sequence[int]) -> list[Features]:
        """Return what the layers with these numbers say of normalised images, without gradients; see `layers.of`."""
        import torch

        from ssl_bench.backbones import layers

        with torch.inference_mode():
            return layers.of(self._own_network(), images, indices)

    def layer_groups(self, *, for_decay: bool = False) -> list[list[nn.Parameter]]:
        """Return the network's parameters from stem to head, a group for each layer; see `layers.groups`.

        `for_decay` gives the layers that fine-tuning tells apart; see `layers.decay_groups`.
        """
        from ssl_bench.backbones import layers

        return (layers.decay_groups if for_decay else layers.groups)(self._own_network())

    def _own_network(self) -> nn.Module:
        if self.network is None:
            raise UsageError(f"{type(self).__name__} has no network whose layers it could hand out")
        return self.network

    def __deepcopy__(self, memo: dict[int, Any]) -> Backbone:
        """Return a backbone with networks of its own, which may be trained; all else is shared with this one."""
        import torch

        twin = copy.copy(self)
        for name, value in vars(self).items():
            if isinstance(value, torch.nn.Module | Backbone):
                setattr(twin, name, copy.deepcopy(value, memo))
        return twin

    def arch(self) -> dict[str, Any]:
        """Return plain values that name the architecture beyond the tensors' names and shapes, for the digest."""
        return {"class": type(self.network).__qualname__ if self.network is not None else type(self).__qualname__}

    def weights_digest(self) -> str:
        """Return the sha256 (hex) over the sorted (name, dtype, shape, bytes) of all tensors of the network."""
        return digest_tensors(self.network.state_dict() if self.network is not None else {})

    def parameter_count(self) -> int:
        """Return the number of parameters of the network."""
        return sum(p.numel() for p in self.network.parameters()) if self.network is not None else 0


def digest_tensors(state: dict[str, Tensor]) -> str:
    """Return the sha256 (hex) over (name, dtype, shape, bytes) of the tensors, sorted by name."""
    import torch

    total = hashlib.sha256()
    for name in sorted(state):
        tensor = state[name].detach().cpu().contiguous()
        total.update(f"{name}\0{tensor.dtype}\0{tuple(tensor.shape)}\0".encode())
        total.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return total.hexdigest()


def choose_pooling(card: ModelCard, poolings: tuple[str, ...], default: str) -> str:
    """Return the card's pooling, or `default` where it names none; raise UsageError if the network lacks it."""
    if card.pooled and card.pooled not in poolings:
        raise UsageError(
            f"{card.name}: pooled = {card.pooled!r} is not offered by this network."
            f"{did_you_mean(card.pooled, poolings)} It offers: {', '.join(poolings)}"
        )
    return card.pooled or default


def features_of_output(output: Any, named: str) -> Features:
    """Return what a network of any kind gave, (images, dim) or a map that is averaged, as features.

    Raises UsageError, naming the network, where it is neither vectors nor maps.
    """
    import torch

    if isinstance(output, torch.Tensor) and output.ndim == 4:
        return Features(output.mean((2, 3)), output)
    if isinstance(output, torch.Tensor) and output.ndim == 2:
        return Features(output)
    shape = tuple(output.shape) if isinstance(output, torch.Tensor) else type(output).__name__
    raise UsageError(f"{named} returned {shape}; it must return (images, dim) or (images, dim, height, width)")


def frozen_unless_trained(forward: Method) -> Method:
    """Let a method of a backbone run without gradients unless a parameter of its network has them."""

    @functools.wraps(forward)
    def run(self: Backbone, *arguments: Any, **named: Any) -> Any:
        import torch

        asked = torch.is_grad_enabled() and self.network is not None
        if asked and any(parameter.requires_grad for parameter in self.network.parameters()):  # type: ignore[union-attr]
            return forward(self, *arguments, **named)
        with torch.inference_mode():
            return forward(self, *arguments, **named)

    return run  # type: ignore[return-value]


def freeze(network: nn.Module) -> nn.Module:
    """Return the network in eval mode, its parameters without gradients."""
    return network.eval().requires_grad_(False)


def build_seeded(build: Callable[[], nn.Module], seed: int) -> nn.Module:
    """Return what `build` makes with torch's generator at `seed`; the caller's generator is left as it was."""
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build()


def check_digest(card: ModelCard, path: Path) -> None:
    """Raise UsageError naming both digests unless the weights file is the one that the card pins, if it pins one."""
    if card.weights.sha256 and (found := digest_file(path)) != card.weights.sha256:
        raise UsageError(
            f"{card.name}: {path} is not the file that the card pins: its sha256 is {found}, "
            f"weights.sha256 is {card.weights.sha256}. Fetch the file again, or give a changed model its own card"
        )


def missing_weights(card: ModelCard, source: str, why: str = "") -> MissingError:
    """Return the error for weights that are not here, with their source, their size and the command that gets them."""
    size = f", {card.weights.bytes / 1e6:.0f} MB" if card.weights.bytes else ""
    return MissingError(
        f"{card.name}: the weights {card.weights.name or card.weights.file} are not on this machine "
        f"({source}{size}){f': {why}' if why else ''}. Get them: ssl-bench fetch --model {card.name}"
    )
