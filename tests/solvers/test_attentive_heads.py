"""Attention pools side by side: a case by hand, and torch's scaled dot product attention."""

from __future__ import annotations

import math

import pytest
import torch

from ssl_bench.solvers.attentive_heads import AttentiveHeads


def heads(dim: int, classes: int, count: int) -> AttentiveHeads:
    return AttentiveHeads(dim, classes, count, generator=torch.Generator().manual_seed(0), device="cpu")


def test_by_hand() -> None:
    """Tokens 0 and ln 3 under a query of 1 weigh 1 : 3, so the pool is ¾ ln 3, and the layer doubles it and adds 1."""
    [head] = [heads(1, 1, 1)]
    for parameter, value in zip(head.parameters, (1.0, 1.0, 1.0, 2.0, 0.0, 1.0), strict=True):
        parameter.data.fill_(value)
    said = head.logits(torch.tensor([[[0.0], [math.log(3)]]]))
    assert said.item() == pytest.approx(2 * 0.75 * math.log(3) + 1, rel=1e-6)


def test_parity_with_torchs_attention() -> None:
    """Values and gradients are those of keys and values of every token and scaled_dot_product_attention."""
    ours = heads(128, 7, 2)
    for bias in ours.parameters[-2:]:
        torch.nn.init.normal_(bias)
    tokens = torch.randn(5, 9, 128, generator=torch.Generator().manual_seed(1))
    said = ours.logits(tokens)
    said.square().sum().backward()
    gradients = [parameter.grad.clone() for parameter in ours.parameters if parameter.grad is not None]
    for parameter in ours.parameters:
        parameter.grad = None
    expected = torch.stack([peer(ours, tokens, head) for head in range(2)], dim=1)
    expected.square().sum().backward()
    torch.testing.assert_close(said, expected, rtol=0, atol=1e-5)
    for mine, parameter in zip(gradients, ours.parameters, strict=True):
        torch.testing.assert_close(mine, parameter.grad, rtol=1e-4, atol=1e-5)


def peer(heads: AttentiveHeads, tokens: torch.Tensor, head: int) -> torch.Tensor:
    """Return one classifier's logits by torch's attention with two parts of 64."""
    count = len(tokens)
    split = (count, -1, 2, 64)
    query = heads.query[head].expand(count, 1, 128).reshape(split).transpose(1, 2)
    keys = (tokens @ heads.keys[head].T).reshape(split).transpose(1, 2)
    values = (tokens @ heads.values[head].T + heads.values_bias[head]).reshape(split).transpose(1, 2)
    pooled = torch.nn.functional.scaled_dot_product_attention(query, keys, values).reshape(count, 128)
    return pooled @ heads.weights[head].T + heads.biases[head]


def test_a_dimension_that_64_does_not_divide_is_one_part() -> None:
    """96 is one part of 96; 128 are two of 64."""
    assert (heads(96, 2, 1).parts, heads(128, 2, 1).parts) == (1, 2)
