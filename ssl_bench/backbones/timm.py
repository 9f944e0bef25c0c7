"""Any network of https://github.com/huggingface/pytorch-image-models: `weights.name` is timm's "architecture.tag".

Poolings, with the final norm where timm has it:

- token networks (ViT, DeiT, DINO, BEiT, EVA, SigLIP …): `cls`, `patch_mean` (cls and registers excluded),
  `cls+patch_mean`, `map` (attention pooling), and over the last four blocks `cls_last4`, `cls_last4+patch_mean`;
- all others (ResNet, ConvNeXt, Swin, Hiera …): `gap`.

- `proj`, where the card keeps the last linear layer ([arch] num_classes = its outputs): what that layer makes of the
  default, such as CLIP's projection.

The default is what `timm.create_model(name, num_classes=0)(images)` returns. Where that is none of the above, as for
distilled DeiT (mean of cls and distillation token), it is called `head`.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import timm
import torch
from timm.layers import Format, PatchEmbed
from torch import Tensor, nn

from ssl_bench.backbones.base import (
    Backbone,
    Features,
    LoadContext,
    build_seeded,
    check_digest,
    choose_pooling,
    freeze,
    frozen_unless_trained,
    missing_weights,
)
from ssl_bench.checkpoints import keys, reading, vit
from ssl_bench.errors import UsageError, did_you_mean
from ssl_bench.images import InputSpec, Resize
from ssl_bench.model_zoo import ModelCard

RESIZES: Mapping[str, Resize] = {"center": "short", "squash": "squash"}
"""timm's crop mode, and ours."""
TOKEN_POOLINGS = {"token": "cls", "avg": "patch_mean", "map": "map"}
"""timm's name of a token network's own pooling, and ours."""


def load(card: ModelCard, context: LoadContext) -> Backbone:
    """Return the network with the local weights file, or with what timm's hub repository holds."""
    settings = pretrained_settings(card)
    spec = card.input.applied_to(input_of(card, settings))
    arch = {key: value for key, value in card.arch.items() if key != "pretrained"}
    path = _weights(card, context, settings) if card.arch.get("pretrained", True) and not context.untrained else None
    state = _state(card, path) if path is not None else {}
    if "norm.weight" in state and "fc_norm.weight" not in state and _moves_norm(card, arch):
        arch["global_pool"] = "token"  # timm's mean pooling would replace the pretrained final norm by an untrained one
    network = build_seeded(lambda: build(card, arch, spec, settings), context.seed)
    if path is not None:
        _fill(network, state, f"{card.name}: {path}")
    return TimmBackbone(card, network, spec, arch)


class TimmBackbone(Backbone):
    """A network of timm, without its classifier unless the card keeps it."""

    library = f"timm {timm.__version__}"

    def __init__(self, card: ModelCard, network: nn.Module, spec: InputSpec, arch: Mapping[str, Any]) -> None:
        self.network, self.input = freeze(network), spec
        take_any_size(network)
        self.poolings, default = poolings_of(network)
        self.default_pooling = choose_pooling(card, self.poolings, default)
        self._arch = {"library": "timm", "name": card.weights.name.partition(".")[0], **arch}

    @frozen_unless_trained
    def forward(self, images: Tensor, pooling: str) -> Features:
        """Return timm's own final features, pooled, and the map of patches or pixels of the last stage."""
        network: Any = self.network
        if pooling in vit.LAYER_POOLINGS:
            several = vit.of_layers(network, images)
            return Features(several[pooling], several["dense"])
        found = network.forward_features(images)
        return Features(pool(network, found, pooling), dense_map(network, found, images))

    @frozen_unless_trained
    def forward_all(self, images: Tensor, poolings: Sequence[str]) -> dict[str, Tensor]:
        """Return several poolings from one pass."""
        if set(poolings) & set(vit.LAYER_POOLINGS) and set(poolings) <= {*vit.POOLINGS, *vit.LAYER_POOLINGS}:
            several = vit.of_layers(self.network, images)
            return {pooling: several[pooling] for pooling in poolings}
        if set(poolings) & set(vit.LAYER_POOLINGS):
            return super().forward_all(images, poolings)
        network: Any = self.network
        found = network.forward_features(images)
        return {pooling: pool(network, found, pooling) for pooling in poolings}

    def arch(self) -> dict[str, Any]:
        """Return timm's architecture name and the arguments given to it."""
        return {"class": type(self.network).__qualname__, **self._arch}


def pretrained_settings(card: ModelCard) -> Any:
    """Return timm's settings of the weights; raise UsageError for a name or tag that timm does not know."""
    name = card.weights.name
    base, _, tag = name.partition(".")
    if not timm.models.is_model(base):
        raise UsageError(
            f"{card.name}: timm {timm.__version__} knows no network {base!r}.{did_you_mean(base, timm.list_models())}"
        )
    settings = timm.models.get_pretrained_cfg(name) if not tag or timm.models.is_model_pretrained(name) else None
    if settings is None:
        tags = [known.partition(".")[2] for known in timm.list_pretrained(f"{base}.*")]
        raise UsageError(
            f"{card.name}: timm {timm.__version__} knows no weights {tag!r} for {base}.{did_you_mean(tag, tags)} "
            f"Known: {', '.join(tags) or 'none'}"
        )
    return settings


def input_of(card: ModelCard, settings: Any) -> InputSpec:
    """Return timm's evaluation transform: scale to floor(size / crop_pct), crop the centre, or squash.

    Source: `timm.data.transforms_factory.transforms_imagenet_eval`.
    """
    wanted = card.input.size or card.arch.get("img_size") or settings.input_size[1:]
    height, width = (wanted, wanted) if isinstance(wanted, int) else wanted
    mode = card.input.resize or RESIZES.get(settings.crop_mode)
    if mode is None:
        raise UsageError(
            f"{card.name}: timm's crop mode {settings.crop_mode!r} is not offered; set input.resize to short or squash"
        )
    return InputSpec(
        size=(height, width),
        resize=mode,
        resize_to=math.floor(min(height, width) / settings.crop_pct) if mode == "short" else 0,
        interpolation=settings.interpolation if settings.interpolation in ("bilinear", "nearest") else "bicubic",
        mean=tuple(settings.mean),
        std=tuple(settings.std),
    )


def build(card: ModelCard, arch: Mapping[str, Any], spec: InputSpec, settings: Any) -> nn.Module:
    """Return the untrained network, without classifier unless `arch` says otherwise, built for the size of `spec`."""
    given = {"num_classes": 0, **arch}
    if settings.fixed_input_size and spec.size != tuple(settings.input_size[1:]):
        given.setdefault("img_size", spec.size)
    try:
        network: nn.Module = timm.create_model(card.weights.name, pretrained=False, **given)
    except (TypeError, ValueError, AssertionError, RuntimeError) as error:
        raise UsageError(
            f"{card.name}: timm cannot build {card.weights.name} with {dict(arch) or 'its defaults'}: {error}"
        ) from error
    return network


def take_any_size(network: Any) -> None:
    """Let a ViT, an EVA without rotary positions or a Swin take images of other sizes than it was built for, as the
    arguments `dynamic_img_size` and `strict_img_size` of its constructor do; at its own size nothing changes."""
    embed: Any = getattr(network, "patch_embed", None)
    if not getattr(embed, "strict_img_size", False):
        return
    blocks = [module for module in network.modules() if hasattr(module, "dynamic_mask")]
    for block in blocks:
        block.dynamic_mask = True
    plain = hasattr(network, "dynamic_img_size") and hasattr(network, "_pos_embed") and type(embed) is PatchEmbed
    if plain and getattr(network, "rope", None) is None:
        network.dynamic_img_size, embed.flatten, embed.output_fmt = True, False, Format.NHWC
    if blocks or getattr(network, "dynamic_img_size", False):
        embed.strict_img_size = False


def is_token_network(network: nn.Module) -> bool:
    """True for networks whose `forward_features` returns (images, prefix tokens + patches, dim)."""
    return isinstance(getattr(network, "num_prefix_tokens", None), int) and hasattr(network, "fc_norm")


def poolings_of(network: Any) -> tuple[tuple[str, ...], str]:
    """Return the poolings that the network offers, and the one that timm itself uses."""
    kept = ("proj",) if network.num_classes > 0 else ()
    if not is_token_network(network):
        return ("gap", *kept), "gap"
    has_cls = getattr(network, "cls_token", None) is not None
    offered = ["cls", "patch_mean", "cls+patch_mean"] if has_cls else ["patch_mean"]
    default = TOKEN_POOLINGS.get(str(network.global_pool), "head")
    if hasattr(network, "head_dist") or (getattr(network, "pool_include_prefix", False) and default != "map"):
        default = "head"
    if default not in offered:
        offered.append(default)
    several = () if has_tail(network) else vit.layer_poolings(network)
    return (*offered, *several, *kept), default


def has_tail(network: Any) -> bool:
    """True where the final norm stands behind the pooling, so that blocks have no norm of their own."""
    return not isinstance(network.fc_norm, nn.Identity)


def pool(network: Any, found: Tensor, pooling: str) -> Tensor:
    """Return (images, dim) from what `forward_features` returned.

    Where timm keeps the final norm behind the pooling (`fc_norm`), it follows each mean and the cls token here too.
    """
    if pooling in ("gap", "map", "head", "proj"):
        pooled: Tensor = network.forward_head(found, pre_logits=pooling != "proj")
        return pooled
    parts = {"cls": found[:, 0], "patch_mean": found[:, network.num_prefix_tokens :].mean(1)}
    return torch.cat([network.fc_norm(parts[name]) for name in pooling.split("+")], dim=1)


def dense_map(network: Any, found: Tensor, images: Tensor) -> Tensor | None:
    """Return (images, dim, height, width) from what `forward_features` returned; None where it is no grid."""
    if found.ndim == 4:
        return found.permute(0, 3, 1, 2) if getattr(network, "output_fmt", "NCHW") == "NHWC" else found
    if hasattr(network, "reroll"):  # Hiera keeps its tokens in mask-unit order
        grid: Tensor = network.reroll(found, len(network.blocks) - 1)
        return grid.permute(0, 3, 1, 2)
    if not is_token_network(network):
        return None
    height, width = (
        side // patch for side, patch in zip(images.shape[2:], network.patch_embed.patch_size, strict=True)
    )
    patches = found[:, network.num_prefix_tokens :]
    if patches.shape[1] != height * width:
        return None
    return patches.transpose(1, 2).reshape(len(found), -1, height, width)


def _weights(card: ModelCard, context: LoadContext, settings: Any) -> Path:
    """Return the weights file: the local one, else what the hub repository holds."""
    if context.weights_path is not None:
        return context.weights_path
    hub, file = card.weights.hub or settings.hf_hub_id, card.weights.file or settings.hf_hub_filename
    if not hub:
        raise UsageError(
            f"{card.name}: timm offers no weights for {card.weights.name}. Name a file (weights.file), or ask for the "
            "untrained network: pretrained = false in [arch]"
        )
    source = f"https://huggingface.co/{hub}"
    if context.offline:
        raise missing_weights(card, source)
    from huggingface_hub import hf_hub_download

    try:
        path = Path(hf_hub_download(hub, file or "model.safetensors"))
    except Exception as error:  # the hub client's errors have no common base besides this
        raise missing_weights(card, source, f"{type(error).__name__}: {str(error).splitlines()[0]}") from error
    check_digest(card, path)
    return path


def _state(card: ModelCard, path: Path) -> dict[str, Tensor]:
    """Return the backbone's tensors as the file names them."""
    branch = keys.choose_branch(reading.read(path), f"{card.name}: {path}", card.weights.container)
    return keys.drop(keys.strip_prefix(branch, [card.weights.prefix] if card.weights.prefix else []), card.weights.drop)


def _moves_norm(card: ModelCard, arch: Mapping[str, Any]) -> bool:
    """True where the network that the card describes has `fc_norm` in the place of `norm`."""
    with torch.device("meta"):
        network = timm.create_model(card.weights.name, pretrained=False, **{"num_classes": 0, **arch})
    names = {name for name, _ in network.named_parameters()}
    return "global_pool" not in arch and "fc_norm.weight" in names and "norm.weight" not in names


def _fill(network: Any, state: Mapping[str, Tensor], where: str) -> None:
    """Rename the tensors as timm itself does for this network, drop the classifier that it lacks, and load strictly."""
    module = sys.modules[type(network).__module__]
    rename = getattr(module, "checkpoint_filter_fn", getattr(module, "_filter_fn", None))
    if rename is not None:
        state = rename(dict(state), network)
    classifiers = () if network.num_classes > 0 else network.pretrained_cfg.get("classifier") or ()
    names = (classifiers,) if isinstance(classifiers, str) else tuple(classifiers)
    keys.load_strict(network, keys.drop(state, [f"{name}." for name in names]), where)
