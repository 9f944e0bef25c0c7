"""What is told of a job's cost, beside counters and formulas that are known."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from ssl_bench import backbones, model_zoo
from ssl_bench.backbones.base import LoadContext
from ssl_bench.meters import Meter, flops_per_image


def backbone(text: str) -> backbones.Backbone:
    return backbones.load(model_zoo.get(text), LoadContext(untrained=not text.startswith("pixels")))


def test_operations_of_a_resnet_are_the_published_number() -> None:
    """ResNet-18 at 224 pixels takes 1.814 billion multiply-adds (torchvision's table: 1.81), less its classifier."""
    flops = flops_per_image(backbone("torchvision:resnet18/IMAGENET1K_V1"), "cpu")
    assert flops is not None
    assert flops / 2 == pytest.approx(1.814e9 - 512 * 1000, rel=1e-3)


def test_operations_of_a_vit_are_those_of_its_formula() -> None:
    """A ViT of depth L, width d and n tokens takes L (12 n d² + 2 n² d) multiply-adds and its patch embedding's."""
    depth, width, tokens, patch = 12, 192, 197, 16
    products = depth * (12 * tokens * width**2 + 2 * tokens**2 * width) + 196 * 3 * patch**2 * width
    flops = flops_per_image(backbone("timm:vit_tiny_patch16_224"), "cpu")
    assert flops == pytest.approx(2 * products, rel=1e-3)


def test_what_has_no_network_has_no_operations() -> None:
    """Pixels are not computed, so no operations are told of them; a network that refuses a blank image has none."""
    assert flops_per_image(backbone("pixels"), "cpu") is None

    class Choosy(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            raise RuntimeError("not this one")

    card = model_zoo.ModelCard("choosy", "module")
    assert flops_per_image(backbones.given(card, Choosy()), "cpu") is None


def packages(folder: Path, *joules: float, span: float = 1000.0, name: str = "package") -> Path:
    """Write energy counters as Linux shows them."""
    for i, value in enumerate(joules):
        counter = folder / f"intel-rapl:{i}"
        counter.mkdir(parents=True, exist_ok=True)
        (counter / "name").write_text(f"{name}-{i}\n")
        (counter / "energy_uj").write_text(f"{round(value * 1e6)}\n")
        (counter / "max_energy_range_uj").write_text(f"{round(span * 1e6)}\n")
    return folder


def test_energy_is_summed_over_packages_and_over_their_wraps(tmp_path: Path) -> None:
    """Every package's counter counts, also one that began again; what lies inside a package is not counted twice."""
    packages(tmp_path, 10.0, 990.0)
    inner = packages(tmp_path / "x", 5.0, name="core") / "intel-rapl:0"
    inner.rename(tmp_path / "intel-rapl:0:0")
    meter = Meter("cpu", tmp_path)
    packages(tmp_path, 25.5, 4.0)
    (tmp_path / "intel-rapl:0:0" / "energy_uj").write_text("900000000")
    assert meter.read() == {"cpu_joules": pytest.approx(15.5 + 14.0)}


def test_energy_that_cannot_be_known_is_not_told(tmp_path: Path) -> None:
    """Without counters, with one that may not be read, and with one that may have begun again twice, none is told."""
    assert Meter("cpu", tmp_path / "none").read() == {}
    packages(tmp_path, 1.0)
    meter = Meter("cpu", tmp_path)
    (tmp_path / "intel-rapl:0" / "energy_uj").unlink()
    assert meter.read() == {}
    packages(tmp_path, 1.0, span=1e-9)
    assert Meter("cpu", tmp_path).read() == {}


@pytest.mark.gpu
def test_a_gpu_tells_memory_and_energy() -> None:
    """On a GPU, the tensors of a job are in its peak memory, and its energy counter moves by plausible watts."""
    if not torch.cuda.is_available():
        pytest.skip("there is no CUDA device")
    meter = Meter("cuda:0")
    square = torch.rand(4096, 4096, device="cuda:0")
    for _ in range(200):
        square = torch.nn.functional.normalize(square @ square)
    torch.cuda.synchronize()
    found = meter.read()
    assert found["peak_vram_mb"] >= 2 * 4096**2 * 4 / 1e6
    assert found["gpu_joules"] > 0
