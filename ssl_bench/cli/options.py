"""Options that several commands share."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from ssl_bench import settings
from ssl_bench.errors import UsageError
from ssl_bench.settings import Resolved

Command = Callable[..., Any]

PLACES = (
    click.option("--data", type=click.Path(path_type=Path), help="Folder that the paths of task cards start from."),
    click.option("--weights", type=click.Path(path_type=Path), help="Folder with weight files."),
    click.option("--cache", type=click.Path(path_type=Path), help="Folder of features and indexes."),
    click.option("--shared-cache", help="Folder or s3://bucket/prefix through which machines share features."),
    click.option("--results", help="Folder of records, or s3://bucket/prefix."),
    click.option("--shelf", type=click.Path(path_type=Path), multiple=True, help="Folder with further cards."),
)
WORK = (
    click.option("--device", help="auto, cpu, cuda or cuda:N."),
    click.option("--batch-size", type=click.IntRange(min=0), help="Images per forward pass; 0 chooses."),
    click.option(
        "--workers", type=click.IntRange(min=-1), help="Decoding threads, or processes beside a GPU; -1 chooses."
    ),
    click.option("--compile", is_flag=True, default=None, help="Compile the network; pays after thousands of images."),
    click.option("--offline", is_flag=True, default=None, help="Never open a network connection."),
    click.option("--progress", type=click.Choice(["auto", "rich", "plain", "none"]), help="How progress is shown."),
)
MIRROR = click.option(
    "--mirror", help="Folder, or address of one, asked first: for a file by its name, or as `wget -x` lays it out."
)
SELECT = (
    click.option("--model", "-m", "models", multiple=True, help="Name, glob, card file, or adapter:name,key=value."),
    click.option("--suite", "-s", default="", help="Suite of tasks; it brings its own protocols."),
    click.option("--task", "-t", "tasks", multiple=True, help="Task, card file or folder of images; repeatable."),
    click.option("--exclude", multiple=True, help="Task of the suite to leave out."),
    click.option(
        "--protocol", "-p", "protocols", multiple=True, help="Protocol, or protocol,field=value for a recipe."
    ),
    click.option(
        "--seeds", default="", help="Seeds: 0:5 or 0,1,2; else each protocol's own. One where nothing is random."
    ),
    click.option("--pooled", default="default", show_default=True, help="Pooling: cls, patch_mean, gap, proj …"),
    click.option("--input", default="", help="Input of every model, as resize=squash,size=224; else the suite's."),
    click.option(
        "--precision",
        type=click.Choice(["float32", "bfloat16", "float16"]),
        default="float32",
        show_default=True,
        help="Arithmetic inside the network; it is part of the question, and recorded.",
    ),
    click.option("--limit", type=click.IntRange(min=0), default=0, help="Keep N samples per split; never on a board."),
)
SETTING_NAMES = (
    "data",
    "weights",
    "cache",
    "shared_cache",
    "results",
    "shelf",
    "device",
    "batch_size",
    "workers",
    "compile",
    "offline",
    "mirror",
    "progress",
)
REQUEST_NAMES = ("models", "suite", "tasks", "exclude", "protocols", "seeds", "pooled", "input", "precision", "limit")


def stacked(options: tuple[Any, ...], function: Command) -> Command:
    """Give a command some options, in their order."""
    for option in reversed(options):
        function = option(function)
    return function


def with_settings(*groups: tuple[Any, ...]) -> Callable[[Command], Command]:
    """Give a command the options of `groups`; it receives them as one argument, `resolved`."""

    def decorate(function: Command) -> Command:
        @functools.wraps(function)
        def wrapped(flags: dict[str, Any], **given: Any) -> Any:
            return function(resolved=settings.resolve(flags), **given)

        return with_flags(*groups)(wrapped)

    return decorate


def with_flags(*groups: tuple[Any, ...]) -> Callable[[Command], Command]:
    """Give a command the options of `groups`; it receives what was given of them as one argument, `flags`."""

    def decorate(function: Command) -> Command:
        @functools.wraps(function)
        def wrapped(**given: Any) -> Any:
            flags = {name: given.pop(name) for name in SETTING_NAMES if name in given}
            return function(flags=flags, **given)

        return stacked(tuple(option for group in groups for option in group), wrapped)

    return decorate


def with_request(function: Command) -> Command:
    """Give a command the selecting options; it receives them as one argument, `request`."""

    @functools.wraps(function)
    def wrapped(**given: Any) -> Any:
        from ssl_bench.jobs import Request  # the reading commands do without what a plan imports

        words = {name: given.pop(name) for name in REQUEST_NAMES}
        if given.get("data") and not (words["suite"] or words["tasks"]):
            words["tasks"] = (str(given["data"].resolve()),)  # a folder of images is the task
        return function(request=Request(**words | {"seeds": parse_seeds(words["seeds"])}), **given)

    return stacked(SELECT, wrapped)


def parse_seeds(text: str) -> tuple[int, ...]:
    """Return the seeds of "0:5" (0 to 4), "0,3,7" or "" (none named); raise UsageError for anything else."""
    if not text:
        return ()
    try:
        low, colon, high = text.partition(":")
        seeds = tuple(range(int(low), int(high))) if colon else tuple(int(part) for part in text.split(","))
    except ValueError:
        seeds = ()
    if not seeds or min(seeds) < 0:
        raise UsageError(f"--seeds {text!r} is neither a range such as 0:5 nor a list such as 0,1,2")
    return tuple(dict.fromkeys(seeds))


def print_config(resolved: Resolved) -> None:
    """Print every setting, its value and where it came from."""
    for name, origin in resolved.origins.items():
        click.echo(f"{name:<12} {_show(getattr(resolved.settings, name)):<50} {origin}")


def _show(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
