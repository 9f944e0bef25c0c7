"""`ssl_bench.run`: measuring from Python."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from ssl_bench import cards
from ssl_bench.errors import MissingError, UsageError
from ssl_bench.extraction import PRECISION
from ssl_bench.images import InputCard, InputSpec, transforms
from ssl_bench.jobs import Request, expand, parse_input
from ssl_bench.model_zoo import ModelCard
from ssl_bench.outcome import Outcome
from ssl_bench.plans.planner import Planner, missing_lines
from ssl_bench.runner import run_planned
from ssl_bench.settings import resolve

if TYPE_CHECKING:
    from torch import nn

Preprocess: TypeAlias = "InputSpec | Mapping[str, Any] | str | Callable[..., Any]"
Model: TypeAlias = "str | Path | ModelCard | nn.Module"


def run(
    model: Model | Sequence[Model],
    *,
    suite: str = "",
    task: str | Path | Sequence[str | Path] = (),
    protocol: str | Sequence[str] = (),
    seeds: Sequence[int] = (),
    preprocess: Preprocess | None = None,
    name: str = "",
    pooled: str = "default",
    input: str = "",
    precision: str = PRECISION,
    limit: int = 0,
    **flags: Any,
) -> Outcome:
    """Measure models on a suite or on tasks, as `ssl-bench run` does, and return the records.

    A model is a name, a path to a card, what `--model` takes, or a torch module: images (images, channels, height,
    width) to features (images, dim) or maps (images, dim, height, width). A module needs `preprocess`: an `InputSpec`,
    what one states, such as "size=224,resize=squash", or a transform of torchvision, timm or open_clip, which is read.
    Its records stand under `name`, or else under its class. It is copied, and known by its tensors, its structure and
    the source of its classes.

    `flags` are settings: data, weights, cache, shared_cache, results, shelf, device, batch_size, workers, compile,
    offline, mirror, progress. Raises UsageError for a wrong word, and MissingError, a line each, for absent weights and
    data. A job that fails is in `Outcome.failures`.
    """
    settings = resolve(flags).settings
    given: dict[str, nn.Module] = {}
    models: list[str | ModelCard] = []
    for one in _several(model):
        if isinstance(one, str | ModelCard):
            models.append(one)
        else:
            card = module_card(one, preprocess, name)
            if card.name in given:
                raise UsageError(f"two torch modules are called {card.name!r}; measure them one by one, by their names")
            models.append(card)
            given[card.name] = one
    if preprocess is not None and len(given) != 1:
        raise UsageError(f"preprocess belongs to one torch module, and {len(given)} are given")
    tasks, asked = _several(task), _several(protocol)
    request = Request(tuple(models), suite, tasks, (), asked, tuple(seeds), pooled, input, precision, limit)
    planned = Planner(settings).plan(expand(request, settings))
    lacking = missing_lines(planned)
    if lacking:
        raise MissingError("\n".join(lacking))
    return run_planned(planned, settings, given=given)


def _several(given: Any) -> tuple[Any, ...]:
    """Return one thing or several as a tuple, paths as text."""
    several = given if isinstance(given, list | tuple) else (given,)
    return tuple(str(one) if isinstance(one, Path) else one for one in several)


def module_card(network: Any, preprocess: Preprocess | None, name: str) -> ModelCard:
    """Return the card of a torch module that was given in Python; raise UsageError for anything else."""
    from torch import nn

    if not isinstance(network, nn.Module):
        raise UsageError(f"a model is a name, a path or a torch module, not a {type(network).__name__}")
    if preprocess is None:
        raise UsageError(
            "a torch module does not say what it is fed: give preprocess, such as "
            '"size=224,resize=short,resize_to=256" (mean and std are ImageNet\'s unless they are stated)'
        )
    if isinstance(preprocess, str):
        stated = parse_input(preprocess, "preprocess")
    elif isinstance(preprocess, InputSpec | Mapping):
        stated = cards.from_table(InputCard, cards.plain(preprocess), "preprocess")
    elif callable(preprocess):
        stated = transforms.read(preprocess)
    else:
        raise UsageError(
            f"preprocess is an InputSpec, what one states, or a transform, not a {type(preprocess).__name__}"
        )
    if stated.size is None:
        raise UsageError('preprocess does not say the size: write "size=224"')
    if stated.resize_to is None:
        stated = dataclasses.replace(stated, resize_to=0)  # a network of one's own has no usual margin to crop away
    return ModelCard(name or type(network).__name__, "module", input=stated)
