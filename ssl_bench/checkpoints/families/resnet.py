"""ResNets under torchvision's names, whoever trained them, fed as torchvision feeds its own.

That is how the supervised ones are kept, and most of the rest: mmpretrain, mmselfsup and what builds on them (GenView,
ORL, InterCLR), SCAN and relational reasoning under `backbone`; PyContrast (InfoMin, PIRL, NPID), SupCon and PixPro
under `encoder`; lightly's also as a numbered `nn.Sequential`; NPID of lemniscate, SeLa and LVM-Med bare. ResNet-18 and
34, ResNeXt, networks whose every layer is wider, and the stem for images of 32 pixels are told by their shapes. The
catch: neither names nor shapes tell a network that pads or pools another way (see solo_learn, byol, simclr) or sees
other pixels; a card for images of 32 pixels says so in [input].
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from ssl_bench.checkpoints import keys, resnet

INPUT = resnet.INPUT
POOLINGS = resnet.POOLINGS
CONTAINERS = ("state_dict", "model", "network", "backbone")
PREFIXES = ("module.", "model.", "backbone.", "encoder.", "module.", "features.")
DROPPED = ("fc.", "linear.", "head.", "classifier.", "top_layer")
NUMBERED = ((r"^0\.", "conv1."), (r"^1\.", "bn1."))
"""Places of the stem in an `nn.Sequential`; those of the stages depend on whether ReLU and pooling have places too."""
SHORTCUT = (r"\.shortcut\.", ".downsample.")
shown_by = resnet.shown_by
build = resnet.build
features = resnet.features


def renamed(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Name the parts of a numbered network, and shortcuts, as torchvision does."""
    rules = [SHORTCUT]
    if "0.weight" in state:
        first = 4 if "4.0.conv1.weight" in state and "2.0.conv1.weight" not in state else 2
        rules += [*NUMBERED, *((rf"^{first + stage}\.", f"layer{stage + 1}.") for stage in range(4))]
    return keys.renamed_by(rules, state)
