"""Several processes, as torchrun starts them, give what one process gives."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from ssl_bench import distributed
from ssl_bench.errors import UsageError
from ssl_bench.training import History, Mix, train
from tests.training import small


def run(dtype: torch.dtype, state: Path | None = None) -> tuple[torch.nn.Module, History]:
    """Train with all that a recipe may ask for; 13 images, which no number of processes divides."""
    network = small.network(seed=distributed.rank(), drop_path=0.5, dtype=dtype)  # the first one's weights count
    settings = small.settings(batch=13, mixup=Mix(0.8, 1.0), clip=0.5, ema=0.7, label_smoothing=0.1)
    history = train(
        network,
        small.groups(network),
        small.batches(13, dtype),
        settings,
        seed=1,
        at_once=4 - 2 * distributed.rank(),  # as where one of them has less memory
        state=state,
        keep_seconds=0.0,
        evaluate=lambda step: {"rank": float(distributed.rank()), "bias": network.head.bias.detach()},
        every=3,
    )
    return network, history


def main(folder: Path) -> None:
    """Be one of the processes."""
    distributed.join("cpu")
    for dtype in (torch.float64, torch.float32):
        name = f"{str(dtype).removeprefix('torch.')}-{distributed.rank()}.pt"
        network, history = run(dtype, folder / f"{dtype}-state.pt")
        with (folder / name).open("wb") as file:
            torch.save({"network": network.state_dict(), **vars(history)}, file)
    distributed.leave()


def _processes(count: int, code: str, *words: str) -> list[subprocess.Popen[str]]:
    """Start processes with the environment that torchrun gives them."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    common = os.environ | {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": str(count)}
    return [
        subprocess.Popen(
            [sys.executable, "-c", code, *words],
            env=common | {"RANK": str(rank), "LOCAL_RANK": str(rank)},
            cwd=Path(__file__).parents[2],
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(count)
    ]


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of what two processes came to."""
    folder = tmp_path_factory.mktemp("two")
    code = "import sys\nfrom pathlib import Path\nfrom tests.training import test_processes\n"
    for process in _processes(2, f"{code}test_processes.main(Path(sys.argv[1]))", str(folder)):
        _, said = process.communicate(timeout=120)
        assert process.returncode == 0, said[-2000:]
    return folder


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 2e-4)])
def test_two_processes_give_what_one_gives(told: Path, dtype: torch.dtype, tolerance: float) -> None:
    """At the same global batch losses and averaged weights differ by rounding alone: 1e-10 in float64, 2e-4 in float32;
    and both processes hold the same bits."""
    network, history = run(dtype)
    name = str(dtype).removeprefix("torch.")
    first, second = (torch.load(told / f"{name}-{rank}.pt", weights_only=True) for rank in range(2))
    assert first["losses"] == pytest.approx(history.losses, rel=tolerance)
    assert first["losses"] == second["losses"]
    for key, tensor in network.state_dict().items():
        assert torch.allclose(tensor, first["network"][key], rtol=0, atol=tolerance), key
        assert torch.equal(first["network"][key], second["network"][key]), key


def test_the_first_process_evaluates_and_all_hear_of_it(told: Path) -> None:
    """An evaluation is the first process's, and the others have its answer."""
    first, second = (torch.load(told / f"float64-{rank}.pt", weights_only=True) for rank in range(2))
    assert [step for step, _ in second["evaluations"]] == [3, 6, 8]
    for (_, one), (_, other) in zip(first["evaluations"], second["evaluations"], strict=True):
        assert one["rank"] == other["rank"] == 0.0
        assert torch.equal(one["bias"], other["bias"])


def test_a_state_of_two_processes_is_one_that_a_single_process_goes_on_from(told: Path) -> None:
    """The file says nothing of how many processes wrote it."""
    network, history = run(torch.float64, told / "torch.float64-state.pt")
    first = torch.load(told / "float64-0.pt", weights_only=True)
    assert history.losses == first["losses"]
    assert torch.equal(network.state_dict()["head.weight"], first["network"]["head.weight"])


def test_one_process_alone_needs_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without torchrun there is one process, the first, and what it says is heard at once."""
    assert (distributed.rank(), distributed.world(), distributed.join("cpu")) == (0, 1, "cpu")
    assert distributed.said_by_first([1]) == [1]
    one = torch.ones(2)
    distributed.add([one])
    assert one.tolist() == [1, 1]


def test_an_environment_that_names_others_who_are_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """RANK and WORLD_SIZE without an address to meet at are one clear line."""
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.delenv("MASTER_ADDR", raising=False)
    with pytest.raises(UsageError, match=r"one of 2 processes, and the others are not to be found .* start them with"):
        distributed.join("cpu")


def test_a_batch_is_not_cut_into_more_than_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch of two images has no share for the second of two processes."""
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "2")
    network = small.network()
    with pytest.raises(UsageError, match="a batch of 2 images is too small for 2 processes"):
        train(network, small.groups(network), small.batches(2), small.settings(batch=2), seed=0)
