"""The plain vision transformer that many families share: what its shapes show, how it is built, and what is pooled.

Shapes show neither the number of heads, nor the epsilon of the norms, nor how position embeddings are brought to
another size: a family says these in its `build`.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from typing import Any, Literal, get_args

import torch
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn
from torch.nn import functional

from ssl_bench.errors import UsageError

Positions = Literal["scaled", "resized", "antialiased", "bilinear"]
"""How stored position embeddings reach another grid, bicubically: `scaled` by the factor (grid + 0.1) / stored, as
DINO's code; `resized` to the grid, as MSN's; `antialiased`, to the grid too, as timm's; `bilinear`, antialiased but
bilinear, as TIPS'. They agree at the stored size alone."""

INPUT: Mapping[str, Any] = {"size": (224, 224), "resize": "short", "resize_to": 256}
POOLINGS = ("cls", "patch_mean", "cls+patch_mean")
LAYER_POOLINGS = ("cls_last4", "cls_last4+patch_mean")
"""Poolings over several blocks, each after the final norm: cls of the last four side by side, as DINO's linear
classifier of ViT-S and DINOv2's of four layers take it, and the mean over patches of the last behind them."""
HEADS = {1280: 16, 1408: 16}
"""Heads of the widths whose heads are not 64 wide: ViT-H and ViT-g."""


def shown_by(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """Return width, depth, patch side, hidden width of the blocks, and the image size that the positions are for."""
    width, _, _, patch = state["patch_embed.proj.weight"].shape
    patches = state["pos_embed"].shape[1] - int("cls_token" in state)
    return {
        "width": width,
        "depth": depth_of(state),
        "patch": patch,
        "hidden": state["blocks.0.mlp.fc1.weight"].shape[0],
        "size": math.isqrt(patches) * patch,
    }


def shown_with_12_heads(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """Return the same and the heads, of families that have 12 in their small and base networks and 16 in the large."""
    shown = shown_by(state)
    return {**shown, "heads": max(12, shown["width"] // 64)}


def depth_of(state: Mapping[str, Tensor], blocks: str = "blocks.") -> int:
    """Return how many blocks there are: one more than the highest number behind `blocks`."""
    numbers = {int(key.removeprefix(blocks).split(".")[0]) for key in state if key.startswith(blocks)}
    return max(numbers, default=-1) + 1


def build(
    width: int = 384,
    depth: int = 12,
    patch: int = 16,
    hidden: int = 0,
    size: int = 224,
    *,
    heads: int = 0,
    eps: float = 1e-6,
    positions: Positions = "antialiased",
    **more: Any,
) -> ViT:
    """Return the untrained network; 0 stands for the usual: `hidden` 4 width, `heads` of 64 dimensions each."""
    return ViT(**arguments(width, depth, patch, hidden, size, heads=heads, eps=eps, positions=positions, **more))


def arguments(
    width: int = 384,
    depth: int = 12,
    patch: int = 16,
    hidden: int = 0,
    size: int = 224,
    *,
    heads: int = 0,
    eps: float = 1e-6,
    **more: Any,
) -> dict[str, Any]:
    """Return the arguments of a network of this kind, by timm's names."""
    return {
        "img_size": size,
        "patch_size": patch,
        "embed_dim": width,
        "depth": depth,
        "num_heads": heads or HEADS.get(width, max(1, width // 64)),
        "mlp_ratio": ((hidden or 4 * width) + 0.5) / width,  # timm rounds the product down
        "norm_layer": functools.partial(nn.LayerNorm, eps=eps),
        **more,
    }


def features(network: nn.Module, images: Tensor) -> dict[str, Tensor]:
    """Return cls, mean over patches, both side by side, and the map of patches, all after the final norm."""
    assert isinstance(network, ViT)
    return pooled(network.forward_features(images), network.num_prefix_tokens, images.shape[2] // network.patch)


def check_size(images: Tensor, size: tuple[int, int]) -> None:
    """Raise UsageError unless images are of the one size that the network's positions are for."""
    if tuple(images.shape[2:]) != tuple(size):
        raise UsageError(
            f"this network takes images of {size[0]}x{size[1]} pixels, which its positions are for, not "
            f"{images.shape[2]}x{images.shape[3]}: set input.size = {size[0]}"
        )


def pooled(tokens: Tensor, prefix: int, height: int) -> dict[str, Tensor]:
    """Return poolings and map of tokens (images, prefix + patches, dim): the first is cls, other prefixes are unused.

    Without a prefix there is the mean over patches alone.
    """
    patches = tokens[:, prefix:]
    mean = patches.mean(1)
    found = {"patch_mean": mean, "dense": patches.transpose(1, 2).reshape(len(tokens), tokens.shape[2], height, -1)}
    if prefix:
        found |= {"cls": tokens[:, 0], "cls+patch_mean": torch.cat([tokens[:, 0], mean], dim=1)}
    return found


def layer_poolings(network: nn.Module) -> tuple[str, ...]:
    """Return the poolings over several blocks that a network of timm's offers: those with cls and four blocks do."""
    has_cls = getattr(network, "cls_token", None) is not None
    blocks = getattr(network, "blocks", ())
    return LAYER_POOLINGS if has_cls and len(blocks) >= 4 and hasattr(network, "forward_intermediates") else ()


def of_layers(network: Any, images: Tensor) -> dict[str, Tensor]:
    """Return LAYER_POOLINGS, and POOLINGS and the map of patches of the last block, from one pass.

    Sources: `eval_linear.py` of https://github.com/facebookresearch/dino (`n_last_blocks`, `avgpool_patchtokens`) and
    `dinov2/eval/linear.py` of https://github.com/facebookresearch/dinov2 (`create_linear_input`).
    """
    found = network.forward_intermediates(
        images, indices=4, return_prefix_tokens=True, norm=True, intermediates_only=True
    )
    dense, mean = found[-1][0], found[-1][0].mean((2, 3))
    tokens = [prefix[:, 0] for _, prefix in found]
    return {
        "cls": tokens[-1],
        "patch_mean": mean,
        "cls+patch_mean": torch.cat([tokens[-1], mean], dim=1),
        "cls_last4": torch.cat(tokens, dim=1),
        "cls_last4+patch_mean": torch.cat([*tokens, mean], dim=1),
        "dense": dense,
    }


class ViT(VisionTransformer):  # type: ignore[misc]  # timm has no types
    """timm's network without classifier, with a choice of how positions are interpolated, and registers behind cls.

    Registers have no positions of their own; where there is a cls token, the first stored position is its.
    """

    def __init__(self, positions: Positions = "antialiased", *, registers: int = 0, **arguments: Any) -> None:
        has_cls = arguments.get("class_token", True)
        super().__init__(
            num_classes=0,
            global_pool="token" if has_cls else "avg",
            fc_norm=False,
            dynamic_img_size=True,
            **arguments,
        )
        if positions not in get_args(Positions):
            raise ValueError(f"positions are one of {', '.join(get_args(Positions))}, not {positions!r}")
        self.positions, self.patch = positions, int(arguments["patch_size"])
        if registers:
            self.reg_token = nn.Parameter(torch.zeros(1, registers, self.embed_dim))
            self.num_prefix_tokens += registers

    def _pos_embed(self, x: Tensor) -> Tensor:
        """Add positions to patches (images, height, width, dim), and put cls and registers before them."""
        assert self.pos_embed is not None
        own = self.pos_embed.shape[1] - self.patch_embed.num_patches
        grid = interpolate(
            self.pos_embed[:, own:], self.patch_embed.grid_size, (x.shape[1], x.shape[2]), self.positions
        )
        tokens = [x.flatten(1, 2) + grid]
        if self.reg_token is not None:
            tokens.insert(0, self.reg_token.expand(len(x), -1, -1))
        if self.cls_token is not None:
            tokens.insert(0, (self.cls_token + self.pos_embed[:, :own]).expand(len(x), -1, -1))
        return torch.cat(tokens, dim=1)


def interpolate(stored: Tensor, old: tuple[int, int], new: tuple[int, int], rule: Positions) -> Tensor:
    """Return positions (1, old patches, dim) as (1, new patches, dim); at the stored grid they are left alone."""
    if new == old:
        return stored
    grid = stored.reshape(1, *old, -1).permute(0, 3, 1, 2)
    if rule == "scaled":
        factors = ((new[0] + 0.1) / old[0], (new[1] + 0.1) / old[1])
        grid = functional.interpolate(grid, scale_factor=factors, mode="bicubic")
    else:
        mode, antialias = ("bilinear" if rule == "bilinear" else "bicubic"), rule != "resized"
        grid = functional.interpolate(grid, size=new, mode=mode, antialias=antialias)
    return grid.flatten(2).transpose(1, 2)
