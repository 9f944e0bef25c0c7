"""Run our frozen segmentation and the authors' own code on the same draws, and compare what comes of each part.

    python -m benchmarks.dense_parity FOLDER

FOLDER holds clones of facebookresearch's dinov3 and vpariza's open-hummingbird-eval. Only the functions and classes
named below are taken from their files, so that none of their packages need be installed.
"""

from __future__ import annotations

import argparse
import math
import sys
import typing
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from packaging.version import Version
from PIL import Image
from torch import nn
from torchvision import transforms
from torchvision.transforms import functional as pictures
from torchvision.transforms import v2
from torchvision.tv_tensors import Mask

from benchmarks.heads_parity import largest, taken
from ssl_bench.heads.linear import Linear
from ssl_bench.images.dense import JointAugmentation, cropped, distorted
from ssl_bench.protocols import _dense, _masks, segmentation_knn
from ssl_bench.solvers.neighbours import nearest

DRAWS = 100
TYPES = {
    name: getattr(typing, name) for name in ("Any", "Callable", "List", "Literal", "Optional", "Sequence", "Tuple")
}


class Legacy:
    """NumPy's old generator by the names of the new."""

    def __init__(self, seed: int) -> None:
        self.state = np.random.RandomState(seed)

    def uniform(self, low: float, high: float) -> float:
        return float(self.state.random_sample() * (high - low) + low)

    def integers(self, low: int, high: int) -> int:
        return int(self.state.randint(low, high))

    def random(self) -> float:
        return float(self.state.random_sample())


class Coins(Legacy):
    """The same, with `randint(2)` where a change is made or not, and `uniform` for how much."""

    def uniform(self, low: float, high: float) -> float:
        return float(self.state.uniform(low, high))

    def random(self) -> float:
        return 0.0 if self.state.randint(2) else 1.0


def scene() -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """A picture of gradients and a mask of six classes in blocks."""
    rows, columns = np.mgrid[:90, :130]
    image = np.stack([columns * 2 % 256, rows * 3 % 256, (rows + columns) % 256], axis=2).astype(np.uint8)
    labels = np.random.default_rng(0).integers(0, 6, (9, 13)).repeat(10, 0).repeat(10, 1).astype(np.uint8)
    return image, labels


def rates(folder: Path) -> float:
    """The rates of 400 steps, of the peak's share."""
    base = {"math": math, "Version": Version, "TORCH_VERSION": Version("2.4"), **TYPES}
    scheduler = torch.optim.lr_scheduler
    given = {
        **base,
        "LRScheduler": scheduler.LRScheduler,
        "Optimizer": torch.optim.Optimizer,
        "torch_schedulers": scheduler,
    }
    names = {"annealing_cos", "annealing_linear", "WarmupOneCycleLR"}
    theirs = taken(folder / "dinov3/dinov3/eval/segmentation/schedulers.py", names, **given)
    optimiser = torch.optim.AdamW([torch.zeros(1, requires_grad=True)], lr=1e-3)
    settings = {"warmup_iters": 15, "warmup_ratio": 1e-6, "final_div_factor": float("inf"), "pct_start": 0}
    moved = theirs.WarmupOneCycleLR(
        optimiser, max_lr=1e-3, total_steps=400, use_beta1=False, update_momentum=False, **settings
    )
    wanted = []
    for step in range(400):
        wanted.append(optimiser.param_groups[0]["lr"])
        optimiser.step()
        if step:
            moved.step()
    return float(np.abs(np.array(wanted) - _dense.Course(400, 16, 1e-3, 1e-3, 15).rates()).max() / 1e-3)


def crops(folder: Path) -> tuple[int, int]:
    """Crops of images and masks, and changes of colours, that differ, of 100 draws."""
    names = {"FixedSideResize", "RandomCropWithLabel", "PhotoMetricDistortion"}
    path = folder / "dinov3/dinov3/eval/segmentation/transforms.py"
    theirs = taken(path, names, np=np, T=transforms, Fv=pictures, **TYPES)
    image, labels = scene()
    modes = transforms.InterpolationMode
    resize = theirs.FixedSideResize(64, modes.BILINEAR, modes.NEAREST, (0.5, 2.0), "whole")
    crop, colours = theirs.RandomCropWithLabel((64, 64)), theirs.PhotoMetricDistortion()
    apart, recoloured = 0, 0
    for seed in range(DRAWS):
        np.random.seed(seed)
        mask = Mask(torch.from_numpy(labels)[None])
        shown, said = crop(*v2.PILToTensor()(*resize(Image.fromarray(image), mask)))
        if np.random.rand() < 0.5:
            shown, said = pictures.hflip(shown), pictures.hflip(said)
        ours: Any = cropped(image, labels, JointAugmentation(64, 64, distort=False), Legacy(seed))  # type: ignore[arg-type]
        same = np.array_equal(shown.numpy(), ours[0]) and np.array_equal(np.asarray(said)[0], ours[1])
        apart += not same
        np.random.seed(seed)
        whole = np.ascontiguousarray(image.transpose(2, 0, 1))
        wanted = colours(torch.from_numpy(whole), None)[0].numpy()
        coins: Any = Coins(seed)
        recoloured += not np.array_equal(wanted, distorted(whole, JointAugmentation(), coins).astype(np.float32))
    return apart, recoloured


def head(folder: Path) -> tuple[float, float, float]:
    """Logits in training, the gradient of the loss, and the logits of windows."""
    place = folder / "dinov3/dinov3/eval/segmentation"
    linear = taken(place / "models/heads/linear_head.py", {"LinearHead"}).LinearHead([24], 7)
    linear.batchnorm_layer = nn.BatchNorm2d(24)  # what SyncBatchNorm is in one process
    ours, maps = Linear(24, 7), torch.randn(4, 24, 5, 6)
    norm = {f"norm.{name}": value for name, value in linear.batchnorm_layer.state_dict().items()}
    ours.load_state_dict(norm | {f"conv.{name}": value for name, value in linear.conv.state_dict().items()})
    torch.manual_seed(3)
    wanted = linear([maps])
    torch.manual_seed(3)
    logits = largest((wanted, ours(maps)))
    names = {"CrossEntropyLoss", "weight_reduce_loss", "reduce_loss"}
    loss = taken(place / "loss.py", names).CrossEntropyLoss()
    labels = torch.randint(0, 7, (4, 40, 48))
    labels[:, :5] = 255
    leaf, whole = wanted.detach().requires_grad_(), wanted.detach().requires_grad_()
    value = _masks.cross_entropy(leaf, labels, (40, 48), 8)
    other = loss(F.interpolate(whole, size=(40, 48), mode="bilinear", align_corners=False), labels)
    other.backward()
    assert leaf.grad is not None
    assert whole.grad is not None
    gradient = max(largest((leaf.grad, whole.grad)), abs(value - float(other.detach())))
    slide = taken(place / "inference.py", {"slide_inference"}, **TYPES).slide_inference
    convolution, image = nn.Conv2d(3, 7, 5, padding=2), torch.randn(1, 3, 60, 97)
    model: Any = type("Model", (), {"predict": lambda self, images, rescale_to: convolution(images)})()
    with torch.no_grad():
        theirs = slide(image, model, n_output_channels=7, crop_size=(32, 32), stride=(21, 21))[0]
        return logits, gradient, largest((theirs, _dense.slid(image, convolution, 32, 21, 4)))


def neighbours(folder: Path) -> tuple[float, int, float]:
    """Labels of places, images whose sampled places differ, and what neighbours say."""
    path = folder / "open-hummingbird-eval/hbird/hbird_eval.py"
    them = taken(path, {"HbirdEvaluation"}, np=np, **TYPES, Dict=dict).HbirdEvaluation
    theirs = them.__new__(them)
    theirs.num_sampled_features = 10
    labels = torch.randint(0, 5, (4, 1, 3, 3)).repeat_interleave(16, 2).repeat_interleave(16, 3)
    labels[:, :, 3:9, 3:30] = 1
    features, cells = torch.randn(4, 36, 16), theirs._patchify_gt(labels, 8)
    shares = F.one_hot(cells, 5).float().mean(3).flatten(1, 2)
    counts = [segmentation_knn.counted(mask[0].numpy().astype(np.uint8), (6, 6), 8, 5) for mask in labels]
    marked = float(np.abs(np.stack(counts) / 64 - shares.numpy()).max())
    torch.manual_seed(7)
    _, sampled = theirs._sample_features(features, cells, 5)
    torch.manual_seed(7)
    draws: Any = type("Torch", (), {"random": lambda self, size: torch.rand(size).numpy()})()
    kept = [segmentation_knn.chosen(one, 10, draws).tolist() for one in counts]
    differ = sum(sorted(one.tolist()) != other for one, other in zip(sampled, kept, strict=True))
    bank, queries = F.normalize(features.flatten(0, 1), dim=-1), torch.randn(72, 16)
    near = (queries @ bank.T).topk(7, 1).indices
    values = shares.flatten(0, 1)
    wanted = theirs._cross_attention(queries[None], bank[near][None], values[near][None])[0]
    found = segmentation_knn.carried(nearest(bank.numpy(), queries.numpy(), 7), values.numpy(), 0.02)
    return marked, differ, float(np.abs(found - wanted.numpy()).max())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    torch.manual_seed(0)
    apart, recoloured = crops(folder)
    logits, gradient, slid = head(folder)
    marked, differ, said = neighbours(folder)
    print(f"torch {torch.__version__}; largest absolute differences", file=sys.stdout)
    print(f"segmentation_linear  rates of 400 steps, of the highest      {rates(folder):.1e}")
    print(f"segmentation_linear  crops of image and mask that differ     {apart} of {DRAWS}")
    print(f"segmentation_linear  changed colours that differ             {recoloured} of {DRAWS}")
    print(f"segmentation_linear  logits in training                      {logits:.1e}")
    print(f"segmentation_linear  loss and its gradient                   {gradient:.1e}")
    print(f"segmentation_linear  logits of overlapping windows           {slid:.1e}")
    print(f"segmentation_knn     shares of classes of places             {marked:.1e}")
    print(f"segmentation_knn     images whose sampled places differ      {differ} of 4")
    print(f"segmentation_knn     what neighbours say of a place          {said:.1e}")


if __name__ == "__main__":
    main()
