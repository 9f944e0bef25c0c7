"""The loop compiled, and on a GPU: the losses of the plain loop on the CPU, to the arithmetic's precision."""

from __future__ import annotations

import pytest
import torch

from ssl_bench.training import History, Mix, train
from tests.training import small


def _trained(device: str, *, drop_path: float = 0.0, **changes: object) -> History:
    network = small.network(drop_path=drop_path).to(device)
    settings = small.settings(**({"steps": 6, "mixup": Mix(0.8, 1.0), "clip": 1.0, "ema": 0.9} | changes))
    return train(network, small.groups(network), small.batches(12, device=device), settings, seed=1, at_once=12)


@pytest.mark.slow
def test_a_compiled_network_gives_the_same_losses() -> None:
    """Compiling changes no loss beyond rounding, stochastic depth included, and evaluations between change nothing."""
    plain, compiled = (_trained("cpu", drop_path=0.5, compile=yes) for yes in (False, True))
    assert compiled.losses == pytest.approx(plain.losses, rel=1e-5)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize(("precision", "tolerance"), [("float32", 1e-3), ("bfloat16", 3e-2), ("float16", 1e-2)])
def test_a_gpu_gives_the_losses_of_the_cpu(precision: str, tolerance: float, compiled: bool) -> None:
    """On a GPU, in each precision and compiled or not, losses are those of float32 on the CPU, to its rounding."""
    found = _trained("cuda", precision=precision, compile=compiled)
    assert found.losses == pytest.approx(_trained("cpu").losses, rel=tolerance)
    assert found.peak_memory_mb > 0


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
def test_a_gpu_that_is_too_small_halves_what_passes_at_once() -> None:
    """Where a GPU's memory runs out, fewer images pass at once, and the losses are those of the whole batch."""
    whole = _trained("cuda")
    torch.cuda.empty_cache()
    total = torch.cuda.mem_get_info()[1]
    network = torch.nn.Sequential(Wide(total), small.network()).cuda()
    settings = small.settings(steps=6, mixup=Mix(0.8, 1.0), clip=1.0, ema=0.9)
    found = train(network, small.groups(network), small.batches(12, device="cuda"), settings, seed=1, at_once=12)
    assert found.at_once == 3
    assert found.losses == pytest.approx(whole.losses, rel=1e-3)


class Wide(torch.nn.Module):
    """Asks for more memory than there is for more than three images."""

    def __init__(self, total: int) -> None:
        super().__init__()
        self.total = total

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        if len(images) > 3:
            torch.empty(self.total + 1, dtype=torch.uint8, device=images.device)
        return images
