"""Heads on frozen maps: how fast they are trained, that a killed training goes on, and what windows say together."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from ssl_bench.errors import UsageError
from ssl_bench.heads.linear import Linear
from ssl_bench.protocols import _dense, _masks
from ssl_bench.protocols._dense import Course
from ssl_bench.protocols.base import Supply, Trial
from ssl_bench.targets import VOID


def trial_of(state: Path | None = None, precision: str = "float32") -> Trial:
    return Trial(2, 0, {"train": 1, "test": 1}, {}, Supply(), state=state, precision=precision)


def test_rates_are_those_of_the_authors_schedulers() -> None:
    """The values of DINOv3's WarmupOneCycleLR, run as its training runs it, for segmentation in 400 steps."""
    rates = Course(400, 16, 1e-3, 1e-3, warmup=15).rates()
    wanted = {
        0: 1.0000000000287558e-09,
        1: 1.0000000000287558e-09,
        2: 6.650093100000005e-05,
        14: 0.0008385001290000001,
        15: 0.000900666731,
        16: 0.000996057350657239,
        17: 0.0009955498736829874,
        399: 1.5421177605168258e-08,
    }
    for step, rate in wanted.items():
        assert rates[step] == pytest.approx(rate, rel=1e-9)


def test_the_head_by_hand() -> None:
    """In evaluation the head is W (x - mean) / sqrt(var + eps) + b; weights begin small, the bias at 0; in training
    whole channels are dropped out before the norm."""
    torch.manual_seed(0)
    head = Linear(3, 2)
    assert float(head.conv.weight.detach().abs().max()) < 0.06
    assert not head.conv.bias.any()  # type: ignore[union-attr]
    head.norm.running_mean, head.norm.running_var = torch.tensor([1.0, 2.0, 3.0]), torch.tensor([4.0, 1.0, 0.25])
    maps = torch.randn(2, 3, 4, 5)
    normed = (maps - torch.tensor([1.0, 2.0, 3.0])[:, None, None]) / (
        torch.tensor([4.0, 1.0, 0.25])[:, None, None] + 1e-5
    ).sqrt()
    wanted = torch.einsum("oc,nchw->nohw", head.conv.weight[:, :, 0, 0], normed)
    torch.testing.assert_close(head.eval()(maps), wanted)
    dropped = head.train().dropout(torch.ones(50, 3, 4, 5))
    assert dropped.mean((2, 3)).unique().tolist() == pytest.approx([0.0, 1 / 0.9])


def test_the_loss_counts_void_pixels_in_its_mean_alone() -> None:
    """The gradient, added up image by image, is that of torch's cross-entropy of all, summed, over every pixel."""
    logits = torch.randn(3, 4, 5, 5, generator=torch.Generator().manual_seed(0))
    labels = torch.randint(0, 4, (3, 40, 38), generator=torch.Generator().manual_seed(1))
    labels[:, :7] = VOID
    leaf, whole = logits.clone().requires_grad_(), logits.clone().requires_grad_()
    value = _masks.cross_entropy(leaf, labels, (40, 38), 8)
    wide = functional.interpolate(whole, size=(40, 40), mode="bilinear")[..., 1:39]
    loss = functional.cross_entropy(wide, labels, ignore_index=VOID, reduction="sum") / labels.numel()
    loss.backward()
    assert value == pytest.approx(float(loss.detach()))
    torch.testing.assert_close(leaf.grad, whole.grad)


def batches(first: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Places whose class is the sign of their first channel."""
    for step in range(first, 1000):
        images = torch.randn(4, 3, 2, 2, generator=torch.Generator().manual_seed(step))
        yield images, (images[:, 0] > 0).long()


def backward(out: Tensor, labels: Any) -> float:
    loss = functional.cross_entropy(out, labels)
    loss.backward()  # type: ignore[no-untyped-call]
    return float(loss.detach())


def fitted(trial: Trial, steps: int = 60, given: Any = batches) -> tuple[nn.Module, _dense.Fitted]:
    torch.manual_seed(0)
    head = Linear(3, 2)
    return head, _dense.fit(trial, head, Course(steps, 4, 0.05, 0.0, 3), given, lambda images: images, backward, "x")


def test_a_head_is_trained_as_by_torch_alone() -> None:
    """The same updates, rates and losses as a loop of torch's own with the gradient of the whole."""
    head, found = fitted(trial_of())
    torch.manual_seed(0)
    other = Linear(3, 2, dropout=0.0)
    other.dropout = nn.Dropout2d(0.1)
    optimiser, losses = torch.optim.AdamW(other.parameters(), weight_decay=0.0), []
    for step, (images, labels) in zip(range(60), batches(0), strict=False):
        _dense.seed_all([0, step])
        optimiser.param_groups[0]["lr"] = float(Course(60, 4, 0.05, 0.0, 3).rates()[step])
        loss = functional.cross_entropy(other(images), labels)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        losses.append(float(loss.detach()))
    assert found.losses == pytest.approx(losses)
    assert losses[-1] < 0.8 * losses[0]
    torch.testing.assert_close(head.state_dict(), other.state_dict())
    assert found.cost["images_trained"] == 240
    assert [row["step"] for row in found.curve] == list(range(3, 61, 3))
    assert not head.training


def test_a_killed_training_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was kept of a training that was ended leads to the bits of one that was not; another recipe's is refused."""
    monkeypatch.setattr(_dense, "KEEP_SECONDS", 0.0)

    def ended(first: int) -> Iterator[tuple[Tensor, Tensor]]:
        for step, batch in enumerate(batches(first), first):
            if step == 23:
                raise KeyboardInterrupt
            yield batch

    with pytest.raises(KeyboardInterrupt):
        fitted(trial_of(tmp_path), given=ended)
    asked = []

    def later(first: int) -> Iterator[tuple[Tensor, Tensor]]:
        asked.append(first)
        return batches(first)

    head, found = fitted(trial_of(tmp_path), given=later)
    whole, _ = fitted(trial_of())
    assert asked == [23]
    assert len(found.losses) == 60
    for one, other in zip(head.state_dict().values(), whole.state_dict().values(), strict=True):
        assert torch.equal(one, other)
    with pytest.raises(UsageError, match="another recipe"):
        fitted(trial_of(tmp_path), steps=61)


def test_a_loss_that_is_no_number_ends_the_training() -> None:
    """The step, the loss and what helps are named."""

    def broken(first: int) -> Iterator[tuple[Tensor, Tensor]]:
        for step, (images, labels) in enumerate(batches(first)):
            yield images / (0.0 if step == 4 else 1.0), labels

    with pytest.raises(UsageError, match=r"the loss of step 5 is nan; use a rate below 0\.05"):
        fitted(trial_of(), given=broken)


def test_windows_are_averaged() -> None:
    """What windows say of a pixel is averaged, however many pass together; an image smaller than a window is one."""
    image = torch.randn(1, 1, 5, 9, generator=torch.Generator().manual_seed(0))
    seen: list[tuple[int, ...]] = []

    def say(parts: Tensor) -> Tensor:
        seen.append(tuple(parts.shape))
        return torch.cat([parts - parts.mean((2, 3), keepdim=True), parts], dim=1)

    total, count = np.zeros((5, 9)), np.zeros((5, 9))
    for top in (0, 1):
        for left in (0, 3, 5):
            part = image[0, 0, top : top + 4, left : left + 4].numpy()
            total[top : top + 4, left : left + 4] += part - part.mean()
            count[top : top + 4, left : left + 4] += 1
    for most in (1, 4):
        found = _dense.slid(image, say, 4, 3, most)
        np.testing.assert_allclose(found[0].numpy(), total / count, atol=1e-6)
        torch.testing.assert_close(found[1], image[0, 0])
    assert seen[-2:] == [(4, 1, 4, 4), (2, 1, 4, 4)]
    _dense.slid(image, say, 100, 60, 4)
    assert seen[-1] == (1, 1, 5, 9)


def test_the_best_class_of_every_pixel() -> None:
    """The class of the largest bilinear logit, in blocks of classes as at once."""
    logits = torch.randn(21, 4, 5, generator=torch.Generator().manual_seed(0))
    wide = functional.interpolate(logits[None], size=(31, 17), mode="bilinear", align_corners=False)[0]
    wanted: NDArray[np.int64] = wide.numpy().argmax(axis=0)
    for block in (1, 16, 64):
        found = _dense.best_classes(logits, (31, 17), block)
        assert found.dtype == np.uint8
        np.testing.assert_array_equal(found, wanted)
    assert found.max() > 16
