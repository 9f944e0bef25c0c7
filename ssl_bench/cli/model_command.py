"""`ssl-bench model`: what is in a checkpoint file, and how it would be loaded."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ssl_bench import cards, model_zoo
from ssl_bench.cli.groups import SuggestingGroup
from ssl_bench.cli.options import PLACES, with_settings
from ssl_bench.cli.tables import echo_json, echo_table
from ssl_bench.errors import MissingError, UsageError, did_you_mean
from ssl_bench.files import digest_file
from ssl_bench.model_zoo import ModelCard, Weights
from ssl_bench.settings import Resolved, Settings

if TYPE_CHECKING:
    from ssl_bench.backbones.base import Backbone
    from ssl_bench.backbones.checkpoint import CheckpointBackbone

Facts = dict[str, Any]
FAMILY = click.option("--family", default="", help="Family of the file; found by its keys where they show one.")
CONTAINER = click.option("--container", default="", help="Branch of the file, such as teacher or model_ema.")
AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print as JSON.")


@click.group(name="model", cls=SuggestingGroup)
def command() -> None:
    """Look at a checkpoint file, convert it, and tell its digests. Nothing in the file is executed.

    \b
    Examples:
      ssl-bench model check weights.pth
      ssl-bench model check weights.pth --family mocov3_vit --container state_dict
      ssl-bench model convert weights.pth weights.safetensors --family mae
      ssl-bench model digest dinov2_vitb14
    """


@command.command(name="check")
@click.argument("file")
@FAMILY
@CONTAINER
@AS_JSON
@with_settings(PLACES)
def check(file: str, family: str, container: str, resolved: Resolved, as_json: bool) -> None:
    """Say which family FILE is of, what of it would be loaded, and what the network says of two images.

    FILE is a path, or a model as `--model` takes it. Where several families fit equally well, they are listed with
    what tells them apart, and the command exits with 2: say which with --family.

    \b
    Examples:
      ssl-bench model check weights.pth
      ssl-bench model check weights.pth,heads=12 --family dino_vit --json
    """
    card, path = _checkpoint(file, family, container, resolved.settings, as_json)
    facts = _looked_at(_loaded(card, path), path)
    if as_json:
        echo_json(facts)
    else:
        _echo_facts(facts)


@command.command(name="convert")
@click.argument("file")
@click.argument("out", type=click.Path(path_type=Path))
@FAMILY
@CONTAINER
@with_settings(PLACES)
def convert(file: str, out: Path, family: str, container: str, resolved: Resolved) -> None:
    """Write the backbone in FILE to OUT.safetensors, under the network's own names, with what it is and came from.

    Tensors keep their precision. OUT is loaded as `ckpt:OUT.safetensors,family=F`, and gives the same features.

    \b
    Examples:
      ssl-bench model convert weights.pth weights.safetensors --family mae
    """
    from ssl_bench.checkpoints import converted

    if out.suffix != ".safetensors":
        raise UsageError(f"{out} is not named .safetensors, which is what is written")
    if out.exists():
        raise UsageError(f"{out} exists; name another file or delete it")
    card, path = _checkpoint(file, family, container, resolved.settings)
    backbone = _loaded(card, path)
    assert backbone.taken is not None
    converted.write(out, backbone.taken.tensors, card.weights.family, backbone.arguments, digest_file(path))
    click.echo(f"ckpt:{out},family={card.weights.family}")


@command.command(name="digest")
@click.argument("file_or_model")
@FAMILY
@CONTAINER
@AS_JSON
@with_settings(PLACES)
def digest(file_or_model: str, family: str, container: str, resolved: Resolved, as_json: bool) -> None:
    """Print the sha256 of the file, for `weights.sha256` of a card, and the digest of the tensors that are used.

    \b
    Examples:
      ssl-bench model digest weights.pth --family mae
      ssl-bench model digest digits_vit
    """
    card = _card(file_or_model, family, container, resolved.settings)
    path = model_zoo.weights_state(card, resolved.settings.weight_folders).path
    if card.adapter == "checkpoint":
        card, path = _checkpoint(file_or_model, family, container, resolved.settings, as_json)
    backbone = _backbone(card, path)
    facts = {
        "file": str(path) if path else None,
        "bytes": path.stat().st_size if path else None,
        "sha256": digest_file(path) if path else None,
        "weights digest": backbone.weights_digest(),
    }
    if as_json:
        echo_json(facts)
    else:
        _echo_facts({key: value for key, value in facts.items() if value is not None})


def _card(text: str, family: str, container: str, settings: Settings) -> ModelCard:
    """Return the card of a model, or one for a checkpoint file; the two options are put into it."""
    if Path(text).is_file() and not text.endswith(".toml"):
        card = ModelCard(text, "checkpoint", weights=Weights(file=text))
    elif ":" in text or text.endswith(".toml") or text.partition(",")[0] in model_zoo.names(settings.shelves):
        card = model_zoo.get(text, settings.shelves)
    else:
        card = model_zoo.get(f"ckpt:{text}")
    weights = dataclasses.replace(
        card.weights, family=family or card.weights.family, container=container or card.weights.container
    )
    return dataclasses.replace(card, weights=weights)


def _checkpoint(
    text: str, family: str, container: str, settings: Settings, as_json: bool = False
) -> tuple[ModelCard, Path]:
    """Return a card with its family, and its file; raise UsageError for models that are no checkpoint files."""
    from ssl_bench.checkpoints import converted

    card = _card(text, family, container, settings)
    if card.adapter != "checkpoint":
        raise UsageError(
            f"{text} is loaded by {card.adapter}, not from a checkpoint file; `ssl-bench show {text}` tells of it"
        )
    path = model_zoo.weights_state(card, settings.weight_folders).path
    if path is None:
        near = did_you_mean(text, model_zoo.names(settings.shelves))
        raise MissingError(f"no file is at {card.weights.file or text}, and no model card is called so.{near}")
    if not card.weights.family:
        found = converted.read_note(path).get("family") or _identified(path, card.weights.container, as_json)
        card = dataclasses.replace(card, weights=dataclasses.replace(card.weights, family=found))
    return card, path


def _identified(path: Path, container: str, as_json: bool) -> str:
    """Return the family that a file fits best; where there are several, print them and raise UsageError."""
    from ssl_bench.checkpoints import families, reading

    outer = reading.read(path)
    shares = families.shares(outer, container)
    highest = max(shares.values(), default=0.0)
    if highest < families.LEAST:
        raise UsageError(f"{path}: {families.seems(outer, container)}")
    best = sorted(name for name in shares if shares[name] == highest)
    if len(best) > 1:
        rows = families.told_apart(best, outer, container)
        if as_json:
            echo_json({"file": str(path), "share in common": highest, "families": rows})
        else:
            echo_table(
                ("family", "what", "told apart by"),
                [(r["family"], r["what"], _words(r["own"]) if r["own"] else "the usual") for r in rows],
            )
        raise UsageError(
            f"{path} fits {len(best)} families equally well ({highest:.0%} of names and shapes in common). Names do "
            f"not tell who trained it: --family {' or '.join(best)}"
        )
    return best[0]


def _backbone(card: ModelCard, path: Path | None) -> Backbone:
    from ssl_bench import backbones
    from ssl_bench.backbones.base import LoadContext

    return backbones.load(card, LoadContext(path))


def _loaded(card: ModelCard, path: Path) -> CheckpointBackbone:
    from ssl_bench.backbones.checkpoint import CheckpointBackbone

    backbone = _backbone(card, path)
    assert isinstance(backbone, CheckpointBackbone)
    return backbone


def _looked_at(backbone: CheckpointBackbone, path: Path) -> Facts:
    """Return what is known of a file and of the network that it fills."""
    taken, network = backbone.taken, backbone.network
    assert taken is not None
    assert network is not None
    arch = backbone.arch()
    missing = (name.split(".")[-1] for name in network.state_dict() if name not in taken.tensors)
    return {
        "file": str(path),
        "bytes": path.stat().st_size,
        "sha256": digest_file(path),
        "family": arch.pop("family"),
        "branch": taken.container or "the file itself",
        "other branches": list(taken.others),
        "prefixes stripped": list(taken.prefixes),
        "left in the file": dict(taken.left),
        "tensors": len(taken.tensors),
        "precision": sorted({str(tensor.dtype).removeprefix("torch.") for tensor in taken.tensors.values()}),
        "missing, allowed": dict(Counter(missing)),
        "arch": arch,
        "parameters": backbone.parameter_count(),
        "weights digest": backbone.weights_digest(),
        "input": cards.plain(backbone.input),
        "default pooling": backbone.default_pooling,
        "features of two images": _features(backbone),
    }


def _features(backbone: Backbone) -> Facts:
    """Return shape and norms of every pooling and of the map, for a smooth image and for one of noise."""
    import torch

    from ssl_bench import images

    height, width = backbone.input.size
    channels = len(backbone.input.mean)
    smooth = torch.linspace(0, 255, height * width).reshape(1, height, width).expand(channels, -1, -1)
    noise = torch.randint(0, 256, (channels, height, width), generator=torch.Generator().manual_seed(0))
    batch = images.normalise(torch.stack([smooth.to(torch.uint8), noise.to(torch.uint8)]), backbone.input)
    found: Facts = {}
    for pooling in backbone.poolings:
        features = backbone.forward(batch, pooling)
        found[pooling] = _summary(features.pooled)
    return found if features.dense is None else found | {"dense": _summary(features.dense)}


def _summary(values: Any) -> Facts:
    norms = values.float().flatten(1).norm(dim=1).tolist()
    return {"shape": list(values.shape), "norms": [round(norm, 4) for norm in norms]}


def _echo_facts(facts: Mapping[str, Any]) -> None:
    for key, value in facts.items():
        nested = isinstance(value, Mapping) and any(isinstance(item, Mapping) for item in value.values())
        click.echo(f"{click.style(key, bold=True)}:{'' if nested else f' {_words(value)}'}")
        for name, item in value.items() if nested else ():
            click.echo(f"  {name}: {_words(item)}")


def _words(value: Any) -> str:
    """Return a value for readers; an empty one as "none"."""
    if isinstance(value, Mapping):
        return "; ".join(f"{key} {_words(item)}" for key, item in value.items()) or "none"
    if isinstance(value, list | tuple):
        return (", " if any(isinstance(item, str) for item in value) else " ").join(map(str, value)) or "none"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) and value > 9999 else str(value)
