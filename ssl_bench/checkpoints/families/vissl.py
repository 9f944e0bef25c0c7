"""The ResNets of the VISSL zoo (https://github.com/facebookresearch/vissl), whatever method trained them.

Trunks lie deep in the file, and their layers under `_feature_blocks`; converted files have `model_state_dict`. The
catches: networks of colorization take one channel and are the family vissl_colorization; those born in Caffe2 may
take blue, green, red, which a card says in [input].
"""

from __future__ import annotations

from ssl_bench.checkpoints import keys, resnet

INPUT = resnet.INPUT
POOLINGS = resnet.POOLINGS
CONTAINERS = ("classy_state_dict.base_model.model.trunk", "model_state_dict")
PREFIXES = ("module.", "_feature_blocks.")
DROPPED = ("fc.",)
renamed = keys.as_named
shown_by = resnet.shown_by
build = resnet.build
features = resnet.features
