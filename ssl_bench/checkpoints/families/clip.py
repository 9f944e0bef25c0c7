"""OpenAI's CLIP (Radford et al. 2021, https://arxiv.org/abs/2103.00020): the vision transformers of its image towers.

Names as in https://github.com/openai/CLIP. The released .pt files are TorchScript programs: their tensors are read, and
the programs are not run. The catch: the activation is x * sigmoid(1.702 x), which no shape tells from GELU. Linear
probes use `pre_proj`, zero-shot classification `proj`.
"""

from __future__ import annotations

from ssl_bench.checkpoints import clip_vit

INPUT = clip_vit.INPUT
POOLINGS = clip_vit.POOLINGS
CONTAINERS = ("state_dict",)
PREFIXES = clip_vit.PREFIXES
DROPPED: tuple[str, ...] = ()  # the text tower does not bear the prefix
renamed = clip_vit.renamed
shown_by = clip_vit.shown_by
build = clip_vit.build
features = clip_vit.features
