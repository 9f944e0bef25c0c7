"""Images of other sizes than a network was built for, where its code can take them but was told not to.

At the network's own size nothing changes: positions are interpolated to another grid alone, as the library itself does
where it is asked to when the network is built.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from torch import nn

from ssl_bench.backbones.base import Backbone


@contextlib.contextmanager
def any_size(backbone: Backbone) -> Iterator[None]:
    """Let a backbone's network take images of any size for the block, where its library has a way."""
    changed = [] if backbone.network is None else list(_changes(backbone.network))
    before = [(module, name, getattr(module, name)) for module, name, _ in changed]
    for module, name, value in changed:
        setattr(module, name, value)
    try:
        yield
    finally:
        for module, name, value in before:
            setattr(module, name, value)


def _changes(network: nn.Module) -> Iterator[tuple[nn.Module, str, Any]]:
    """Give modules, and the values that their attributes must have."""
    for module in network.modules():
        embed: Any = getattr(module, "patch_embed", None)
        if hasattr(module, "dynamic_img_size") and hasattr(module, "_pos_embed"):  # timm's ViT and EVA
            if not module.dynamic_img_size and hasattr(embed, "output_fmt") and not hasattr(embed, "backbone"):
                yield module, "dynamic_img_size", True
                yield from ((embed, "flatten", False), (embed, "output_fmt", type(embed.output_fmt)("NHWC")))
                yield embed, "strict_img_size", False
        elif hasattr(module, "dynamic_mask"):  # a block of timm's Swin
            yield module, "dynamic_mask", True
        elif getattr(module, "strict_img_size", False) and any(
            hasattr(part, "dynamic_mask") for part in network.modules()
        ):
            yield module, "strict_img_size", False
