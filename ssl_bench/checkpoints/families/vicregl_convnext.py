"""VICRegL's ConvNeXts (Bardes et al. 2022, https://arxiv.org/abs/2210.01571); its ResNets are the family vicreg.

Names as in https://github.com/facebookresearch/VICRegL. The catches: there is no layer scale, and the final norm is
applied at every place of the map before the mean, where ConvNeXt itself norms the mean.
"""

from __future__ import annotations

from timm.models.convnext import ConvNeXt
from torch import Tensor, nn

from ssl_bench.checkpoints import convnext, resnet

INPUT = resnet.INPUT
POOLINGS = ("gap",)
CONTAINERS = ("model",)
PREFIXES = ("module.", "backbone.")
DROPPED: tuple[str, ...] = ()
renamed = convnext.renamed
shown_by = convnext.shown_by


def build(depths: tuple[int, ...] = (3, 3, 27, 3), widths: tuple[int, ...] = (96, 192, 384, 768)) -> nn.Module:
    """Return the untrained network; the defaults are ConvNeXt-S."""
    return convnext.build(depths, widths, scaled=False)


def features(network: nn.Module, images: Tensor) -> dict[str, Tensor]:
    """Return the last map after the final norm, 1/32 of the image's height and width, and its mean."""
    assert isinstance(network, ConvNeXt)
    dense = network.head.norm(network.forward_features(images))
    return {"gap": dense.mean((2, 3)), "dense": dense}
