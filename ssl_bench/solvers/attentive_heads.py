"""Classifiers that attend to the tokens of an image with one learnt query, several side by side.

With tokens x_n, and for each of the attention's parts a (of width w) of the query q, the keys' and the values' weights:

    s_n = q_a · (K_a x_n) / √w,     α = softmax(s),     z_a = Σ_n α_n (V_a x_n + c_a),     logits = W [z_1 … z_A] + b

This is AttnPoolClassifier of facebookresearch/capi, eval_classification.py, whose keys' bias adds the same to every s_n
and is left out. It is computed as s_n = (K_aᵀ q_a / √w) · x_n and z_a = V_a (Σ_n α_n x_n) + c_a, which is the same,
since Σ_n α_n = 1, and never multiplies a token by a square matrix.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Generator, Tensor

WIDTH = 64
"""Of a part of the attention, where it divides the dimension of the tokens; else there is one part."""
DEVIATION = 0.02
"""Of queries and weights at the start."""


class AttentiveHeads:
    """`heads` classifiers of tokens of one dimension."""

    def __init__(self, dim: int, classes: int, heads: int, *, generator: Generator, device: str) -> None:
        import torch

        def drawn(*shape: int) -> Tensor:
            values = torch.randn(heads, *shape, generator=generator) * DEVIATION
            return values.to(device).requires_grad_()

        def zeros(*shape: int) -> Tensor:
            return torch.zeros(heads, *shape, device=device, requires_grad=True)

        self.parts = dim // WIDTH if dim % WIDTH == 0 else 1
        self.query = drawn(dim)
        self.keys = drawn(dim, dim)  # (heads, out, in)
        self.values, self.values_bias = drawn(dim, dim), zeros(dim)
        self.weights, self.biases = drawn(classes, dim), zeros(classes)

    @property
    def parameters(self) -> tuple[Tensor, ...]:
        """All parameters, (heads, …) each; the biases are the last two."""
        return self.query, self.keys, self.values, self.weights, self.values_bias, self.biases

    def logits(self, tokens: Tensor) -> Tensor:
        """Return what the classifiers say of tokens (samples, tokens, dim): (samples, heads, classes)."""
        import torch

        heads, dim = self.query.shape
        split = (heads, self.parts, dim // self.parts)
        looked = torch.einsum("haw,hawd->had", self.query.view(split), self.keys.view(*split, dim))
        scores = tokens @ (looked / split[2] ** 0.5).flatten(0, 1).T  # (samples, tokens, heads · parts)
        seen = scores.softmax(1).transpose(1, 2) @ tokens  # (samples, heads · parts, dim)
        seen = seen.view(len(tokens), heads, self.parts, dim)
        pooled = torch.einsum("shad,hawd->shaw", seen, self.values.view(*split, dim)).flatten(2) + self.values_bias
        return torch.einsum("shd,hcd->shc", pooled, self.weights) + self.biases
