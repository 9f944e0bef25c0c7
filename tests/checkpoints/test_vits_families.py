"""Vision transformers of many trainers: files in their layout, written from a network that is not ours."""

from __future__ import annotations

import dataclasses
import functools
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from timm.models.beit import Beit
from timm.models.swin_transformer import SwinTransformer
from timm.models.vision_transformer import VisionTransformer
from timm.models.vision_transformer_sam import VisionTransformerSAM
from timm.models.xcit import Xcit
from torch import Tensor, nn

from ssl_bench import backbones, model_zoo
from ssl_bench.backbones.base import LoadContext
from tests.checkpoints.layouts import ONE, State, assert_same, images, load, other, randomised, training, under

Layout = Callable[[State], dict[str, Any]]


def vit(width: int = 128, heads: int = 2, depth: int = 2, **arguments: Any) -> nn.Module:
    given = {"num_classes": 0, "img_size": 64, "global_pool": "token", "patch_size": 16, **arguments}
    return randomised(VisionTransformer(embed_dim=width, depth=depth, num_heads=heads, **given))


@torch.inference_mode()
def patch_map(network: Any, batch: Tensor) -> Tensor:
    """Return timm's own map of patches."""
    return network.forward_intermediates(batch, indices=1, norm=True, intermediates_only=True)[0]


def mm_names(state: State) -> State:
    """Return timm's tensors under OpenMMLab's names."""
    names = {"patch_embed.proj": "patch_embed.projection", "blocks.": "layers.", ".norm": ".ln", "norm.": "ln1."}
    names |= {"mlp.fc1": "ffn.layers.0.0", "mlp.fc2": "ffn.layers.1"}
    found = {}
    for key, tensor in state.items():
        for ours, theirs in names.items():
            key = key.replace(ours, theirs)
        found[key] = tensor
    return found


PLAIN: dict[str, Layout] = {
    "mae, HPM": lambda s: training(
        model=under(
            "", s, "vis_mask_token", "mask_token", "decoder_blocks_losspred.0.norm1.weight", "decoder_pred.bias"
        )
    ),
    "mae, HPM wrapped": lambda s: training(state_dict=under("module.", s), ema_state_dict=under("module.", other(s))),
    "mae, DropPos": lambda s: training(
        model=under("", s, "mask_pos_token", "decoder_embed.weight", "aux_decoder_embed.weight", "mask_token")
    ),
    "mae, SemAIM": lambda s: training(
        state_dict=under("module.", s, "module.query_blocks.0.norm1.weight", "module.prediction_head.weight")
    ),
    "mae, ViC-MAE": lambda s: training(model=under("", s, "projector.0.weight", "decoder_embed.weight", "mask_token")),
    "mae, RSP": lambda s: training(model=under("", s, "to_posterior.0.weight", "to_prior.0.weight", "mask_token")),
    "mae, FSFM": lambda s: training(model=under("", s, "rep_decoder_embed.weight", "projector.projection_head.0.bias")),
    "mae, Web-SSL": lambda s: s,
    "synclr": lambda s: training(
        model=under("module.visual.", s, "module.visual.head.weight", "module.image_mlp.0.weight")
    ),
    "synclr, StableRep": lambda s: {"model": under("visual.", s, "logit_scale", "transformer.resblocks.0.ln_1.weight")},
    "dino_vit, SiT": lambda s: training(
        student=under("module.backbone.", other(s)),
        teacher=under("module.backbone.", s, "module.head.mlp.0.weight", "module.head_recons.mlp.0.weight"),
    ),
    "dino_vit, MOKD": lambda s: {
        "student_vit": under("module.backbone.", other(s)),
        "teacher_vit": under("backbone.", s, "head.mlp.0.weight", "transhead.blocks.0.norm1.weight"),
        "teacher_cnn": {"backbone.conv1.weight": ONE},
    },
    "dino_vit, UDI": lambda s: training(
        student=under("module.backbone.backbone.", other(s)),
        teacher=under("backbone.backbone.", s, "backbone.norm1.weight", "backbone.attn.qkv.weight", "head.mlp.0.bias"),
    ),
    "dino_vit, TimeT": lambda s: under(
        "feature_extractor.backbone.", s, "prototypes", "feature_extractor.head.0.weight", "teacher.head.0.weight"
    ),
    "dino_vit, PathDino": lambda s: under("backbone.", s),
    "mmpretrain_vit": lambda s: {
        "meta": {"epoch": 300},
        "state_dict": under("backbone.", mm_names(s), "neck.mlp.0.weight", "head.fc.weight", "momentum_encoder.x"),
    },
    "localmim_vit": lambda s: training(
        model={key.replace("norm.", "norm.3.") if key.startswith("norm.") else key: s[key] for key in s}
        | {f"norm.{index}.{name}": s[f"norm.{name}"] + 1 for index in range(3) for name in ("weight", "bias")}
        | {"decoder.0.embed.weight": ONE, "hog_enc.0.conv.weight": ONE}
    ),
}


@pytest.mark.parametrize("layout", PLAIN)
def test_plain_vits(tmp_path: Path, layout: str) -> None:
    """A plain ViT loads from its authors' layout; cls and patches are those of timm's network."""
    source = vit()
    backbone = load(tmp_path, PLAIN[layout](source.state_dict()), layout.partition(",")[0])
    assert backbone.default_pooling == "cls"
    found = backbone.forward(images(), "cls")
    with torch.inference_mode():
        assert_same(found.pooled, source(images()))
    assert_same(found.dense, patch_map(source, images()))


def test_stop_is_as_ijepa(tmp_path: Path) -> None:
    """StoP's target encoder, or teacher in its older files, loads as I-JEPA's."""
    source = vit(class_token=False, global_pool="avg", fc_norm=False)
    state = under("module.", source.state_dict())
    with torch.inference_mode():
        expected = source(images())
    for container in ("target_encoder", "teacher"):
        content = training(encoder=other(state), predictor={"x": ONE}, **{container: state})
        assert_same(load(tmp_path, content, "ijepa").forward(images(), "patch_mean").pooled, expected)


def test_latentmim_orders_colours_last(tmp_path: Path) -> None:
    """Latent MIM's linear patch embedding sees rows, columns, then colours; a convolution orders others."""
    source = vit()
    state = dict(source.state_dict())
    weight, positions = state.pop("patch_embed.proj.weight"), state.pop("pos_embed")
    state["embed.proj.bias"] = state.pop("patch_embed.proj.bias")
    state |= {"embed.proj.weight": weight.permute(0, 2, 3, 1).flatten(1), "pos_embed.pos_embeds": positions[0]}

    def file(encoder: State) -> dict[str, Any]:
        target = under("module.target_encoder.", other(encoder))
        return training(state_dict=under("module.encoder.", encoder, "module.encoder.head.linear0.weight") | target)

    with torch.inference_mode():
        expected = source(images())
    assert_same(load(tmp_path, file(state), "latentmim").forward(images(), "cls").pooled, expected)
    convolutional = {**state, "embed.proj.weight": weight.flatten(1)}
    found = load(tmp_path, file(convolutional), "latentmim").forward(images(), "cls").pooled
    assert (found - expected).abs().max() > 0.01


@torch.inference_mode()
def post_norm(state: State, batch: Tensor, heads: int) -> Tensor:
    """Return tokens of data2vec 2.0 by its formulas, from the tensors of its file."""
    encoder = "modality_encoders.IMAGE."
    weight, bias = (state[f"{encoder}local_encoder.proj.{name}"] for name in ("weight", "bias"))
    patches = nn.functional.conv2d(batch, weight, bias, stride=16).flatten(2).transpose(1, 2)
    patches = patches + state[f"{encoder}fixed_positional_encoder.positions"]
    tokens = torch.cat([state[f"{encoder}extra_tokens"].expand(len(batch), -1, -1), patches], dim=1)

    def norm(tokens: Tensor, name: str) -> Tensor:
        width = tokens.shape[2:]
        return nn.functional.layer_norm(tokens, width, state[f"{name}.weight"], state[f"{name}.bias"], 1e-6)

    def linear(tokens: Tensor, name: str) -> Tensor:
        return tokens @ state[f"{name}.weight"].T + state[f"{name}.bias"]

    tokens = norm(tokens, f"{encoder}context_encoder.norm")
    for block in (f"{encoder}context_encoder.blocks.0", "blocks.0", "blocks.1"):
        parts = linear(tokens, f"{block}.attn.qkv").unflatten(2, (3, heads, -1))
        query, key, value = parts.permute(2, 0, 3, 1, 4)
        weights = (query @ key.transpose(2, 3) / query.shape[3] ** 0.5).softmax(3)
        attended = linear((weights @ value).transpose(1, 2).flatten(2), f"{block}.attn.proj")
        tokens = norm(tokens + attended, f"{block}.norm1")
        hidden = nn.functional.gelu(linear(tokens, f"{block}.mlp.fc1"))
        tokens = norm(tokens + linear(hidden, f"{block}.mlp.fc2"), f"{block}.norm2")
    return tokens


def data2vec2_file() -> State:
    """Return a file's tensors: a block of the image encoder, two common ones, a decoder, positions without cls."""
    source = vit(depth=3, final_norm=False)
    state = dict(source.state_dict())
    encoder = "modality_encoders.IMAGE."
    found = {
        f"{encoder}extra_tokens": state.pop("cls_token"),
        f"{encoder}fixed_positional_encoder.positions": state.pop("pos_embed")[:, 1:],
        f"{encoder}context_encoder.norm.weight": state["blocks.0.norm1.weight"] + 0.1,
        f"{encoder}context_encoder.norm.bias": state["blocks.0.norm1.bias"] + 0.1,
        f"{encoder}decoder.blocks.0.0.weight": ONE,
    }
    for key, tensor in state.items():
        name = key.replace("patch_embed.", f"{encoder}local_encoder.").replace("blocks.0.", f"{encoder}first.")
        name = re.sub(r"^blocks\.(\d)", lambda block: f"blocks.{int(block[1]) - 1}", name)
        found[name.replace(f"{encoder}first.", f"{encoder}context_encoder.blocks.0.")] = tensor
    return found


def test_data2vec2_norms_behind_each_sum(tmp_path: Path) -> None:
    """data2vec 2.0 norms behind its sums, before its first block and not behind its last; cls has no position."""
    state = data2vec2_file()
    content = {"cfg": {"model": {"depth": 2}}, "model": {**state, "_ema": other(state)}}
    backbone = load(tmp_path, content, "data2vec2")
    tokens = post_norm(state, images(), 2)
    assert_same(backbone.forward(images(), "cls").pooled, tokens[:, 0])
    assert_same(backbone.forward(images(), "patch_mean").pooled, tokens[:, 1:].mean(1))
    assert (backbone.arch()["depth"], backbone.default_pooling) == (3, "patch_mean")


def test_data2vec2_average_on_request(tmp_path: Path) -> None:
    """The averaged weights lie in the branch `model._ema` and are taken where the card says so."""
    state = data2vec2_file()
    content = {"model": {**other(state), "_ema": state}}
    backbone = load(tmp_path, content, "data2vec2", ",container=model._ema")
    assert_same(backbone.forward(images(), "cls").pooled, post_norm(state, images(), 2)[:, 0])


def test_cae_has_12_heads_in_its_small_networks(tmp_path: Path) -> None:
    """CAE's encoder is found ; its network of 384 dimensions has 12 heads, not 6."""
    given = {"use_abs_pos_emb": True, "use_rel_pos_bias": False, "init_values": 0.1, "global_pool": "token"}
    source = randomised(Beit(img_size=64, embed_dim=384, depth=2, num_heads=12, num_classes=0, **given))
    state = source.state_dict()
    decoys = under("alignment_encoder.", other(state), "regresser.norm1.weight", "rd_pos_embed", "mask_token")
    content = training(model=under("encoder.", state, "encoder_to_regresser.weight", "decoder.head.weight") | decoys)
    backbone = load(tmp_path, content, "cae")
    with torch.inference_mode():
        expected = source(images())
    assert_same(backbone.forward(images(), "cls").pooled, expected)
    six = load(tmp_path, content, "cae", ",heads=6").forward(images(), "cls").pooled
    assert (six - expected).abs().max() > 0.01


def swin(eps: float, **arguments: Any) -> nn.Module:
    given = {"embed_dim": 32, "depths": (2, 2, 2), "num_heads": (1, 2, 4), "window_size": 4, "img_size": 64}
    norm = {"norm_layer": functools.partial(nn.LayerNorm, eps=eps)}
    return randomised(SwinTransformer(num_classes=0, **{**given, **norm, **arguments}))


def stages_end_with_downsampling(state: State) -> State:
    return {
        re.sub(r"layers\.(\d)\.downsample", lambda stage: f"layers.{int(stage[1]) - 1}.downsample", key): state[key]
        for key in state
    }


SWINS: dict[str, Layout] = {
    "ibot_swin": lambda s: {"state_dict": under("", s, "masked_embed", "layers.0.blocks.1.attn_mask")},
    "localmim_swin": lambda s: training(
        model=under(
            "encoder.",
            {key.replace("norm.", "norm.3.") if key.startswith("norm.") else key: s[key] for key in s},
            "encoder.norm.0.weight",
            "encoder.norm.2.bias",
            "decoder.0.embed.weight",
            "hog_enc.0.conv.weight",
        )
    ),
}


@pytest.mark.parametrize("layout", SWINS)
def test_swins(tmp_path: Path, layout: str) -> None:
    """A Swin loads from its authors' layout; its norms' epsilon, which no shape shows, is theirs."""
    source = swin(1e-6)
    file = SWINS[layout](stages_end_with_downsampling(source.state_dict()))
    torch.save(file, tmp_path / "weights.pth")
    card = model_zoo.get(f"ckpt:{tmp_path / 'weights.pth'},family={layout}")
    backbone = backbones.load(dataclasses.replace(card, arch={"size": 64}), LoadContext(tmp_path / "weights.pth"))
    with torch.inference_mode():
        assert_same(backbone.forward(images(), "gap").pooled, source(images()))
    assert {module.eps for module in backbone.network.modules() if isinstance(module, nn.LayerNorm)} == {1e-6}  # type: ignore[union-attr]


def solider_file(source: nn.Module, bias: float) -> State:
    """Return a Swin's tensors under OpenMMLab's names, with controllers that scale by softplus(bias)."""
    names = {"patch_embed.proj": "patch_embed.projection", "layers.": "stages.", ".attn.": ".attn.w_msa."}
    names |= {"mlp.fc1": "ffn.layers.0.0", "mlp.fc2": "ffn.layers.1"}
    found: State = {"norm0.weight": ONE}
    for key, tensor in stages_end_with_downsampling(source.state_dict()).items():
        name = re.sub(r"^norm\.", "norm3.", key)
        for ours, theirs in names.items():
            name = name.replace(ours, theirs)
        if ".downsample." in key:  # timm: column, row, colour
            parts = tensor.reshape(*tensor.shape[:-1], 2, 2, -1)
            tensor = parts.permute(*range(parts.ndim - 3), -1, -2, -3).reshape(tensor.shape)
        found[name] = tensor
    for stage, width in enumerate((64, 128, 128)):
        slope = torch.tensor([0.0, 1.0]).expand(width, 2)
        found |= {
            f"semantic_embed_w.{stage}.weight": slope,
            f"semantic_embed_w.{stage}.bias": torch.full((width,), bias),
        }
        found |= {f"semantic_embed_b.{stage}.weight": slope, f"semantic_embed_b.{stage}.bias": torch.zeros(width)}
    return found


def test_solider(tmp_path: Path) -> None:
    """SOLIDER merges places colour by colour, shifts the last windows too, and scales by its share of semantics."""
    source = swin(1e-5, always_partition=True)
    state = solider_file(source, math.log(math.e - 1))  # softplus of it is 1
    torch.save({"teacher": under("backbone.", state, "head.mlp.0.weight")}, tmp_path / "weights.pth")
    card = model_zoo.get(f"ckpt:{tmp_path / 'weights.pth'},family=solider")

    def pooled(**arch: Any) -> Tensor:
        changed = dataclasses.replace(card, arch={"size": 64, **arch})
        return backbones.load(changed, LoadContext(tmp_path / "weights.pth")).forward(images(), "gap").pooled

    with torch.inference_mode():
        expected, unshifted = source(images()), swin(1e-5)(images())
    assert_same(pooled(), expected)
    assert (pooled(semantic=0.5) - expected).abs().max() > 0.01
    assert (unshifted - expected).abs().max() > 0.001


@pytest.mark.parametrize("prefix", ["", "image_encoder."])
def test_sam(tmp_path: Path, prefix: str) -> None:
    """SAM's encoder loads with its prefix and, as LVM-Med's files have it, without; the whole-image blocks are seen."""
    given = {"img_size": 128, "embed_dim": 128, "depth": 3, "num_heads": 2, "window_size": 4, "neck_chans": 32}
    given |= {"use_rel_pos": True, "global_attn_indexes": (1,), "num_classes": 0}
    source = randomised(VisionTransformerSAM(**given, norm_layer=functools.partial(nn.LayerNorm, eps=1e-6)))
    state = {key.replace(".mlp.fc", ".mlp.lin"): tensor for key, tensor in source.state_dict().items()}
    others = ("mask_decoder.iou_token.weight", "prompt_encoder.no_mask_embed.weight") if prefix else ()
    backbone = load(tmp_path, under("", under(prefix, state), *others), "sam")
    with torch.inference_mode():
        expected = source.forward_features(images(128))
    assert_same(backbone.forward(images(128), "gap").dense, expected)
    assert (backbone.arch()["whole"], backbone.arch()["window"]) == ([1], 4)


def test_dino_xcit(tmp_path: Path) -> None:
    """DINO's XCiT loads with queries of cls among keys and values; it norms all tokens in the blocks of cls."""
    given = {"embed_dim": 64, "depth": 2, "num_heads": 4, "num_classes": 0, "patch_size": 8}
    source = randomised(Xcit(**given, tokens_norm=True))
    state: State = {}
    for key, tensor in source.state_dict().items():
        name = key.replace("pos_embed.", "pos_embeder.")
        if ".attn.q." in name and name.startswith("cls_"):
            parts = [source.state_dict()[key.replace(".q.", f".{letter}.")] for letter in "qkv"]
            state[name.replace(".q.", ".qkv.")] = torch.cat(parts)
        elif not (name.startswith("cls_") and re.search(r"\.attn\.[kv]\.", name)):
            state[name] = tensor
    trunk = {"base_model": {"model": {"trunk": state, "heads": {"0.weight": ONE}}}}
    with torch.inference_mode():
        expected = source(images())
    for file in (training(student={"x": ONE}, teacher=under("backbone.", state)), {"classy_state_dict": trunk}):
        assert_same(load(tmp_path, file, "dino_xcit").forward(images(), "cls").pooled, expected)
    alone = load(tmp_path, state, "dino_xcit", ",tokens_norm=false").forward(images(), "cls").pooled
    assert (alone - expected).abs().max() > 0.01


def test_dinov3_convnext_norms_the_mean(tmp_path: Path) -> None:
    """DINOv3's ConvNeXt norms the mean of its map, as timm does, and offers the mean of the normed map beside it."""
    source = timm.create_model("convnext_tiny", num_classes=0, depths=(1, 1, 2, 1), dims=(16, 32, 64, 128))
    source = randomised(source)
    state = {}
    for key, tensor in source.state_dict().items():
        name = key.replace("stem.", "downsample_layers.0.").replace(".conv_dw.", ".dwconv.")
        name = re.sub(r"stages\.(\d)\.downsample\.", r"downsample_layers.\1.", name.replace(".mlp.fc", ".pwconv"))
        state[name.replace("head.norm.", "norm.").replace(".blocks.", ".")] = tensor
    state |= {f"norms.3.{name}": state[f"norm.{name}"] for name in ("weight", "bias")}
    backbone = load(tmp_path, state, "dinov3_convnext")
    with torch.inference_mode():
        assert_same(backbone.forward(images(), "gap").pooled, source(images()))
        dense = source.head.norm(source.forward_features(images()))
    found = backbone.forward(images(), "patch_mean")
    assert_same(found.dense, dense)
    assert_same(found.pooled, dense.mean((2, 3)))
    assert (found.pooled - backbone.forward(images(), "gap").pooled).abs().max() > 0.1


def test_heads_of_web_ssl_are_128_wide() -> None:
    """From two billion parameters on, cards of Web-SSL say how many heads there are, which no shape shows."""
    for name in ("dino2b", "dino3b", "dino5b", "mae2b", "mae3b"):
        arch = model_zoo.get(f"webssl_{name}").arch
        assert arch["width"] == 128 * arch["heads"]
