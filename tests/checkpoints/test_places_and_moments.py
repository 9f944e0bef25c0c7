"""Vision transformers that are told places and moments in their own way: written out by formula, loaded whole."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn
from torch.nn import functional

from ssl_bench.checkpoints.families import capi, galileo
from tests.checkpoints.layouts import ONE, State, assert_same, images, load, other, randomised, training, under


def vit(size: int = 64, depth: int = 2, patch: int = 16, heads: int = 2, **arguments: Any) -> nn.Module:
    given = {"img_size": size, "patch_size": patch, "embed_dim": 128, "depth": depth, "num_heads": heads}
    given |= {"num_classes": 0, "class_token": False, "global_pool": "avg", "fc_norm": False}
    return randomised(VisionTransformer(**{**given, **arguments}))


def sines(count: int, width: int) -> Tensor:
    """Return sine and cosine in turn, as the formula of Vaswani et al. writes them."""
    table = torch.zeros(count, width)
    for dimension in range(0, width, 2):
        angle = torch.arange(count) / 10000 ** (dimension / width)
        table[:, dimension], table[:, dimension + 1] = angle.sin(), angle.cos()
    return table


@torch.inference_mode()
def of_clip(source: nn.Module, kernel: Tensor, positions: Tensor, frames: int) -> Tensor:
    """Return tokens of a clip of equal frames, through a kernel that spans two."""
    clip = images()[:, :, None].expand(-1, -1, frames, -1, -1)
    bias = source.get_parameter("patch_embed.proj.bias")
    tokens = functional.conv3d(clip, kernel, bias, stride=(2, 16, 16)).flatten(2).transpose(1, 2)
    tokens = tokens + positions[: tokens.shape[1]]
    for block in source.get_submodule("blocks").children():
        tokens = block(tokens)
    return source.get_submodule("norm")(tokens)


def video_state(source: nn.Module) -> tuple[State, Tensor]:
    """Return the tensors without positions, and a kernel of two unequal frames in its place."""
    state = dict(source.state_dict())
    del state["pos_embed"]
    kernel = torch.randn(128, 3, 2, 16, 16, generator=torch.Generator().manual_seed(3)) / 30
    return {**state, "patch_embed.proj.weight": kernel}, kernel


def test_vjepa_sees_a_still_clip(tmp_path: Path) -> None:
    """V-JEPA's target encoder sees an image as 16 equal frames, each moment with its positions."""
    source = vit()
    state, kernel = video_state(source)
    positions = torch.randn(8 * 16, 128, generator=torch.Generator().manual_seed(4))
    state["pos_embed"] = positions[None]
    content = training(
        encoder=under("module.backbone.", other(state)),
        predictor={"x": ONE},
        target_encoder=under("module.backbone.", state),
    )
    tokens = of_clip(source, kernel, positions, 16)
    backbone = load(tmp_path, content, "vjepa")
    found = backbone.forward(images(), "patch_mean")
    assert_same(found.pooled, tokens.mean(1))
    assert found.dense is not None
    assert_same(found.dense[0, :, 1, 2], tokens[0].unflatten(0, (8, 4, 4))[:, 1, 2].mean(0))
    one = load(tmp_path, content, "vjepa", ",moments=1").forward(images(), "patch_mean").pooled
    assert_same(one, of_clip(source, kernel, positions, 2).mean(1))


def test_omnimae_sees_two_equal_frames(tmp_path: Path) -> None:
    """OmniMAE's trunk sees an image as two equal frames, with the positions of the first moment."""
    source = vit()
    state, kernel = video_state(source)
    state = {key.replace("patch_embed.proj.", "patch_embed.proj.1."): tensor for key, tensor in state.items()}
    state["pos_embed"] = sines(8 * 16, 128)[None]
    content = under("trunk.", state, "trunk.decoder.norm.weight", "trunk.mask_token", "head.weight")
    found = load(tmp_path, content, "omnimae").forward(images(), "patch_mean").pooled
    assert_same(found, of_clip(source, kernel, sines(8 * 16, 128), 2).mean(1))


def test_videomae_computes_its_positions(tmp_path: Path) -> None:
    """VideoMAE's file holds no positions, which are sines along the whole clip, and no bias of keys."""
    source = vit(size=224, depth=1)
    for block in source.get_submodule("blocks").children():
        block.get_parameter("attn.qkv.bias").data[128:256] = 0
    state, kernel = video_state(source)
    biases = {key: state.pop(key) for key in list(state) if key.endswith("qkv.bias")}
    for key, bias in biases.items():
        block = key.removesuffix("qkv.bias")
        state |= {f"{block}q_bias": bias[:128], f"{block}v_bias": bias[256:]}
    content = training(model=under("encoder.", state, "decoder.norm.weight", "mask_token", "encoder_to_decoder.weight"))
    backbone = load(tmp_path, content, "videomae", ",moments=1")
    assert backbone.arch()["moments"] == 1
    still = images(224)
    tokens = functional.conv2d(still, kernel.sum(2), source.get_parameter("patch_embed.proj.bias"), stride=16)
    with torch.inference_mode():
        tokens = tokens.flatten(2).transpose(1, 2) + sines(196, 128)
        tokens = source.get_submodule("norm")(next(source.get_submodule("blocks").children())(tokens))
    assert_same(backbone.forward(still, "patch_mean").pooled, tokens.mean(1))
    assert load(tmp_path, content, "videomae").arch()["moments"] == 8


def turned(tokens: Tensor, height: int, width: int) -> Tensor:
    """Rotate (images, heads, patches, head) as complex numbers: a head's first half by rows, its second by columns."""
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    halves = []
    for half, place in zip(tokens.chunk(2, dim=3), (rows.flatten(), columns.flatten()), strict=True):
        real, imaginary = half.chunk(2, dim=3)
        pairs = real.shape[3]
        speed = 1 / 100 ** (torch.arange(pairs) / pairs)
        number = torch.complex(real, imaginary) * torch.exp(1j * place[:, None] * speed)
        halves.append(torch.cat([number.real, number.imag], dim=3))
    return torch.cat(halves, dim=3)


@pytest.mark.parametrize("size", [64, 96])
def test_croco_v2_rotates(tmp_path: Path, size: int) -> None:
    """CroCo v2 rotates queries and keys by rows and columns of any grid; its file holds no positions."""
    source = vit(depth=1)
    state = {key: tensor for key, tensor in source.state_dict().items() if key != "pos_embed"}
    named = {
        key.replace("blocks.", "enc_blocks.").replace("norm.", "enc_norm.", key.startswith("norm.")): key
        for key in state
    }
    content = {
        "croco_kwargs": {"pos_embed": "RoPE100"},
        "model": under(
            "", {ours: state[key] for ours, key in named.items()}, "dec_norm.weight", "decoder_embed.bias", "mask_token"
        ),
    }
    backbone = load(tmp_path, content, "croco")
    block = next(source.get_submodule("blocks").children())
    attention, side = block.get_submodule("attn"), size // 16
    with torch.inference_mode():
        tokens = source.get_submodule("patch_embed.proj")(images(size)).flatten(2).transpose(1, 2)
        parts = attention.get_submodule("qkv")(block.get_submodule("norm1")(tokens)).chunk(3, dim=2)
        query, key, value = (part.unflatten(2, (2, 64)).transpose(1, 2) for part in parts)
        weights = (turned(query, side, side) @ turned(key, side, side).transpose(2, 3) / 8).softmax(3)
        tokens = tokens + attention.get_submodule("proj")((weights @ value).transpose(1, 2).flatten(2))
        tokens = tokens + block.get_submodule("mlp")(block.get_submodule("norm2")(tokens))
        expected = source.get_submodule("norm")(tokens).mean(1)
    assert_same(backbone.forward(images(size), "patch_mean").pooled, expected)
    assert backbone.arch()["rotated"]


def test_croco_adds_its_positions(tmp_path: Path) -> None:
    """The first CroCo adds the positions that its file holds, without one for cls."""
    source = vit()
    state = dict(source.state_dict())
    state["enc_pos_embed"] = state.pop("pos_embed")[0]
    state = {f"enc_{key}" if key.startswith(("blocks.", "norm.")) else key: tensor for key, tensor in state.items()}
    backbone = load(tmp_path, {"model": under("", state, "dec_pos_embed", "prediction_head.weight")}, "croco")
    with torch.inference_mode():
        assert_same(backbone.forward(images(), "patch_mean").pooled, source(images()))


def test_galileo_is_told_group_moment_month_and_place(tmp_path: Path) -> None:
    """Galileo's tokens of visible bands bear what the file says of S2_RGB, first moment, month and place."""
    source = vit(patch=8, heads=8, norm_layer=lambda width, **_: nn.LayerNorm(width, eps=1e-5))
    state = dict(source.state_dict())
    generator = torch.Generator().manual_seed(5)
    groups, moments, months = (torch.randn(count, 32, generator=generator) for count in (7, 24, 12))
    rows, columns = torch.meshgrid(torch.arange(8.0) * 8, torch.arange(8.0) * 8, indexing="ij")
    waves = 10000 ** (torch.arange(8) / 16 / 2)
    places = [
        part
        for axis in (columns, rows)
        for part in (f(axis.flatten()[:, None] / waves) for f in (torch.sin, torch.cos))
    ]
    said = torch.cat([groups[1], moments[0], months[6]]).expand(64, -1)
    positions = torch.cat([said, *places], dim=1)[None]
    source.get_parameter("pos_embed").data = positions
    del state["pos_embed"]
    for name in [name for name in state if ".qkv." in name]:
        tensor = state.pop(name)
        state |= {name.replace("qkv", letter): part for letter, part in zip("qkv", tensor.chunk(3), strict=True)}
    state["space_time_embed.S2_RGB.proj.weight"] = state.pop("patch_embed.proj.weight")
    state["space_time_embed.S2_RGB.proj.bias"] = state.pop("patch_embed.proj.bias")
    state |= {"s_t_channel_embed": groups, "pos_embed": moments, "month_embed.weight": months}
    more = (
        "space_time_embed.S2_Red_Edge.proj.weight",
        "space_embed.DW.proj.bias",
        "t_channel_embed",
        "time_embed.TC.weight",
    )
    backbone = load(tmp_path, under("", state, *more, "st_channel_embed", "sp_channel_embed"), "galileo")
    with torch.inference_mode():
        expected = source(images())
    assert_same(backbone.forward(images(), "patch_mean").pooled, expected)
    assert (backbone.input.channels, backbone.arch()["month"]) == ("bgr", 6)
    january = load(tmp_path, under("", state, *more), "galileo", ",month=0").forward(images(), "patch_mean").pooled
    assert (january - expected).abs().max() > 0.01
    assert backbone.input.mean[0] == pytest.approx((1395.34 - 2 * 917.70) / galileo.REFLECTANCE, abs=1e-4)


@torch.inference_mode()
def of_capi(state: State, batch: Tensor) -> tuple[Tensor, Tensor]:
    """Return patches and predictions of CAPI by its formulas, with heads 32 wide."""

    def norm(tokens: Tensor, weight: Tensor | float = 1.0) -> Tensor:
        return tokens / (tokens.square().mean(-1, keepdim=True) + 1e-5).sqrt() * weight

    def rotated(tokens: Tensor, angle: Tensor) -> Tensor:
        half = tokens.shape[3] // 2
        turned = torch.cat([-tokens[..., half:], tokens[..., :half]], dim=3)
        return tokens * angle.cos() + turned * angle.sin()

    def block(
        name: str, tokens: Tensor, places: Tensor, seen: Tensor | None = None, seen_places: Tensor | None = None
    ) -> Tensor:
        part = lambda end: state[f"{name}.{end}"]  # noqa: E731
        normed = norm(tokens, part("residual1.norm.weight"))
        context, context_places = (normed, places) if seen is None else (seen, seen_places)
        given = {"q": normed, "k": context, "v": context}
        split = {
            letter: (tensor @ part(f"residual1.fn.{letter}_proj.weight").T).unflatten(2, (-1, 32)).transpose(1, 2)
            for letter, tensor in given.items()
        }
        frequencies = part("residual1.fn.rope.freqs")
        query, key = rotated(split["q"], places @ frequencies), rotated(split["k"], context_places @ frequencies)
        weights = (query @ key.transpose(2, 3) / query.shape[3] ** 0.5).softmax(3)
        tokens = tokens + (weights @ split["v"]).transpose(1, 2).flatten(2) @ part("residual1.fn.proj.weight").T
        hidden = functional.gelu(norm(tokens, part("residual2.norm.weight")) @ part("residual2.fn.fc1.weight").T)
        return tokens + hidden @ part("residual2.fn.fc2.weight").T

    grid = functional.conv2d(batch, state["patch_embed.weight"], state["patch_embed.bias"], stride=14)
    side = grid.shape[2]
    patches = [(row / (side - 1), column / (side - 1)) for row in range(side) for column in range(side)]
    edge = [(i / 4, 0.0) for i in range(4)] + [(1.0, i / 4) for i in range(4)]
    edge += [(1 - i / 4, 1.0) for i in range(4)] + [(0.0, 1 - i / 4) for i in range(4)]
    places = torch.tensor(edge + patches)
    tokens = torch.cat([state["registers"].expand(len(batch), -1, -1), grid.flatten(2).transpose(1, 2)], dim=1)
    for index in range(2):
        tokens = block(f"encoder.blocks.{index}", tokens, places)
    tokens = norm(tokens)
    asked = state["mask_token"].expand(len(batch), side * side, -1)
    predicted = block("decoder.blocks.0", asked, places[16:], tokens, places)
    return tokens[:, 16:], norm(predicted)


def test_capi(tmp_path: Path) -> None:
    """CAPI's feature is the mean of what its predictor's first block says of every place; registers are no patches."""
    network = randomised(capi.build(width=64, heads=2, predictor_width=32, predictor_depth=2))
    state = network.state_dict()
    patches, predicted = of_capi(state, images(56))
    content = under("backbone.", state, "head.last_layer.weight_g")
    backbone = load(tmp_path, content, "capi")
    assert backbone.default_pooling == "predicted"
    assert_same(backbone.forward(images(56), "patch_mean").pooled, patches.mean(1))
    assert_same(backbone.forward(images(56), "predicted").pooled, predicted.mean(1))
