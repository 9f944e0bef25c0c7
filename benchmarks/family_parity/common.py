"""What the cases share: the shape of a case, and noise for the authors' networks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

Found = dict[str, Tensor]
Case = tuple[nn.Module, dict[str, Any], Callable[[Any, Tensor], Found], int]
"""The authors' network, the file's content, what it says of images, and the size of the images."""
Cases = list[tuple[str, str, str, Callable[[], Case]]]
"""Family, clone (and the folder in it that is imported from), what is compared, and what makes the case."""


def noise(network: nn.Module) -> nn.Module:
    """Fill everything with noise, so that nothing is zero or one and attention is not flat."""
    generator = torch.Generator().manual_seed(0)
    for name, tensor in network.state_dict().items():
        if name.endswith("running_var"):
            tensor.uniform_(0.5, 1.5, generator=generator)
        elif tensor.is_floating_point() and not name.endswith(("bias_mask", "periods", "attn_mask")):
            is_layer = tensor.ndim > 1 and name.endswith("weight")
            tensor.normal_(0.0, 1.5 / tensor[0].numel() ** 0.5 if is_layer else 0.3, generator=generator)
            if tensor.ndim == 1 and name.endswith(("weight", "gamma", "gamma_1", "gamma_2")):
                tensor += 1.0
    return network.eval()


def grid(tokens: Tensor) -> Tensor:
    """Return tokens (images, patches, dim) as a map (images, dim, side, side)."""
    side = int(tokens.shape[1] ** 0.5)
    return tokens.transpose(1, 2).reshape(len(tokens), -1, side, side)


def cls_and_patches(tokens: Tensor) -> Found:
    return {"cls": tokens[:, 0], "patch_mean": tokens[:, 1:].mean(1), "dense": grid(tokens[:, 1:])}


def mapped(dense: Tensor) -> Found:
    return {"gap": dense.mean((2, 3)), "dense": dense}


def under(prefix: str, state: Found) -> Found:
    return {f"{prefix}{key}": tensor for key, tensor in state.items()}


def normed(network: Any, images: Tensor) -> Found:
    """Return what the code of DINOv2 and its heirs calls its normed tokens."""
    found = network.forward_features(images)
    patches = found["x_norm_patchtokens"]
    return {"cls": found["x_norm_clstoken"], "patch_mean": patches.mean(1), "dense": grid(patches)}
