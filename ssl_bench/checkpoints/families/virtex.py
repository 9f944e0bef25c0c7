"""VirTex (Desai and Johnson 2021, https://arxiv.org/abs/2006.06666) and RedCaps' networks: ResNets that wrote captions.

Names as in https://github.com/kdexd/virtex, where the ResNet is torchvision's under `visual.cnn.`; the rest of the file
writes the captions. The catch: their `r50w2x` is torchvision's `wide_resnet50_2`, wider in the middle of each block
alone, which this family refuses.
"""

from __future__ import annotations

from ssl_bench.checkpoints import keys, resnet

INPUT = resnet.INPUT
POOLINGS = resnet.POOLINGS
CONTAINERS = ("model",)
PREFIXES = ("module.", "visual.", "cnn.")
DROPPED = ("fc.",)
renamed = keys.as_named
shown_by = resnet.shown_by
build = resnet.build
features = resnet.features
