"""Any model of https://github.com/mlfoundations/open_clip: `weights.name` is "ARCHITECTURE/TAG".

The network is the image tower; the text tower is kept beside it, for `texts`.

Poolings: `proj` is `encode_image` without normalisation, in the space shared with text; `pre_proj` is the same vector
before its last projection, where the tower has one (vision transformers, timm towers).
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any, cast

import open_clip
import torch
from torch import Tensor, nn

from ssl_bench.backbones.base import (
    Backbone,
    Features,
    LoadContext,
    build_seeded,
    choose_pooling,
    digest_tensors,
    freeze,
    frozen_unless_trained,
    missing_weights,
)
from ssl_bench.checkpoints import keys, reading
from ssl_bench.checkpoints.vit import interpolate
from ssl_bench.errors import MissingError, UsageError, did_you_mean
from ssl_bench.images import InputSpec
from ssl_bench.model_zoo import ModelCard

TEXTS = 256
"""Texts that pass the text tower at a time."""
RESIZES = {"shortest": "short", "squash": "squash"}


def load(card: ModelCard, context: LoadContext) -> Backbone:
    """Return the towers with the local weights file, or with what open_clip downloads for the tag."""
    name, tag = _name_and_tag(card)
    arch = {key: value for key, value in card.arch.items() if key != "pretrained"}
    if tag and _wants_quick_gelu(card, name, tag):
        arch["force_quick_gelu"] = True
    if isinstance(card.input.size, int):
        arch.setdefault("force_image_size", card.input.size)
    filled = card.arch.get("pretrained", True) and not context.untrained
    download = filled and context.weights_path is None
    if download and not tag:
        raise UsageError(f"{card.name}: name the weights: {name}/TAG with TAG one of {', '.join(_tags(name))}")
    if download and context.offline:
        raise missing_weights(card, f"open_clip's {tag}")
    model = build_seeded(lambda: _create(card, name, tag if download else None, arch), context.seed)
    if filled and context.weights_path is not None:
        branch = keys.choose_branch(reading.read(context.weights_path), card.name, card.weights.container)
        keys.load_strict(model, keys.strip_prefix(branch, ("module.",)), f"{card.name}: {context.weights_path}")
    return OpenClipBackbone(card, model, {"library": "open_clip", "name": name, **arch})


class OpenClipBackbone(Backbone):
    """The image tower of a model of open_clip."""

    library = f"open_clip {open_clip.__version__}"

    def __init__(self, card: ModelCard, model: Any, arch: Mapping[str, Any]) -> None:
        self._model = freeze(model)
        self.network = model.visual
        self.input = card.input.applied_to(_input_of(open_clip.get_model_preprocess_cfg(model)))
        self._unprojected = _without_projection(self.network)
        self.poolings = ("proj", "pre_proj") if self._unprojected is not None else ("proj",)
        self.default_pooling = choose_pooling(card, self.poolings, "proj")
        self._arch = dict(arch)

    @frozen_unless_trained
    def forward(self, images: Tensor, pooling: str) -> Features:
        """Return the pooled vector, and the patch tokens of a vision transformer after its final norm."""
        visual: Any = self.network
        if isinstance(self._unprojected, open_clip.transformer.VisionTransformer):
            pooled, tokens = _of_any_size(self._unprojected, images)
            if pooling == "proj" and visual.proj is not None:
                pooled = pooled @ visual.proj
            height = images.shape[2] // visual.patch_size[0]
            return Features(pooled, tokens.transpose(1, 2).reshape(len(images), tokens.shape[2], height, -1))
        tower = cast(nn.Module, self._unprojected if pooling == "pre_proj" else visual)
        return Features(tower(images))

    @torch.inference_mode()
    def texts(self, texts: Sequence[str]) -> Tensor:
        """Return the text tower's vectors (texts, dim), of length 1."""
        assert self.network is not None
        device = next(self.network.parameters()).device
        model, tokenizer = cast(Any, self._model.to(device)), _tokenizer(self._arch["name"])
        blocks = [tokenizer(list(texts[start : start + TEXTS])) for start in range(0, len(texts), TEXTS)]
        return torch.cat([model.encode_text(block.to(device), normalize=True) for block in blocks])

    def arch(self) -> dict[str, Any]:
        """Return open_clip's architecture name, the activation and the arguments given to it."""
        assert self.network is not None
        return {"class": type(self.network).__qualname__, **self._arch}

    def weights_digest(self) -> str:
        """Return the digest over both towers: two models may share the one of images and not that of texts."""
        return digest_tensors(self._model.state_dict())


def _tokenizer(name: str) -> Any:
    """Return what turns texts into tokens; raise MissingError where it is another library's and not on this machine."""
    try:
        return open_clip.get_tokenizer(name)
    except (ImportError, OSError, ValueError) as error:
        why = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise MissingError(f"the tokenizer of open_clip's {name} is not on this machine: {why}") from error


def _name_and_tag(card: ModelCard) -> tuple[str, str]:
    name, _, tag = card.weights.name.partition("/")
    if open_clip.get_model_config(name) is None:
        near = did_you_mean(name, open_clip.list_models())
        raise UsageError(f"{card.name}: open_clip {open_clip.__version__} knows no architecture {name!r}.{near}")
    known = _tags(name) + _tags(name.removesuffix("-quickgelu"))
    if tag and tag not in known:
        raise UsageError(
            f"{card.name}: open_clip knows no weights {tag!r} for {name}.{did_you_mean(tag, known)} "
            f"Known: {', '.join(_tags(name)) or 'none'}"
        )
    return name, tag


def _tags(name: str) -> list[str]:
    return list(open_clip.list_pretrained_tags_by_model(name))


def _wants_quick_gelu(card: ModelCard, name: str, tag: str) -> bool:
    """True where the weights were trained with QuickGELU, an activation that no tensor shows.

    Raises UsageError for an architecture with QuickGELU and weights without it.
    """
    plain = name.removesuffix("-quickgelu")
    settings = open_clip.get_pretrained_cfg(name, tag) or open_clip.get_pretrained_cfg(plain, tag)
    trained = bool(settings.get("quick_gelu", False))
    built = bool((open_clip.get_model_config(name) or {}).get("quick_gelu", False))
    if built and not trained:
        raise UsageError(
            f"{card.name}: the weights {tag} were trained with GELU, but {name} has QuickGELU; use {plain}/{tag}"
        )
    return trained and not built


def _create(card: ModelCard, name: str, tag: str | None, arch: Mapping[str, Any]) -> nn.Module:
    try:
        device = torch.get_default_device()  # open_clip itself would take the CPU, also where another is asked for
        return cast(nn.Module, open_clip.create_model(name, pretrained=tag, device=device, **arch))
    except (OSError, RuntimeError, ValueError) as error:
        if tag is None:
            raise UsageError(f"{card.name}: open_clip cannot build {name} with {dict(arch)}: {error}") from error
        why = f"{type(error).__name__}: {str(error).splitlines()[0]}"
        raise missing_weights(card, f"open_clip's {tag}", why) from error


def _input_of(settings: Mapping[str, Any]) -> InputSpec:
    """Return open_clip's evaluation transform."""
    size = settings["size"]
    height, width = (size, size) if isinstance(size, int) else size
    resize = RESIZES.get(settings["resize_mode"])
    if resize is None:
        raise UsageError(f"open_clip's resize mode {settings['resize_mode']!r} is not offered; set input.resize")
    return InputSpec(
        size=(height, width),
        resize=cast(Any, resize),
        interpolation=settings["interpolation"],
        mean=tuple(settings["mean"]),
        std=tuple(settings["std"]),
    )


def _of_any_size(tower: Any, images: Tensor) -> tuple[Tensor, Tensor]:
    """Return what a vision transformer says of images; its positions are interpolated for another grid than its own,
    bicubically, as open_clip does with those of a file (`resize_pos_embed`)."""
    grid = tuple(side // patch for side, patch in zip(images.shape[2:], tower.patch_size, strict=True))
    if grid == tuple(tower.grid_size):
        found: tuple[Tensor, Tensor] = tower(images)
        return found
    stored = tower.positional_embedding
    places = interpolate(stored[None, 1:], tower.grid_size, cast("tuple[int, int]", grid), "antialiased")[0]
    changed = {"positional_embedding": torch.cat([stored[:1], places])}
    found = torch.func.functional_call(tower, changed, (images,))
    return found


def _without_projection(visual: Any) -> nn.Module | None:
    """Return a view of the tower that stops before its last projection; None where it has none of its own."""
    if isinstance(visual, open_clip.transformer.VisionTransformer):
        bare = copy.copy(visual)
        bare._parameters = {**visual._parameters, "proj": None}
        bare.output_tokens = True
        return cast(nn.Module, bare)
    return cast("nn.Module | None", getattr(visual, "trunk", None))
