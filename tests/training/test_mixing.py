"""Mixup and CutMix against timm's, and over batches that are cut into parts."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ssl_bench.training import Mix, mixing
from ssl_bench.training.mixing import Drawn


def _by_timm(images: torch.Tensor, labels: torch.Tensor, drawn: Drawn, monkeypatch: pytest.MonkeyPatch):
    """Return what timm.data.Mixup makes of a batch with the same share and box."""
    from timm.data import mixup

    both = mixup.Mixup(mixup_alpha=0.8, cutmix_alpha=1.0, label_smoothing=0.1, num_classes=5)
    monkeypatch.setattr(both, "_params_per_batch", lambda: (drawn.share, drawn.box is not None))
    monkeypatch.setattr(mixup, "cutmix_bbox_and_lam", lambda *given, **named: (drawn.box, drawn.share))
    return both(images.clone(), labels)


@pytest.mark.parametrize("drawn", [Drawn(0.3), Drawn(0.7), Drawn(1 - 6 * 5 / 256, (2, 8, 9, 14))], ids=str)
def test_mixing_is_timms_given_the_same_share_and_box(drawn: Drawn, monkeypatch: pytest.MonkeyPatch) -> None:
    """Images, and the loss under label smoothing, are those of timm's Mixup and its soft-target cross-entropy."""
    from timm.loss import SoftTargetCrossEntropy

    generator = torch.Generator().manual_seed(0)
    images = torch.randn(8, 3, 16, 16, generator=generator)
    labels = torch.randint(5, (8,), generator=generator)
    logits = torch.randn(8, 5, generator=generator)
    expected, targets = _by_timm(images, labels, drawn, monkeypatch)
    order = torch.tensor(mixing.places(8, 0, 1))
    assert torch.allclose(mixing.mixed(images[order], drawn), expected[order], atol=1e-7)

    def entropy(labels: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.cross_entropy(logits[order], labels, label_smoothing=0.1)

    own = drawn.share * entropy(labels[order]) + (1 - drawn.share) * entropy(mixing.partners(labels[order]))
    assert float(own) == pytest.approx(float(SoftTargetCrossEntropy()(logits, targets)), rel=1e-6)


@pytest.mark.parametrize(("batch", "world"), [(8, 1), (8, 2), (10, 3), (7, 2), (1, 1), (64, 5)])
def test_places_are_cut_so_that_partners_stay_together(batch: int, world: int) -> None:
    """The processes have every place once, a place i beside its partner b - 1 - i."""
    shares = [mixing.places(batch, rank, world) for rank in range(world)]
    assert sorted(place for share in shares for place in share) == list(range(batch))
    for share in shares:
        assert mixing.partners(torch.tensor(share)).tolist() == [batch - 1 - place for place in share]


def test_draws_depend_on_seed_and_step_alone() -> None:
    """The same seed and step draw the same, others draw otherwise; a box lies in the image and has the share left."""
    mix = Mix(mixup=0.8, cutmix=1.0)
    drawn = [mixing.draw(mix, 3, step, 20, 30) for step in range(400)]
    assert drawn == [mixing.draw(mix, 3, step, 20, 30) for step in range(400)]
    assert len(set(drawn)) > 390
    assert mixing.draw(mix, 4, 0, 20, 30) != drawn[0]
    boxes = [one for one in drawn if one.box is not None]
    assert 150 < len(boxes) < 250
    for one in boxes:
        top, bottom, left, right = one.box
        assert 0 <= top <= bottom <= 20
        assert 0 <= left <= right <= 30
        assert one.share == pytest.approx(1 - (bottom - top) * (right - left) / 600)


def test_one_kind_alone_and_its_probability_are_kept() -> None:
    """Without CutMix there is no box, without mixup always one, and the probability leaves batches as they are."""
    assert all(mixing.draw(Mix(0.8, 0.0), 0, step, 9, 9).box is None for step in range(50))
    assert all(mixing.draw(Mix(0.0, 1.0), 0, step, 9, 9).box for step in range(50))
    plain = [mixing.draw(Mix(0.8, 1.0, probability=0.25), 0, step, 9, 9) == Drawn() for step in range(800)]
    assert np.mean(plain) == pytest.approx(0.75, abs=0.05)


def test_a_box_is_that_of_the_published_rule() -> None:
    """Half the area of 16 x 16 around the point (8, 3) is a box of 10 rows, and of 8 columns that lie inside."""

    class Points:
        values = iter([8, 3])

        def integers(self, size: int) -> int:
            return next(self.values)

    assert mixing._cut(0.5, Points(), 16, 16) == Drawn(1 - 10 * 8 / 256, (3, 13, 0, 8))  # int(16 √½) = 11, 11 // 2 = 5
