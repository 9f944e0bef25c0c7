"""A run that is killed goes on to the same bits."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from ssl_bench.errors import UsageError
from ssl_bench.training import Mix, train
from tests.training import small

CHANGES = {"steps": 40, "mixup": Mix(0.8, 1.0), "ema": 0.8, "clip": 1.0, "schedule": "cosine"}


class Killed(BaseException):
    """Stands for the end of the process."""


def _run(state: Path | None, until: int = 1000, **how: object):
    """Train a ViT with stochastic depth, dropout and evaluations; end at a step as a killed process does."""
    network, done = small.network(drop_path=0.3, dropout=0.1), 0

    def advance(count: int) -> None:
        nonlocal done
        done += count
        if done >= until:
            raise Killed

    history = train(
        network,
        small.groups(network),
        small.batches(12),
        small.settings(**(CHANGES | how)),
        seed=3,
        state=state,
        identity="a digest",
        advance=advance,
        evaluate=lambda step: {"sum": float(network.head.weight.detach().sum()), "bias": network.head.bias.detach()},
        every=9,
        keep_seconds=0.0,
    )
    return network, history


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float16"])
@pytest.mark.parametrize("optimiser", ["adamw", "sgd"])
def test_a_run_that_ends_early_goes_on_to_the_same_bits(optimiser: str, precision: str, tmp_path: Path) -> None:
    """Weights, losses and evaluations are the uninterrupted run's bit for bit, whenever it was ended."""
    how = {"optimiser": optimiser, "momentum": 0.9, "precision": precision}
    network, history = _run(None, **how)
    for until in (1, 10, 18, 33):
        with pytest.raises(Killed):
            _run(tmp_path / "state.pt", until, **how)
    again, told = _run(tmp_path / "state.pt", **how)
    assert all(map(torch.equal, network.state_dict().values(), again.state_dict().values()))
    assert (told.losses, told.rates, told.skipped) == (history.losses, history.rates, history.skipped)
    assert [step for step, _ in told.evaluations] == [9, 18, 27, 36, 40]
    for (_, one), (_, other) in zip(told.evaluations, history.evaluations, strict=True):
        assert one["sum"] == other["sum"]
        assert torch.equal(one["bias"], other["bias"])


def test_a_run_that_is_done_is_not_run_again(tmp_path: Path) -> None:
    """The file of a run that ended gives network and history without a step."""
    network, history = _run(tmp_path / "state.pt")
    heard: list[int] = []
    again = small.network(seed=8, drop_path=0.3, dropout=0.1)
    told = train(
        again,
        small.groups(again),
        lambda *given: pytest.fail("data was asked for"),
        small.settings(**CHANGES),
        seed=3,
        state=tmp_path / "state.pt",
        identity="a digest",
        advance=heard.append,
    )
    assert heard == [40]
    assert told.losses == history.losses
    assert all(map(torch.equal, network.state_dict().values(), again.state_dict().values()))


@pytest.mark.parametrize("change", [{"rate": 2e-3}, {"mixup": None}, {"steps": 41}])
def test_another_recipe_does_not_go_on_from_a_state(change: dict[str, object], tmp_path: Path) -> None:
    """A state of other settings is refused in one line, and stays as it was."""
    with pytest.raises(Killed):
        _run(tmp_path / "state.pt", 5)
    before = (tmp_path / "state.pt").read_bytes()
    with pytest.raises(UsageError, match=r"state\.pt is the state of a run with another recipe"):
        _run(tmp_path / "state.pt", **change)
    assert (tmp_path / "state.pt").read_bytes() == before


def test_a_damaged_state_is_named(tmp_path: Path) -> None:
    """A file that is no state is refused in one line that says what to do."""
    (tmp_path / "state.pt").write_bytes(b"not a state")
    with pytest.raises(UsageError, match=r"state\.pt holds no state of a training run .* remove it"):
        _run(tmp_path / "state.pt")


def test_fewer_images_at_once_may_be_asked_for_where_memory_ran_out(tmp_path: Path) -> None:
    """A run goes on with as many images at once as it had, or with fewer where these are asked for."""
    settings, state = small.settings(), tmp_path / "state.pt"
    for at_once, used in ((6, 6), (0, 6), (2, 2), (8, 2)):
        network = small.network()
        how = {"seed": 0, "state": state, "at_once": at_once}
        assert train(network, small.groups(network), small.batches(12), settings, **how).at_once == used


def test_a_state_of_another_network_is_named(tmp_path: Path) -> None:
    """A file whose tensors have other names or shapes is refused in one line."""
    network, other = small.network(), torch.nn.Sequential(small.network())
    how = {"seed": 0, "state": tmp_path / "state.pt"}
    train(network, small.groups(network), small.batches(12), small.settings(), **how)
    with pytest.raises(UsageError, match=r"state\.pt does not fit this network; remove it"):
        train(other, small.groups(other), small.batches(12), small.settings(), **how)


def test_what_float16_is_scaled_by_goes_on(tmp_path: Path) -> None:
    """A scale that a step beyond float16 halved is still halved after a kill."""

    def loud(first: int, places: object, size: int):
        for step, (images, labels) in enumerate(small.batches(12)(first, places, size), first):
            yield images * (1e9 if step == 2 else 1.0), labels

    def go_on(until: int) -> float:
        network, heard = small.network(), []

        def advance(count: int) -> None:
            heard.append(count)
            if sum(heard) == until:
                raise Killed

        how = {"seed": 0, "state": tmp_path / "state.pt", "keep_seconds": 0.0, "advance": advance}
        with contextlib.suppress(Killed):
            train(network, small.groups(network), loud, small.settings(precision="float16"), **how)
        return torch.load(tmp_path / "state.pt", weights_only=True)["updater"]["scaler"]["scale"]

    assert go_on(2) == 65536
    assert go_on(5) == 32768
    assert go_on(100) == 32768


@pytest.mark.slow
def test_a_process_that_is_killed_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    """A process killed by SIGKILL at random moments, and started until it ends, gives the uninterrupted weights."""
    code = (
        "import sys, time, torch\nfrom pathlib import Path\nfrom tests.training import test_resume\n"
        "print('started', flush=True)\n"
        "network, history = test_resume._run(Path(sys.argv[1]), steps=200)\n"
        "torch.save(network.state_dict(), sys.argv[2])"
    )
    words = [sys.executable, "-c", code, str(tmp_path / "state.pt"), str(tmp_path / "weights.pt")]
    moments, ends = random.Random(0), []
    for _ in range(40):
        process = subprocess.Popen(words, cwd=Path(__file__).parents[2], stdout=subprocess.PIPE, env=os.environ)
        assert process.stdout is not None
        process.stdout.readline()
        if len(ends) < 5:
            time.sleep(moments.uniform(0.1, 0.6))
            process.send_signal(signal.SIGKILL)
        process.communicate()
        ends.append(process.returncode)
        if process.returncode == 0:
            break
    assert ends.count(-signal.SIGKILL) >= 3, ends
    assert ends[-1] == 0
    network, _ = _run(None, steps=200)
    found = torch.load(tmp_path / "weights.pt", weights_only=True)
    assert all(torch.equal(tensor, found[name]) for name, tensor in network.state_dict().items())
