"""Write model cards of weights that timm and open_clip know: the table is `cards.toml`, the facts are the libraries'.

Usage: python tools/make_cards.py RESULTS, where RESULTS is results-imagenet.csv of the repository
huggingface/pytorch-image-models, from which the accuracy of supervised networks with their own heads is taken. A name
that a library does not know is an error; a card that stands in the table is written anew, all others are left alone.
"""

from __future__ import annotations

import csv
import json
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import open_clip
import timm
import torch

from ssl_bench.backbones import open_clip as open_clip_adapter
from ssl_bench.backbones import timm as timm_adapter
from ssl_bench.images import IMAGENET_MEAN, IMAGENET_STD, InputCard, InputSpec
from ssl_bench.model_zoo import ModelCard, Weights

TABLE = Path(__file__).parent / "cards.toml"
SHELF = Path(__file__).parents[1] / "model_zoo"
LICENCES = {
    "apache-2.0": "Apache-2.0",
    "apple-ascl": "Apple Sample Code License",
    "bsd-3-clause": "BSD-3-Clause",
    "cc-by-nc-4.0": "CC-BY-NC-4.0",
    "mit": "MIT",
}
"""timm's spelling and the cards'."""
Facts = dict[str, Any]


def timm_facts(name: str, weights: str, group: Facts, accuracies: Mapping[tuple[str, int], float]) -> Facts:
    """Return the rooms of a card for timm, its input resolved as the adapter will resolve it."""
    stated = InputCard(**group.get("input", {}))
    card = ModelCard(name, "timm", weights=Weights(name=weights), input=stated)
    settings = timm_adapter.pretrained_settings(card)
    if not settings.hf_hub_id:
        raise SystemExit(f"{name}: timm names no repository for {weights}")
    with torch.device("meta"):
        network = timm.create_model(weights, pretrained=False)
    size = settings.input_size[1]
    accuracy = accuracies.get((weights, size))
    own = f"{accuracy or 0:.1f} % top-1 on ImageNet-1k with its own head at {size} px (timm's results-imagenet.csv)."
    return {
        "weights": {"name": weights, "hub": settings.hf_hub_id, "bytes": bytes_of(network)},
        "arch": group.get("arch", {}),
        "input": input_room(stated.applied_to(timm_adapter.input_of(card, settings))),
        "licence": LICENCES.get(settings.license, settings.license),
        "note": own if accuracy else "",
    }


def open_clip_facts(weights: str) -> Facts:
    """Return the rooms of a card for open_clip; the size stays the architecture's."""
    name, tag = weights.split("/")
    settings = open_clip.get_pretrained_cfg(name, tag)
    if not settings:
        raise SystemExit(f"open_clip {open_clip.__version__} knows no weights {weights}")
    room: Facts = {"name": weights}
    if tag == "openai":  # of the other repositories it is not known here which files they hold: open_clip finds them
        with torch.device("meta"):
            network = open_clip.create_model(name, pretrained=None, device="meta")
        hub, file = settings["hf_hub"].rstrip("/"), "open_clip_model.safetensors"
        room |= {"hub": hub, "file": file, "bytes": bytes_of(network)}
    spec = {"resize": open_clip_adapter.RESIZES[settings["resize_mode"]], "interpolation": settings["interpolation"]}
    return {"weights": room, "input": {**spec, "mean": list(settings["mean"]), "std": list(settings["std"])}}


def bytes_of(network: torch.nn.Module) -> int:
    """Return the size of the network's parameters in float32, which is nearly that of its file."""
    return 4 * sum(parameter.numel() for parameter in network.parameters())


def input_room(spec: InputSpec) -> Facts:
    """Return what a card says of its input: mean and deviation only where they are not ImageNet's."""
    height, width = spec.size
    room: Facts = {"size": height if height == width else [height, width]}
    room |= {"resize_to": spec.resize_to} if spec.resize == "short" else {"resize": spec.resize}
    room["interpolation"] = spec.interpolation
    if (spec.mean, spec.std) != (IMAGENET_MEAN, IMAGENET_STD):
        room |= {"mean": list(spec.mean), "std": list(spec.std)}
    return room


def card_text(name: str, title: str, group: Facts, facts: Facts) -> str:
    """Return the TOML of one card, in the order and alignment of those written by hand."""
    published = dict(group.get("published", {}).get(name, {}))
    source = published.pop("source", "")
    licence = group.get("licence") or facts.get("licence", "")
    about = {**group["about"], **({"licence": licence} if licence else {})}
    note = " ".join(part for part in (group.get("note", ""), facts.get("note", "")) if part)
    rooms = {
        "": {"title": title, "adapter": group["adapter"], "pooled": group["pooled"]},
        "weights": facts["weights"],
        "arch": facts.get("arch", {}),
        "input": facts["input"],
        "about": {**about, **({"note": note} if note else {})},
        "published": {f'"{key}"': {"value": value, "source": source} for key, value in published.items()},
    }
    return "\n".join(room_text(room, values) for room, values in rooms.items() if values)


def room_text(room: str, values: Facts) -> str:
    width = max(len(key) for key in values)
    lines = [f"{key:<{width}} = {value_text(value)}" for key, value in values.items()]
    return "\n".join([*([f"[{room}]"] if room else []), *lines, ""])


def value_text(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {value_text(inner)}" for key, inner in value.items()) + " }"
    return json.dumps(value, ensure_ascii=False)


def main(results: Path) -> None:
    """Write every card of the table."""
    with results.open(newline="", encoding="utf-8") as file:
        accuracies = {(row["model"], int(row["img_size"])): float(row["top1"]) for row in csv.DictReader(file)}
    for group in tomllib.loads(TABLE.read_text(encoding="utf-8"))["group"]:
        for name, (weights, title) in group["cards"].items():
            of_timm = group["adapter"] == "timm"
            facts = timm_facts(name, weights, group, accuracies) if of_timm else open_clip_facts(weights)
            (SHELF / f"{name}.toml").write_text(card_text(name, title, group, facts), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
