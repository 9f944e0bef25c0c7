"""`ssl-bench doctor`: what works here and what does not."""

from __future__ import annotations

import importlib.metadata
import platform
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from ssl_bench import __version__, model_zoo, protocols, tasks
from ssl_bench.cli.options import PLACES, with_settings
from ssl_bench.cli.tables import echo_json, echo_table
from ssl_bench.environment import code_version, cpu_name, package_versions
from ssl_bench.errors import EXIT_MISSING, EXIT_OK, SslBenchError
from ssl_bench.files import megabytes
from ssl_bench.settings import Resolved, Settings

Finding = tuple[str, bool, str]
"""What was looked at, whether it is well, and what was found."""

EXTRAS = {
    "fast": (("numba", "orjson", "simplejpeg"), "images two to three times as fast, to the same pixels; large boards"),
    "huggingface": (("datasets", "transformers"), "models and datasets of the Hugging Face hub"),
    "onnx": (("onnx", "onnxruntime"), "models in ONNX files"),
    "pcam": (("h5py",), "PatchCamelyon"),
    "peft": (("peft",), "the recipe lora of fine_tune"),
    "s3": (("s3fs",), "records and shared features under s3://"),
    "slurm": (("submitit",), "jobs on a Slurm cluster"),
    "ray": (("ray",), "jobs on a Ray cluster"),
}
"""Each extra of pyproject.toml for users: what it installs, and what that is for."""


@click.command(name="doctor")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
@with_settings(PLACES)
def command(resolved: Resolved, as_json: bool) -> int:
    """Check packages, devices, folders, cards and records. Exits with 6 where something is wrong."""
    findings = [*_software(), *_folders(resolved.settings), *_cards(resolved.settings)]
    if as_json:
        echo_json([{"check": check, "ok": ok, "found": found} for check, ok, found in findings])
    else:
        echo_table(("check", "", "found"), [(check, "ok" if ok else "WRONG", found) for check, ok, found in findings])
    return EXIT_OK if all(ok for _, ok, _ in findings) else EXIT_MISSING


def _software() -> Iterator[Finding]:
    commit = code_version().get("commit", "")
    yield "ssl-bench", True, f"{__version__} {commit[:12]}".strip()
    yield "python", True, f"{platform.python_version()} on {platform.platform(terse=True)}, {cpu_name()}"
    optional = {package for packages, _ in EXTRAS.values() for package in packages}
    for name, version in package_versions().items():
        if name not in optional:
            yield name, bool(version), version or f"not installed: pip install {name}"
    yield from _extras()
    yield from _devices()
    yield "decoding", True, _decoding()


def _extras() -> Iterator[Finding]:
    """Give what of each extra is installed; none has to be."""
    for extra, (packages, purpose) in EXTRAS.items():
        try:
            found = ", ".join(f"{package} {importlib.metadata.version(package)}" for package in packages)
        except importlib.metadata.PackageNotFoundError:
            found = f"not installed; for {purpose}: pip install 'ssl-bench[{extra}]'"
        yield f"[{extra}]", True, found


def _decoding() -> str:
    from ssl_bench.images import jpeg, resampling

    decoder = "simplejpeg" if jpeg.agrees() else "Pillow"
    resizer = "compiled resizing" if resampling.prepare() else "Pillow's resizing"
    return f"{decoder} and {resizer}, with Pillow's pixels"


def _devices() -> Iterator[Finding]:
    try:
        import torch
        import torchvision
    except (ImportError, RuntimeError) as error:
        yield "device", False, f"torch and torchvision do not work together: {error}"
        return
    names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    yield "device", True, ", ".join(names) or f"cpu only, {torch.get_num_threads()} threads"
    assert torchvision


def _folders(settings: Settings) -> Iterator[Finding]:
    yield "results", *_writable(settings.results, settings.cache)
    yield "cache", *_writable(settings.cache, settings.cache)
    for name in ("data", "weights"):
        path = getattr(settings, name)
        yield name, True, f"{path}{'' if path.is_dir() else ' (does not exist yet)'}"


def _writable(path: Path | str, cache: Path) -> tuple[bool, str]:
    from ssl_bench.machine import preflight

    try:
        preflight(Settings(results=path, cache=cache))
    except SslBenchError as error:
        return False, str(error)
    if isinstance(path, str):
        return True, f"{path}: writable"
    existing = next(place for place in (path.absolute(), *path.absolute().parents) if place.exists())
    return True, f"{path}: writable, {megabytes(shutil.disk_usage(existing).free)} free"


def _cards(settings: Settings) -> Iterator[Finding]:
    rooms: dict[str, Any] = {"models": model_zoo, "tasks": tasks}
    for noun, room in rooms.items():
        yield noun, *_readable(room.names, room.get, settings)
    yield "suites", *_readable(tasks.suite_names, tasks.get_suite, settings)
    yield "protocols", True, ", ".join(protocols.names())


def _readable(names: Any, get: Any, settings: Settings) -> tuple[bool, str]:
    try:
        found = names(settings.shelves)
        for name in found:
            get(name, settings.shelves)
    except SslBenchError as error:
        return False, str(error)
    return True, f"{len(found)} cards"
