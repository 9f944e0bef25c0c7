"""The detector beside torchvision's own, of the same weights."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision.models.detection import FasterRCNN, MaskRCNN

from ssl_bench.heads.rcnn import Detector, Example

SIDE, CHANNELS = 64, 8


class Levels(nn.Module):
    """Four levels of an image, by pooling and a 1x1 convolution each."""

    def __init__(self) -> None:
        super().__init__()
        self.wide = nn.ModuleList(nn.Conv2d(3, CHANNELS, 1) for _ in range(4))

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        return {str(i): one(functional.avg_pool2d(images, 4 << i)) for i, one in enumerate(self.wide)}


class Five(nn.Module):
    """Those levels and torchvision's fifth, as its own pyramid gives them."""

    out_channels = CHANNELS

    def __init__(self, levels: nn.Module) -> None:
        super().__init__()
        self.levels = levels

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        found = self.levels(images)
        return {**found, "pool": functional.max_pool2d(found["3"], 1, 2)}


@pytest.mark.parametrize("masks", [False, True])
def test_parity_with_torchvision(masks: bool) -> None:
    """Losses and found objects, classes from 0 on, are those of torchvision's R-CNN on images that fill the square."""
    torch.manual_seed(0)
    detector = Detector(Levels(), 2, masks=masks, channels=CHANNELS, anchor=8, samples=16)
    plain = {"image_mean": [0.0] * 3, "image_std": [1.0] * 3, "min_size": SIDE, "max_size": SIDE}
    plain["_skip_resize"] = True  # in training it would draw a size, and so change all later draws
    whole = (MaskRCNN if masks else FasterRCNN)(Five(detector.pyramid), 3, **plain)
    whole.rpn, whole.roi_heads = detector.proposals, detector.heads
    images = torch.rand(2, 3, SIDE, SIDE)
    boxes = torch.tensor([[4.0, 4.0, 30.0, 30.0], [20.0, 10.0, 60.0, 50.0]])
    inside = torch.zeros(2, SIDE, SIDE, dtype=torch.uint8)
    inside[0, 4:30, 4:30] = inside[1, 10:50, 20:60] = 1
    labels = torch.tensor([1, 0])
    examples = [Example(image, (SIDE, SIDE), boxes, labels, inside if masks else None) for image in images]
    target = {"boxes": boxes, "labels": labels + 1} | ({"masks": inside} if masks else {})

    torch.manual_seed(1)
    mine = detector.train()(examples)
    torch.manual_seed(1)
    theirs = sum(whole.train()(list(images), [target, target]).values())
    torch.testing.assert_close(mine, theirs, rtol=0, atol=1e-6)

    with torch.no_grad():
        found = detector.eval()(examples)
        expected = whole.eval()(list(images))
    assert len(found[0].scores) > 5
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one.boxes, other["boxes"])
        torch.testing.assert_close(one.scores, other["scores"])
        assert torch.equal(one.labels + 1, other["labels"])
        assert (one.masks is not None) is masks


def test_padding_holds_no_object() -> None:
    """Nothing is found beyond what an image shows of its square."""
    torch.manual_seed(0)
    detector = Detector(Levels(), 2, channels=CHANNELS, anchor=8, samples=16).eval()
    image = torch.zeros(3, SIDE, SIDE)
    image[:, :40, :24] = torch.rand(3, 40, 24)
    with torch.no_grad():
        [found] = detector([Example(image, (40, 24))])
    assert len(found.boxes)
    assert float(found.boxes[:, [0, 2]].max()) <= 24
    assert float(found.boxes[:, [1, 3]].max()) <= 40
