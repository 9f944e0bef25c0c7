"""The loop: a batch is a batch however it is cut, and what is asked for is done."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from ssl_bench.errors import MissingError, UsageError
from ssl_bench.training import Group, History, Mix, Settings, train
from tests.training import small

EVERYTHING = {"mixup": Mix(0.8, 1.0), "label_smoothing": 0.1, "clip": 0.5, "ema": 0.7}
"""What a recipe may ask for besides, all at once."""


def _trained(settings: Settings, *, dtype: torch.dtype = torch.float64, **how: object) -> tuple[nn.Module, History]:
    """Return a ViT with stochastic depth, trained, and the history."""
    network = small.network(drop_path=0.5, dtype=dtype)
    history = train(network, small.groups(network), small.batches(settings.batch, dtype), settings, seed=1, **how)  # type: ignore[arg-type]
    return network, history


def _distance(one: nn.Module, other: nn.Module) -> float:
    """Return the largest difference between two networks' tensors."""
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return max(float((a - b).abs().max()) for a, b in pairs)


def test_training_lowers_the_loss_and_tells_its_history() -> None:
    """A network learns what is in the images; the history has a loss and a rate per step, and advance hears of each."""
    network, heard = small.network(), []
    history = train(
        network, small.groups(network), small.batches(12), small.settings(steps=60), seed=0, advance=heard.append
    )
    assert sum(history.losses[-5:]) < 0.6 * sum(history.losses[:5])
    assert len(history.rates) == len(history.losses) == sum(heard) == 60
    assert history.at_once == 12
    assert history.images_per_second(12) == pytest.approx(60 * 12 / history.seconds)
    assert history.peak_memory_mb > 0
    assert not network.training


@pytest.mark.parametrize("at_once", [1, 2, 5, 8])
def test_accumulation_gives_what_the_whole_batch_gives(at_once: int) -> None:
    """In float64, micro-batches of any size give the whole batch's losses and weights, mixing, stochastic depth,
    clipping and averaging included."""
    settings = small.settings(**EVERYTHING)
    whole, expected = _trained(settings)
    cut, found = _trained(settings, at_once=at_once)
    assert expected.at_once == 12
    assert found.at_once == at_once
    assert found.losses == pytest.approx(expected.losses, rel=1e-12)
    assert _distance(whole, cut) < 1e-12


def test_an_odd_batch_is_taken_whole_too() -> None:
    """The middle image of an odd batch has no partner, and nothing is lost."""
    settings = small.settings(batch=7, **EVERYTHING)
    assert _distance(_trained(settings)[0], _trained(settings, at_once=4)[0]) < 1e-12


def test_the_seed_decides_what_is_drawn() -> None:
    """The same seed gives the same bits, and another one other losses."""
    settings = small.settings(**EVERYTHING)
    first, history = _trained(settings)
    again, _ = _trained(settings)
    assert _distance(first, again) == 0
    network = small.network(drop_path=0.5, dtype=torch.float64)
    other = train(network, small.groups(network), small.batches(12, torch.float64), settings, seed=2)
    assert other.losses != history.losses


def test_a_run_leaves_the_callers_generator_alone() -> None:
    """What the caller draws after a run is what it would have drawn without."""
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    _trained(small.settings(steps=2, warmup=0))
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize("optimiser", ["adamw", "sgd"])
def test_updates_are_those_of_a_plain_loop(optimiser: str) -> None:
    """Losses and weights are those of torch's optimiser in a loop of ten lines, with groups, decay and clipping."""
    network = small.network(dtype=torch.float64)
    plain = copy.deepcopy(network)
    settings = small.settings(optimiser=optimiser, momentum=0.9, nesterov=True, schedule="constant", warmup=0, clip=0.3)
    history = train(network, small.groups(network), small.batches(12, torch.float64), settings, seed=0)
    listed = [
        {"params": g.parameters, "lr": settings.rate * g.rate_scale, "weight_decay": g.decay}
        for g in small.groups(plain)
    ]
    own = torch.optim.AdamW(listed) if optimiser == "adamw" else torch.optim.SGD(listed, momentum=0.9, nesterov=True)
    given = small.batches(12, torch.float64)(0, range(12), 12)
    for expected in history.losses:
        images, labels = next(given)
        loss = nn.functional.cross_entropy(plain(images), labels)
        own.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(plain.parameters(), 0.3)
        own.step()
        assert float(loss.detach()) == pytest.approx(expected, rel=1e-12)
    assert _distance(network, plain) < 1e-12


def test_the_average_is_of_weights_and_buffers() -> None:
    """The network ends with a ← d a + (1 - d) w over the steps, buffers included."""
    seen: list[dict[str, Tensor]] = []

    class Watched(nn.Sequential):
        def forward(self, images: Tensor) -> Tensor:
            if self.training:
                seen.append({name: tensor.detach().clone() for name, tensor in self.state_dict().items()})
            return super().forward(images)

    def build() -> nn.Module:
        torch.manual_seed(0)
        return Watched(nn.Conv2d(3, 4, 8), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4 * 81, small.CLASSES)).double()

    plain, averaged = build(), build()
    data = small.batches(12, torch.float64)
    train(plain, small.groups(plain), data, small.settings(), seed=0)
    own = [*seen[1:], plain.state_dict()]
    start = seen[0]
    train(averaged, small.groups(averaged), data, small.settings(ema=0.7), seed=0)
    for name, found in averaged.state_dict().items():
        expected = start[name]
        for weights in own:
            expected = 0.7 * expected + 0.3 * weights[name] if expected.is_floating_point() else weights[name]
        assert torch.allclose(found, expected, atol=1e-12), name


def test_evaluations_see_the_average_and_change_nothing() -> None:
    """`evaluate` is asked when due and at the end, of averaged weights in eval mode, and training is as without."""
    settings = small.settings(steps=7, ema=0.5)
    network, asked = small.network(), []

    def evaluate(step: int) -> dict[str, float]:
        assert not network.training
        asked.append(network.head.weight.detach().clone())
        return {"first": float(network.head.weight.detach().flatten()[0])}

    history = train(network, small.groups(network), small.batches(12), settings, seed=0, evaluate=evaluate, every=3)
    assert [step for step, _ in history.evaluations] == [3, 6, 7]
    assert torch.equal(asked[-1], network.head.weight)
    alone = small.network()
    assert train(alone, small.groups(alone), small.batches(12), settings, seed=0).losses == history.losses
    assert _distance(alone, network) == 0


def test_parameters_outside_the_groups_stay_as_they_are() -> None:
    """Only the groups' parameters move, and batch normalisation that is frozen keeps its statistics."""
    network = nn.Sequential(nn.Conv2d(3, 4, 8), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4 * 81, small.CLASSES))
    before = copy.deepcopy(network)
    head = [*network[3].parameters()]
    train(network, [Group(head)], small.batches(12), small.settings(), seed=0)
    assert _distance(network[:2], before[:2]) == 0
    assert _distance(network[3], before[3]) > 0


class Hungry(nn.Module):
    """Wants more memory than there is for more than `most` images, in the forward or in the backward pass."""

    def __init__(self, most: int, where: str) -> None:
        super().__init__()
        self.network, self.most, self.where = small.network(dtype=torch.float64), most, where

    def forward(self, images: Tensor) -> Tensor:
        if len(images) > self.most:
            if self.where == "forward":
                self.fail()
            images = images.clone().requires_grad_()
            images.register_hook(self.fail)  # after the gradients of most parameters
        logits: Tensor = self.network(images)
        return logits

    def fail(self, *given: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate more than there is")


@pytest.mark.parametrize("where", ["forward", "backward"])
def test_where_memory_runs_out_fewer_images_pass_at_once(where: str) -> None:
    """The batch stays what it is: the losses are those of a machine with more memory."""
    settings = small.settings(mixup=Mix(0.8, 1.0))
    roomy, tight = Hungry(12, where), Hungry(3, where)
    expected = train(roomy, small.groups(roomy), small.batches(12, torch.float64), settings, seed=0)
    found = train(tight, small.groups(tight), small.batches(12, torch.float64), settings, seed=0)
    assert (expected.at_once, found.at_once) == (12, 3)
    assert found.losses == pytest.approx(expected.losses, rel=1e-12)
    assert _distance(roomy, tight) < 1e-12


def test_no_room_for_one_image_is_one_clear_line() -> None:
    """Where one image at a time is too much, the error says what would need less."""
    network = Hungry(0, "forward")
    with pytest.raises(MissingError, match="one image at a time does not fit into memory: train in bfloat16"):
        train(network, small.groups(network), small.batches(12, torch.float64), small.settings(), seed=0)


def test_a_loss_that_is_no_number_is_told_with_its_step(tmp_path: Path) -> None:
    """The error names the step, the rate and the file that keeps the state before it."""
    network = small.network()
    given = small.batches(12)

    def broken(first: int, places: object, size: int):
        for step, (images, labels) in enumerate(given(first, places, size), first):
            yield images * (float("nan") if step == 5 else 1.0), labels

    state = tmp_path / "state.pt"
    with pytest.raises(UsageError, match=r"step 6 of 8: the loss is nan; use a rate below 0.01.*state\.pt"):
        train(network, small.groups(network), broken, small.settings(), seed=0, state=state)
    assert len(torch.load(state, weights_only=True)["losses"]) == 5
    assert all(torch.isfinite(parameter).all() for parameter in network.parameters())


def test_float16_leaves_out_what_it_cannot_hold_and_gives_up_in_the_end() -> None:
    """A gradient beyond float16 costs a step, which the history names; twenty in a row are an error."""
    network, given = small.network(), small.batches(12)

    def loud(first: int, places: object, size: int):
        for step, (images, labels) in enumerate(given(first, places, size), first):
            yield images * (1e9 if step in bad else 1.0), labels

    bad: object = {3}
    settings = small.settings(precision="float16")
    history = train(network, small.groups(network), loud, settings, seed=0)
    assert 3 in history.skipped
    assert len(history.skipped) < 4
    assert history.nonfinite == 1
    assert all(torch.isfinite(parameter).all() for parameter in network.parameters())
    bad = range(100)
    with pytest.raises(UsageError, match=r"step 20 of 100: the gradients of 20 steps in a row .*or bfloat16"):
        train(network, small.groups(network), loud, small.settings(steps=100, precision="float16"), seed=0)


def test_bfloat16_stays_near_float32() -> None:
    """Arithmetic in bfloat16 moves the losses by a few per cent, and the weights stay float32."""
    losses = {}
    for precision in ("float32", "bfloat16"):
        network, history = _trained(small.settings(precision=precision), dtype=torch.float32)
        losses[precision] = history.losses
        assert network.head.weight.dtype == torch.float32
    assert losses["bfloat16"] != losses["float32"]
    assert losses["bfloat16"] == pytest.approx(losses["float32"], rel=0.03)


@pytest.mark.parametrize(
    ("changes", "said"),
    [({"steps": 0}, "steps must be at least 1"), ({"warmup": 8}, "leaves nothing"), ({"batch": 0}, "batch must be")],
)
def test_settings_that_no_run_can_have_are_refused(changes: dict[str, int], said: str) -> None:
    """A run without steps, images or anything after its warm-up is refused when it is written down."""
    with pytest.raises(UsageError, match=said):
        small.settings(**changes)
