"""The vision transformer as big_vision's `.npz` files keep it: its names here, and what its shapes do not show.

Source: https://github.com/google-research/big_vision, models/vit.py. Weights are (inputs, outputs), attention has an
axis of heads, and all blocks may lie in one tensor with a leading axis of layers. The activation is flax's `nn.gelu`,
the tanh approximation; the norms' epsilon is flax's, 1e-6.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ssl_bench.checkpoints import vit

HEADS = {1152: 16, 1536: 16, 1664: 16}
"""Heads of the widths whose heads are not 64 wide, besides those of `vit.HEADS`: So400m, g-opt and G."""
PREFIXES = ("opt/target/", "params/", "img/")
BLOCK = "Transformer/encoderblock"
ATTENTION = {"query": "q", "key": "k", "value": "v", "out": "proj"}
NAMES = {
    "embedding": "patch_embed.proj",
    "Transformer/encoder_norm": "norm",
    "MAPHead_0/LayerNorm_0": "attn_pool.norm",
    "MAPHead_0/MlpBlock_0/Dense_0": "attn_pool.mlp.fc1",
    "MAPHead_0/MlpBlock_0/Dense_1": "attn_pool.mlp.fc2",
    "LayerNorm_0": "norm1",
    "LayerNorm_1": "norm2",
    "LayerNorm_2": "norm2",
    "MlpBlock_0/Dense_0": "mlp.fc1",
    "MlpBlock_0/Dense_1": "mlp.fc2",
    "MlpBlock_3/Dense_0": "mlp.fc1",
    "MlpBlock_3/Dense_1": "mlp.fc2",
}
"""Flax's modules and timm's; before 2021 the parts of a block were counted through, hence LayerNorm_2, MlpBlock_3."""
POSITIONS = ("pos_embedding", "Transformer/pos_embedding", "Transformer/posembed_input/pos_embedding")


def renamed(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors by timm's names and in torch's shapes, as files that were converted before have them already.

    Raises KeyError for a file without positions.
    """
    if "patch_embed.proj.weight" in state:
        return dict(state)
    flat = _unstacked(state)
    found = {}
    for key, tensor in flat.items():
        block = re.match(rf"{BLOCK}_(\d+)/(.*)/(\w+)$", key)
        module, _, leaf = (block[2], "/", block[3]) if block else key.rpartition("/")
        start = f"blocks.{int(block[1])}." if block else ""
        if "MultiHeadDotProductAttention" in module:
            start, part = (start or "attn_pool.") + "attn." * bool(block), module.rpartition("/")[2]
            found[f"{start}{ATTENTION[part]}.{_leaf(leaf)}"] = _attention(tensor, part, leaf)
        elif module in NAMES:
            found[f"{start}{NAMES[module]}.{_leaf(leaf)}"] = _dense(tensor, leaf)
    if "MAPHead_0/probe" in flat:
        found["attn_pool.latent"] = flat["MAPHead_0/probe"]
    return {**_fused(found), **_tokens(flat)}


def heads_of(width: int) -> int:
    """Return how many heads big_vision's variants of this width have."""
    return HEADS.get(width) or vit.HEADS.get(width) or max(1, width // 64)


def _unstacked(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Give each layer of scanned blocks its own name: "encoderblock/x" (layers, …) becomes "encoderblock_i/x"."""
    found: dict[str, Tensor] = {}
    for key, tensor in state.items():
        scanned = key.startswith(f"{BLOCK}/")
        rest = key.removeprefix(BLOCK)
        found |= {f"{BLOCK}_{i}{rest}": layer for i, layer in enumerate(tensor)} if scanned else {key: tensor}
    return found


def _leaf(leaf: str) -> str:
    return "bias" if leaf == "bias" else "weight"


def _dense(tensor: Tensor, leaf: str) -> Tensor:
    """Turn (inputs, outputs) or (height, width, inputs, outputs) about; leave scales and biases alone."""
    if leaf != "kernel":
        return tensor
    return tensor.permute(3, 2, 0, 1) if tensor.ndim == 4 else tensor.T


def _attention(tensor: Tensor, part: str, leaf: str) -> Tensor:
    """Return what has an axis of heads without it: (dim, heads, each) for inputs, (heads, each, dim) for "out"."""
    if leaf == "bias":
        return tensor.flatten()
    return tensor.flatten(0, 1).T if part == "out" else tensor.flatten(1).T


def _fused(found: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Put queries, keys and values of a block into one tensor, and keys and values of the attention pooling."""
    fused = {}
    for key, tensor in found.items():
        parts = re.match(r"(.*\.)([qkv])\.(\w+)$", key)
        if parts is None or (parts[2] == "q" and parts[1].startswith("attn_pool.")):
            fused[key] = tensor
        else:
            names = "kv" if parts[1].startswith("attn_pool.") else "qkv"
            fused[f"{parts[1]}{names}.{parts[3]}"] = torch.cat([found[f"{parts[1]}{n}.{parts[3]}"] for n in names])
    return fused


def _tokens(flat: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return positions and cls; where positions were added before cls was put to them, cls gets a position of zero."""
    place = next((name for name in POSITIONS if name in flat), POSITIONS[0])
    positions = flat[place]
    if "cls" not in flat:
        return {"pos_embed": positions}
    if round(positions.shape[1] ** 0.5) ** 2 == positions.shape[1]:
        positions = torch.cat([torch.zeros_like(positions[:, :1]), positions], dim=1)
    return {"pos_embed": positions, "cls_token": flat["cls"]}


def shown_by(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """Return what a plain vision transformer shows, and the heads that belong to its width."""
    shown = vit.shown_by(state)
    return {**shown, "heads": heads_of(shown["width"])}
