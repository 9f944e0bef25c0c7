"""Masked autoencoders (He et al. 2022, https://arxiv.org/abs/2111.06377): the ViT encoders.

Names as in https://github.com/facebookresearch/mae. Its linear probe takes cls after the final norm; its fine-tuning
takes the mean over patches with a new norm behind it, which no released file of the encoder holds. Whoever trained a
masked autoencoder with this code left the encoder's names alone and added heads of his own, which are dropped: HPM,
DropPos, SemAIM, AMT, ViC-MAE, CropMAE, RSP, FSFM, Web-MAE. LocalMIM did not, see localmim_vit.
"""

from __future__ import annotations

from typing import Any

from torch import nn

from ssl_bench.checkpoints import keys, vit

HEADS = (
    *("vis_mask_token", "mask_pos_token", "aux_decoder_"),  # HPM, DropPos
    *("query_", "prediction_head.", "query_token"),  # SemAIM
    *("projector.", "predictor.", "rep_", "target_"),  # ViC-MAE, FSFM
    *("to_posterior.", "to_prior.", "decoder."),  # RSP, CropMAE
)
"""Beginnings of what the heirs add."""
INPUT = vit.INPUT
POOLINGS = vit.POOLINGS
CONTAINERS = ("model", "state_dict")
PREFIXES = ("module.",)
DROPPED = ("decoder_", "mask_token", "head.", *HEADS)
renamed = keys.as_named
shown_by = vit.shown_by
features = vit.features


def build(*, heads: int = 0, eps: float = 1e-6, **shown: Any) -> nn.Module:
    """Return the untrained encoder."""
    return vit.build(heads=heads, eps=eps, **shown)
