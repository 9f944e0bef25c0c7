"""What ran: versions, machine and code, for the record. Nothing here enters a digest."""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

from ssl_bench import __version__

PACKAGES = (
    "torch",
    "torchvision",
    "timm",
    "open_clip_torch",
    "transformers",
    "onnxruntime",
    "mmsegmentation",
    "mmcv-lite",
    "scikit-learn",
    "scipy",
    "faiss-cpu",
    "numpy",
    "pandas",
    "pillow",
)


def package_versions() -> dict[str, str]:
    """Return the installed version of each package that a number can rest on; "" where one is absent."""
    versions = {}
    for name in PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = ""
    return versions


def describe(device: str) -> dict[str, Any]:
    """Return the environment of a job that runs on a torch device such as "cpu" or "cuda:0"."""
    import torch

    cuda = {
        "cuda": torch.version.cuda or "",
        "cudnn": torch.backends.cudnn.version() or 0,  # type: ignore[no-untyped-call]
        "tf32": torch.backends.cuda.matmul.allow_tf32 or torch.backends.cudnn.allow_tf32,
    }
    return (cuda if device.startswith("cuda") else {}) | {
        "cores": os.cpu_count() or 0,
        "cpu": cpu_name(),
        "device": torch.cuda.get_device_name(device) if device.startswith("cuda") else device,
        "packages": package_versions(),
        "platform": platform.platform(terse=True),
        "python": platform.python_version(),
        "threads": torch.get_num_threads(),
    }


@functools.cache
def cpu_name() -> str:
    """Return the processor's name as the system states it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())


def peak_memory_mb() -> float:
    """Return the most resident memory that this process has held, in MB (10^6 bytes); 0 where that is unknown."""
    try:
        import resource
    except ImportError:
        return 0.0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak * (1 if sys.platform == "darwin" else 1024) / 1e6, 1)


@functools.cache
def code_version() -> dict[str, Any]:
    """Return the version and, in a checkout, the git commit and whether files differ from it (results aside)."""
    top = Path(__file__).parent.parent
    version: dict[str, Any] = {"version": __version__}
    if (top / ".git").exists():
        commit = _git(top, "rev-parse", "HEAD")
        changed = _git(top, "status", "--porcelain", "--", "ssl_bench", "model_zoo", "tasks")
        if commit is not None and changed is not None:
            version |= {"commit": commit, "dirty": bool(changed)}
    return version


@functools.cache
def source_digest() -> str:
    """Return the sha256 over all modules of the package, by name and content: the code itself, whatever its version."""
    top, digest = Path(__file__).parent, hashlib.sha256()
    for path in sorted(top.rglob("*.py")):
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        digest.update(f"{path.relative_to(top).as_posix()} {content}\n".encode())
    return digest.hexdigest()


def installed() -> str:
    """Return every installed package as a line "name==version", sorted: what `pip freeze` says, without places."""
    found = {(one.metadata["Name"], one.version) for one in importlib.metadata.distributions() if one.metadata["Name"]}
    return "".join(f"{name}=={version}\n" for name, version in sorted(found, key=lambda pair: pair[0].lower()))


def _git(top: Path, *words: str) -> str | None:
    try:
        done = subprocess.run(["git", "-C", str(top), *words], capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
