"""Compare every family of checkpoints with its authors' own class: random weights, their layout, our loader.

Usage: python -m benchmarks.family_parity FOLDER [FAMILY …], where FOLDER holds clones of the authors' repositories by
the names that the CASES of the modules beside this one give. Prints the rows of docs/parity.md. Their code is imported,
so run it only on clones that you trust.
"""

from __future__ import annotations

import importlib
import pkgutil
import subprocess
import sys
import tempfile
from pathlib import Path

import torch

from benchmarks import family_parity
from benchmarks.family_parity.common import Case, Cases
from ssl_bench import backbones, model_zoo
from ssl_bench.backbones.base import LoadContext


def all_cases() -> Cases:
    """Return the cases of every module of this folder that has some."""
    names = sorted(module.name for module in pkgutil.iter_modules(family_parity.__path__))
    modules = (importlib.import_module(f"benchmarks.family_parity.{name}") for name in names if name != "__main__")
    return [case for module in modules for case in getattr(module, "CASES", [])]


@torch.inference_mode()
def compare(family: str, case: Case) -> dict[str, float]:
    """Return the largest absolute difference of every pooling and of the map."""
    network, content, say, size = case
    images = torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(1))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "weights.pth"
        torch.save(content, path)
        backbone = backbones.load(model_zoo.get(f"ckpt:{path},family={family}"), LoadContext(path))
    differences = {}
    for name, expected in say(network, images).items():
        found = backbone.forward(images, backbone.default_pooling if name == "dense" else name)
        found_tensor = found.dense if name == "dense" else found.pooled
        assert found_tensor is not None
        assert found_tensor.shape == expected.shape, (name, found_tensor.shape, expected.shape)
        differences[name] = float((found_tensor - expected).abs().max())
    return differences


def import_from(folder: Path) -> None:
    """Let `folder` be the first place of imports, and forget modules of other clones."""
    others = [
        name for name, module in sys.modules.items() if str(folder.parents[0]) in str(getattr(module, "__file__", ""))
    ]
    for name in [*others, "models", "src", "utils", "resnet", "vision_transformer"]:
        sys.modules.pop(name, None)
    sys.path[0] = str(folder)


def main(root: Path, families: list[str]) -> None:
    """Print one row per case, of all families or of those that are named."""
    for family, clone, what, make in all_cases():
        if families and family not in families:
            continue
        import_from(root / clone)
        try:
            differences = compare(family, make())
        except Exception as error:
            print(f"{family}: {what}: {type(error).__name__}: {error}", file=sys.stderr)
            continue
        commit = root / clone.partition("/")[0] / "COMMIT"  # for an archive instead of a clone
        words = ["git", "-C", str(root / clone), "rev-parse", "--short=10", "HEAD"]
        done = commit.read_text() if commit.is_file() else subprocess.run(words, capture_output=True, text=True).stdout
        pooled = max(value for name, value in differences.items() if name != "dense")
        dense = f"{differences['dense']:.1e}" if "dense" in differences else ""
        names = ", ".join(differences)
        print(f"| {family} | {clone} @ {done.strip()} | {what}: {names} | {pooled:.1e} | {dense} |", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), sys.argv[2:])
