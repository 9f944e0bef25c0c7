"""OBoW (Gidaris et al. 2021, https://arxiv.org/abs/2012.11552).

Names as in https://github.com/valeoai/obow, which numbers the blocks of torchvision's ResNet. The authors evaluate the
student: the file of the whole model holds a teacher besides. Their files in torchvision's names fit too; their `fc` are
visual words.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from ssl_bench.checkpoints import keys, resnet

INPUT = resnet.INPUT
POOLINGS = resnet.POOLINGS
CONTAINERS = ("network",)
PREFIXES = ("module.", "feature_extractor.")
DROPPED = ("fc.",)
RENAMES = (
    (r"^_feature_blocks\.0\.Conv\.", "conv1."),
    (r"^_feature_blocks\.0\.bn\.", "bn1."),
    (r"^_feature_blocks\.(\d)\.", r"layer\1."),
)
shown_by = resnet.shown_by
build = resnet.build
features = resnet.features


def renamed(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Name the blocks as torchvision does."""
    return keys.renamed_by(RENAMES, state)
