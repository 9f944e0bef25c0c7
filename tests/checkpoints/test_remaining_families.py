"""EVA-CLIP, CatLIP and networks of single fields: files in their authors' layout, loaded strictly."""

from __future__ import annotations

import functools
import re
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
import torchvision
from timm.models.eva import checkpoint_filter_fn
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn
from torch.nn import functional

from ssl_bench.checkpoints import families
from ssl_bench.errors import UsageError
from tests.checkpoints.layouts import ONE, State, assert_same, images, load, randomised, under

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


CATLIP = (
    ("blocks.", "transformer."), (".norm1.", ".pre_norm_mha.0."), (".attn.qkv.", ".pre_norm_mha.1.qkv_proj."),
    (".attn.proj.", ".pre_norm_mha.1.out_proj_attn."), (".norm2.", ".pre_norm_ffn.0."),
    (".mlp.fc1.", ".pre_norm_ffn.1."), (".mlp.fc2.", ".pre_norm_ffn.4."),
)  # fmt: skip
"""timm's names of the blocks, and corenet's."""


def catlip() -> tuple[Any, nn.Module, State]:
    """Return timm's blocks, a stem of three convolutions, and both in corenet's layout."""
    source: Any = randomised(VisionTransformer(64, 16, embed_dim=128, depth=2, num_heads=2, no_embed_class=True))
    stem = randomised(
        nn.Sequential(
            *(nn.Conv2d(3, 32, 4, 4, 1, bias=False), nn.BatchNorm2d(32), nn.GELU()),
            *(nn.Conv2d(32, 32, 2, 2, bias=False), nn.BatchNorm2d(32), nn.GELU(), nn.Conv2d(32, 128, 2, 2)),
        )
    )
    file = {}
    for key, tensor in source.state_dict().items():
        name = key
        for ours, theirs in CATLIP:
            name = name.replace(ours, theirs)
        if not key.startswith(("patch_embed.", "head.")):
            file[re.sub(r"^norm\.", "post_transformer_norm.", name)] = tensor
    file["pos_embed.pos_embed.pos_embed"] = file.pop("pos_embed")[None]
    places = {"0": "0.block.conv", "1": "0.block.norm", "3": "1.block.conv", "4": "1.block.norm", "6": "2.block.conv"}
    for key, tensor in stem.state_dict().items():
        place, _, last = key.partition(".")
        file[f"patch_emb.{places[place]}.{last}"] = tensor
    return source, stem, under("", file, "classifier.weight", "classifier.bias", "neural_augmentor.brightness._low")


@pytest.mark.parametrize("size", [64, 96])
@torch.inference_mode()
def test_catlip(tmp_path: Path, size: int) -> None:
    """CatLIP cuts patches by three convolutions, and brings positions to another size along their sequence."""
    source, stem, file = catlip()
    patches = stem(images(size)).flatten(2).transpose(1, 2)
    places = functional.interpolate(source.pos_embed.transpose(1, 2), size=patches.shape[1], mode="linear")
    tokens = torch.cat([source.cls_token.expand(2, -1, -1), patches + places.transpose(1, 2)], dim=1)
    expected = source.norm(source.blocks(tokens))
    found = load(tmp_path, file, "catlip").forward(images(size), "cls")
    assert_same(found.pooled, expected[:, 0])
    assert found.dense is not None
    assert_same(found.dense.flatten(2).transpose(1, 2), expected[:, 1:])


def test_heads_of_catlip() -> None:
    """Heads are 64 wide, also in ViT-H, and pixels are not normalised."""
    family = families.get("catlip", "test")
    with torch.device("meta"):
        assert family.build(width=1280, depth=1).blocks[0].attn.num_heads == 20
    assert (family.INPUT["mean"], family.INPUT["std"]) == ((0.0,) * 3, (1.0,) * 3)


@pytest.mark.parametrize("earlier", [False, True])
@torch.inference_mode()
def test_biovil(tmp_path: Path, earlier: bool) -> None:
    """BioViL projects torchvision's map place by place; BioViL-T puts a vector for no earlier image beside it."""
    network = torchvision.models.ResNet(torchvision.models.resnet.Bottleneck, [1, 1, 1, 1])
    trunk = randomised(nn.Sequential(*list(network.children())[:-2]))
    narrow, missing = nn.Conv2d(2048, 8, 1, bias=False), torch.randn(8)
    projector = randomised(
        nn.Sequential(
            nn.Conv2d(16 if earlier else 2048, 4, 1, bias=False), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 4, 1)
        )
    )
    file = under("encoder.encoder.", network.state_dict()) | under("projector.model.", projector.state_dict())
    expected = trunk(images())
    if earlier:
        more = {"encoder.missing_previous_emb": missing.reshape(1, 8, 1, 1), "encoder.vit_pooler.type_embed": ONE}
        file |= under("encoder.backbone_to_vit.", narrow.state_dict()) | more
        beside = missing.reshape(1, 8, 1, 1).expand(2, 8, 2, 2)
        expected = torch.cat([narrow(expected), beside], dim=1)
    found = load(tmp_path, file, "biovil")
    assert_same(found.forward(images(), "gap").pooled, expected.mean((2, 3)))
    assert_same(found.forward(images(), "proj").pooled, projector(expected).mean((2, 3)))


@torch.inference_mode()
def test_gloria(tmp_path: Path) -> None:
    """GLoRIA scales images to 299 pixels, corner on corner, and projects the mean of the last map."""
    network = torchvision.models.ResNet(torchvision.models.resnet.Bottleneck, [1, 1, 1, 1])
    network.fc = nn.Identity()
    randomised(network)
    projection = nn.Linear(2048, 16)
    state = under("model.", network.state_dict()) | under("global_embedder.", projection.state_dict())
    file = under("gloria.img_encoder.", state, "gloria.text_encoder.model.embeddings.word_embeddings.weight")
    mean = network(nn.UpsamplingBilinear2d(299)(images()))
    backbone = load(tmp_path, {"state_dict": file, "hyper_parameters": {}}, "gloria")
    assert_same(backbone.forward(images(), "gap").pooled, mean)
    assert_same(backbone.forward(images(), "proj").pooled, projection(mean))


@torch.inference_mode()
def test_clippy(tmp_path: Path) -> None:
    """CLIPpy's feature is the maximum over all tokens of a plain vision transformer, cls among them."""
    sizes = {"img_size": 64, "patch_size": 16, "embed_dim": 128, "depth": 2, "num_heads": 2}
    source: Any = randomised(VisionTransformer(**sizes, num_classes=0, fc_norm=False))
    tokens = source.forward_features(images())
    state = source.state_dict()
    file = {"state_dict": under("module.visual.trunk.", state, "module.text.0.weight", "module.logit_scale")}
    backbone = load(tmp_path, file, "clippy")
    assert_same(backbone.forward(images(), "token_max").pooled, tokens.amax(1))
    assert_same(backbone.forward(images(), "cls").pooled, tokens[:, 0])


@torch.inference_mode()
def test_chadavit(tmp_path: Path) -> None:
    """ChAda-ViT cuts each channel into tokens, and norms twice with one norm around attention of 2 heads."""
    family = families.get("chadavit", "test")
    network: Any = randomised(family.build(width=32, depth=1, hidden=64, size=64))
    state = network.state_dict()
    cut = functional.conv2d(images().reshape(6, 1, 64, 64), *parts(state, "token_learner.proj"), stride=16)
    patches = cut.reshape(2, 3, 32, 16).transpose(2, 3) + state["pos_embed"][:, :, 1:] + state["channel_token"][:, :3]
    cls = (state["cls_token"] + state["pos_embed"][:, 0, :1]).expand(2, -1, -1)
    x = torch.cat([cls, patches.reshape(2, 48, 32)], dim=1)
    first = functools.partial(functional.layer_norm, normalized_shape=(32,))
    heard = first(x, weight=state["blocks.0.norm1.weight"], bias=state["blocks.0.norm1.bias"])
    attention = nn.MultiheadAttention(32, 2, batch_first=True)
    attention.load_state_dict({k[19:]: v for k, v in state.items() if k.startswith("blocks.0.self_attn.")})
    x = x + attention(heard, heard, heard)[0]
    x = first(x, weight=state["blocks.0.norm1.weight"], bias=state["blocks.0.norm1.bias"])
    hidden = functional.linear(x, *parts(state, "blocks.0.linear1")).relu()
    x = x + functional.linear(hidden, *parts(state, "blocks.0.linear2"))
    x = first(x, weight=state["blocks.0.norm2.weight"], bias=state["blocks.0.norm2.bias"])
    x = first(x, weight=state["norm.weight"], bias=state["norm.bias"], eps=1e-6)
    backbone = load(tmp_path, {"state_dict": under("backbone.", state, "head.weight")}, "chadavit")
    assert_same(backbone.forward(images(), "cls").pooled, x[:, 0])
    assert_same(backbone.forward(images(), "patch_mean").pooled, x[:, 1:].mean(1))


def parts(state: State, name: str) -> tuple[Tensor, Tensor]:
    return state[f"{name}.weight"], state[f"{name}.bias"]
