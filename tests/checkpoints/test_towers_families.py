"""Image towers trained with text, and supervised baselines: files in their authors' layout, loaded strictly."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pytest
import timm
import torch
import torchvision
from timm.models.vision_transformer import VisionTransformer, checkpoint_filter_fn
from torch import Tensor, nn

from ssl_bench.checkpoints import families, keys
from ssl_bench.errors import UsageError
from tests.checkpoints.layouts import ONE, State, assert_same, images, load, other, randomised, training, under

TEXT = ("transformer.resblocks.0.ln_1.weight", "text_projection", "logit_scale", "visual_proj.weight")
"""What the files hold of the text tower."""


def timm_vit(**arguments: Any) -> Any:
    given = {"img_size": 64, "embed_dim": 128, "num_heads": 2, "num_classes": 0, "global_pool": "token", **arguments}
    return randomised(VisionTransformer(patch_size=16, depth=2, **given))


@torch.inference_mode()
def features_of(family_name: str, branch: State, batch: Tensor, **said: Any) -> State:
    """Load a state dict as a family, strictly, and return its features."""
    family = families.get(family_name, "test")
    state = families.tensors_of(family, branch)
    network = family.build(**families.arch_of(family, {**family.shown_by(state), **said}))
    keys.load_strict(network, state, family_name)
    return family.features(network.eval(), batch)


LAYOUTS = {
    "slip": lambda s: training(
        state_dict=under("module.visual.", s, *(f"module.{name}" for name in TEXT), "module.image_mlp.layer1.weight")
    ),
    "meru": lambda s: {
        "model": under("visual.", s, "visual_proj.weight", "textual.token_embed.weight", "curv", "pixel_mean"),
        "iteration": 1,
    },
    "deit": lambda s: training(model=under("", s, "head.weight", "head.bias")),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_towers_of_timm(tmp_path: Path, name: str) -> None:
    """ViT-S of SLIP and MERU has 12 heads, DeiT's has 6, and MERU's norms have an epsilon of 1e-5."""
    heads, eps = {"slip": (12, 1e-6), "meru": (12, 1e-5), "deit": (6, 1e-6)}[name]
    source = timm_vit(embed_dim=384, num_heads=heads, norm_layer=functools.partial(nn.LayerNorm, eps=eps))
    batch = images() * 1e-3  # where epsilon is seen
    with torch.no_grad():
        for tensor in (source.cls_token, source.pos_embed, source.patch_embed.proj.bias):
            tensor *= 1e-3
        expected = source(batch)
    backbone = load(tmp_path, LAYOUTS[name](source.state_dict()), name)
    assert_same(backbone.forward(batch, "cls").pooled, expected)
    wrong = features_of(name, source.state_dict(), batch, eps=1.1e-5 - eps)["cls"]
    assert (wrong - expected).abs().max() > 1e-3


@pytest.mark.parametrize("name", ["slip", "meru"])
def test_heads_by_width(name: str) -> None:
    """SLIP's and MERU's ViT-S and ViT-B have 12 heads, ViT-L has 16."""
    family = families.get(name, "test")
    with torch.device("meta"):
        states = [family.build(width=width, depth=1, heads=1).state_dict() for width in (384, 768, 1024)]
    assert [family.shown_by(state)["heads"] for state in states] == [12, 12, 16]


def test_distilled_deit_is_refused(tmp_path: Path) -> None:
    """A distilled DeiT, whose feature is of two tokens, does not load as one without distillation."""
    state = under("", timm_vit().state_dict(), "dist_token", "head_dist.weight")
    with pytest.raises(UsageError, match="unexpected"):
        load(tmp_path, {"model": state}, "deit")


@pytest.mark.parametrize("first", ["sequence", "images"])
def test_swag(tmp_path: Path, first: str) -> None:
    """SWAG's ViT is torchvision's; its positions have the axis of tokens first."""
    network = torchvision.models.VisionTransformer(64, 16, 2, 2, 128, 512)
    network.heads = nn.Identity()
    source = randomised(network)
    state = source.state_dict()
    if first == "sequence":
        state["encoder.pos_embedding"] = state["encoder.pos_embedding"].transpose(0, 1).contiguous()
        state = {key.replace("encoder_layer_", "layer_"): tensor for key, tensor in state.items()}
        state = {key.replace("mlp.0", "mlp.linear_1").replace("mlp.3", "mlp.linear_2"): v for key, v in state.items()}
    backbone = load(tmp_path, under("", state, "head.layers.head.weight"), "swag")
    with torch.inference_mode():
        assert_same(backbone.forward(images(), "cls").pooled, source(images()))
    with pytest.raises(UsageError, match=r"input\.size = 64"):
        backbone.forward(images(96), "cls")


def openclip_vit(**arguments: Any) -> Any:
    given = {"image_size": 64, "patch_size": 16, "width": 128, "layers": 2, "heads": 2, "mlp_ratio": 4.0, **arguments}
    return randomised(open_clip.transformer.VisionTransformer(**given))


@torch.inference_mode()
def test_openclip(tmp_path: Path) -> None:
    """OpenCLIP's ViT has GELU, where OpenAI's same names have QuickGELU."""
    source = openclip_vit(output_dim=32)
    file = training(state_dict=under("module.visual.", source.state_dict(), *(f"module.{name}" for name in TEXT)))
    assert_same(load(tmp_path, file, "openclip").forward(images(), "proj").pooled, source(images()))
    wrong = load(tmp_path, file, "clip").forward(images(), "proj").pooled
    assert (wrong - source(images())).abs().max() > 1e-3


@torch.inference_mode()
def test_flair(tmp_path: Path) -> None:
    """FLAIR's tower is OpenCLIP's without a projection."""
    source = openclip_vit()
    source.proj = None
    file = training(state_dict=under("visual.", source.state_dict(), *TEXT, "image_post.proj"))
    assert_same(load(tmp_path, file, "flair").forward(images(), "cls").pooled, source(images()))


@torch.inference_mode()
def test_clip_resnet(tmp_path: Path) -> None:
    """OpenAI's ResNet with attention over its last map is timm's after timm's own renaming."""
    network = randomised(families.get("clip_resnet", "test").build(size=64))
    state = network.state_dict()
    for key in state:  # sixteen blocks add up: keep the sum small, so that rounding is
        if key.endswith("bn3.weight"):
            state[key] *= 0.1
    source = timm.create_model("resnet50_clip", num_classes=1024, img_size=64).eval()
    source.load_state_dict(timm.models.byobnet.checkpoint_filter_fn(under("visual.", state), source))
    backbone = load(tmp_path, under("visual.", state, *TEXT), "clip_resnet")
    assert_same(backbone.forward(images(), "proj").pooled, source(images()))
    assert_same(backbone.forward(images(), "gap").dense, source.forward_features(images()))
    with pytest.raises(UsageError, match=r"input\.size = 64"):
        backbone.forward(images(96), "proj")


def test_clip_resnet_sizes() -> None:
    """The five released ResNets are told by their shapes, and have 32, 32, 40, 48 and 64 heads."""
    family = families.get("clip_resnet", "test")
    for width, size, heads in ((64, 224, 32), (80, 288, 40), (96, 384, 48), (128, 448, 64)):
        with torch.device("meta"):
            network = family.build((1, 1, 1, 1), width, 640, size)
        shown = {"depths": [1, 1, 1, 1], "width": width, "outputs": 640, "size": size}
        assert family.shown_by(network.state_dict()) == shown
        assert network.attnpool.num_heads == heads


@torch.inference_mode()
def test_virtex(tmp_path: Path) -> None:
    """VirTex' visual backbone is torchvision's ResNet, whole or as the bare file of its torch hub."""
    network = torchvision.models.ResNet(torchvision.models.resnet.Bottleneck, [1, 1, 1, 1])
    network.fc = nn.Identity()
    source = randomised(network)
    whole = under("visual.cnn.", source.state_dict(), "textual.embedding.words.weight", "backward_textual.output.bias")
    for file in ({"model": whole, "iteration": 5}, source.state_dict()):
        assert_same(load(tmp_path, file, "virtex").forward(images(), "gap").pooled, source(images()))


def flax_names(source: Any, *, scanned: bool = False, old: bool = False, pooling: bool = False) -> State:
    """Return timm's tensors by big_vision's names and in flax's shapes, as plain tensors."""
    state, heads = source.state_dict(), source.blocks[0].attn.num_heads
    width = source.embed_dim
    found = {"embedding/kernel": state["patch_embed.proj.weight"].permute(2, 3, 1, 0)}
    found["embedding/bias"] = state["patch_embed.proj.bias"]
    place = "Transformer/posembed_input/pos_embedding" if old else "pos_embedding"
    found[place] = state["pos_embed"]
    if "cls_token" in state:
        found["cls"] = state["cls_token"]
    found |= norm("Transformer/encoder_norm", state, "norm")
    blocks = []
    for i in range(len(source.blocks)):
        mine = {key.removeprefix(f"blocks.{i}."): v for key, v in state.items() if key.startswith(f"blocks.{i}.")}
        block = norm("LayerNorm_0", mine, "norm1") | norm("LayerNorm_2" if old else "LayerNorm_1", mine, "norm2")
        parts = dict(zip(("query", "key", "value"), mine["attn.qkv.weight"].chunk(3), strict=True))
        biases = dict(zip(parts, mine["attn.qkv.bias"].chunk(3), strict=True))
        block |= attention(f"MultiHeadDotProductAttention_{int(old)}", parts, biases, mine, "attn.proj", heads, width)
        block |= mlp(f"MlpBlock_{3 * old}", mine, "mlp.")
        blocks.append(block)
    if scanned:
        found |= {f"Transformer/encoderblock/{key}": torch.stack([each[key] for each in blocks]) for key in blocks[0]}
    else:
        found |= {f"Transformer/encoderblock_{i}/{key}": v for i, each in enumerate(blocks) for key, v in each.items()}
    if pooling:
        keys_values = dict(zip(("key", "value"), state["attn_pool.kv.weight"].chunk(2), strict=True))
        biases = dict(zip(keys_values, state["attn_pool.kv.bias"].chunk(2), strict=True))
        weights = {"query": state["attn_pool.q.weight"], **keys_values}
        head = "MAPHead_0/MultiHeadDotProductAttention_0"
        found |= attention(
            head, weights, {"query": state["attn_pool.q.bias"], **biases}, state, "attn_pool.proj", heads, width
        )
        found |= norm("MAPHead_0/LayerNorm_0", state, "attn_pool.norm") | mlp(
            "MAPHead_0/MlpBlock_0", state, "attn_pool.mlp."
        )
        found["MAPHead_0/probe"] = state["attn_pool.latent"]
    return {key: tensor.clone() for key, tensor in found.items()}


def norm(module: str, state: State, name: str) -> State:
    return {f"{module}/scale": state[f"{name}.weight"], f"{module}/bias": state[f"{name}.bias"]}


def mlp(module: str, state: State, name: str) -> State:
    found = {}
    for i in (0, 1):
        found[f"{module}/Dense_{i}/kernel"] = state[f"{name}fc{i + 1}.weight"].T
        found[f"{module}/Dense_{i}/bias"] = state[f"{name}fc{i + 1}.bias"]
    return found


def attention(module: str, weights: State, biases: State, state: State, out: str, heads: int, width: int) -> State:
    found = {f"{module}/{part}/kernel": weight.T.reshape(width, heads, -1) for part, weight in weights.items()}
    found |= {f"{module}/{part}/bias": bias.reshape(heads, -1) for part, bias in biases.items()}
    found[f"{module}/out/kernel"] = state[f"{out}.weight"].T.reshape(heads, -1, width)
    return found | {f"{module}/out/bias": state[f"{out}.bias"]}


def timms(path: Path, state: State, **arguments: Any) -> Any:
    """Return timm's network filled by timm's own reading of the `.npz` file, which is the judge here."""
    np.savez(path, **{key: tensor.numpy() for key, tensor in state.items()})
    network = timm_vit(act_layer="gelu_tanh", **arguments)
    nn.init.zeros_(network.pos_embed)
    network.load_pretrained(str(path))
    return network.eval()


@pytest.mark.parametrize("prefix", ["", "opt/target/"])
def test_augreg(tmp_path: Path, prefix: str) -> None:
    """The `.npz` of Google's ViT, whose block parts were counted through, gives what timm's own reader gives."""
    state = under(prefix, flax_names(timm_vit(), old=True), f"{prefix}head/kernel", f"{prefix}pre_logits/kernel")
    source = timms(tmp_path / "weights.npz", state)
    with torch.inference_mode():
        expected = source(images())
    assert_same(features_of("augreg", state, images())["cls"], expected)
    wrong = features_of("augreg", state, images(), gelu="gelu")["cls"]
    assert (wrong - expected).abs().max() > 1e-5


def test_cls_without_a_position() -> None:
    """Where positions were added before cls was put to them, cls stays as it is."""
    source = timm_vit()
    state = flax_names(source)
    bare = {
        **state,
        "pos_embedding": state["pos_embedding"][:, 1:],
        "cls": state["cls"] + state["pos_embedding"][:, :1],
    }
    found, expected = features_of("augreg", bare, images()), features_of("augreg", state, images())
    assert_same(found["cls"], expected["cls"])


@pytest.mark.parametrize("scanned", [False, True])
def test_siglip(tmp_path: Path, scanned: bool) -> None:
    """SigLIP's image tower, its layers apart or in one tensor, gives what timm's own reader gives with tanh GELU."""
    drawn = timm_vit(class_token=False, global_pool="map")
    own = flax_names(drawn, scanned=scanned, pooling=True)
    state = under("params/img/", own) | under("params/txt/", other(own), "params/t")
    source = timms(tmp_path / "weights.npz", state, class_token=False, global_pool="map")
    found = features_of("siglip", state, images())
    with torch.inference_mode():
        assert_same(found["map"], source(images()))
        assert_same(found["patch_mean"], source.forward_features(images()).mean(1))
    wrong = features_of("siglip", state, images(), gelu="gelu")["map"]
    assert (wrong - found["map"]).abs().max() > 1e-5


def test_heads_of_big_vision() -> None:
    """So400m and g-opt have 16 heads though they are 1152 and 1536 wide."""
    family = families.get("siglip", "test")
    with torch.device("meta"):
        shown = [family.shown_by(family.build(width=width, depth=1).state_dict()) for width in (768, 1152, 1536)]
    assert [each["heads"] for each in shown] == [12, 16, 16]


@torch.inference_mode()
def test_tips() -> None:
    """TIPS' encoder has two cls tokens, of which the second has the place of a register and no position."""
    source = timm_vit(init_values=1.0, reg_tokens=1, no_embed_class=True)
    state = {key: tensor.clone() for key, tensor in source.state_dict().items()}
    drawn = torch.randn(1, 1, 128, generator=torch.Generator().manual_seed(2))
    theirs = {key: tensor for key, tensor in state.items() if key not in ("reg_token", "pos_embed")}
    theirs["register_tokens"], theirs["mask_token"] = state["reg_token"], ONE.reshape(1, 1).expand(1, 128)
    theirs["pos_embed"] = torch.cat([drawn, state["pos_embed"]], dim=1)
    source.load_state_dict(checkpoint_filter_fn(dict(theirs), source))
    tokens, found = source.forward_features(images()), features_of("tips", theirs, images())
    assert_same(found["cls"], tokens[:, 0])
    assert_same(found["cls2"], tokens[:, 1])
    assert_same(found["patch_mean"], tokens[:, 2:].mean(1))
    assert features_of("tips", theirs, images(96))["dense"].shape == (2, 128, 6, 6)
