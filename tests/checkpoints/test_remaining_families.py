"""EVA-CLIP, CatLIP and networks of single fields: files in their authors' layout, loaded strictly."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from timm.models.eva import checkpoint_filter_fn

from ssl_bench.checkpoints import families
from ssl_bench.errors import UsageError
from tests.checkpoints.layouts import State, assert_same, images, load, randomised, under

EVA = (
    ("mlp.fc1_g.", "mlp.w1."), ("mlp.fc1_x.", "mlp.w2."), ("mlp.fc2.", "mlp.w3."), ("mlp.norm.", "mlp.ffn_ln."),
    ("attn.norm.", "attn.inner_attn_ln."), ("q_proj.bias", "q_bias"), ("v_proj.bias", "v_bias"),
)  # fmt: skip


def eva_file(state: State, gated: bool) -> dict[str, Any]:
    """Return timm's tensors by the authors' names, with a text tower and the tables that they keep of rotations."""
    found = {}
    for key, tensor in state.items():
        name = key
        for ours, theirs in EVA if gated else ():
            name = name.replace(ours, theirs)
        found[name] = tensor
    more = ("text.transformer.resblocks.0.ln_1.weight", "logit_scale")
    tables = ("visual.rope.freqs_cos", "visual.blocks.0.attn.rope.freqs_sin") if gated else ()
    return under("visual.", found, *more, *tables)


@pytest.mark.parametrize(
    ("name", "own"),
    [
        ("eva02_base_patch16_clip_224", {"embed_dim": 128, "num_heads": 2}),
        ("eva_giant_patch14_clip_224", {}),
        ("eva02_enormous_patch14_clip_224", {"mlp_ratio": 2.0}),
    ],
)
@torch.inference_mode()
def test_eva_clip(tmp_path: Path, name: str, own: dict[str, Any]) -> None:
    """Towers of EVA-02 (rotations and gates), of g and of E (norms behind the layers) are timm's."""
    patch = 16 if "16" in name else 14
    source: Any = randomised(timm.create_model(name, depth=1, num_classes=64, img_size=4 * patch, **own))
    file = eva_file(source.state_dict(), "base" in name)
    source.load_state_dict(checkpoint_filter_fn(file, source))
    backbone = load(tmp_path, {"module": file}, "eva_clip")
    batch = images(4 * patch)
    tolerance = 1e-4 if "enormous" in name else 1e-5  # of features that are a hundred times as large
    tokens = source.forward_features(batch)
    torch.testing.assert_close(backbone.forward(batch, "proj").pooled, source(batch), atol=tolerance, rtol=0)
    torch.testing.assert_close(backbone.forward(batch, "pre_proj").pooled, tokens[:, 0], atol=tolerance, rtol=0)
    with pytest.raises(UsageError, match=rf"input\.size = {4 * patch}"):
        backbone.forward(images(6 * patch), "proj")


def test_eva_clip_without_norms_in_attention() -> None:
    """UTA's towers lack the norm within attention that EVA-02's have, and its heads and post-norms follow the width."""
    family = families.get("eva_clip", "test")
    with torch.device("meta"):
        uta = family.build(depth=1, inner_norm=False)
        towers = [family.build(width=width, depth=1, second=False, inner_norm=False) for width in (1408, 1792)]
    assert family.shown_by(uta.state_dict())["inner_norm"] is False
    assert [tower.blocks[0].attn.num_heads for tower in towers] == [16, 16]
    assert [type(tower.blocks[0]).__name__ for tower in towers] == ["EvaBlock", "EvaBlockPostNorm"]
