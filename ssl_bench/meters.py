"""What a job costs besides time: operations, device memory and energy. What cannot be read is left out."""

from __future__ import annotations

import contextlib
import ctypes
import time
from collections.abc import Iterator
from pathlib import Path

from ssl_bench.backbones.base import Backbone
from ssl_bench.images import InputSpec

POWERCAP = Path("/sys/class/powercap")
COUNTERS = ("energy_uj", "max_energy_range_uj")
MOST_WATTS = 500.0
"""No processor package draws more for long; a counter that might have run over twice is not believed."""


def flops_per_image(backbone: Backbone, device: str) -> float | None:
    """Return the floating-point operations of one image's forward pass, two per multiply-add; None without a network.

    torch counts products, convolutions and attention as they are dispatched, on a blank image.
    """
    if backbone.network is None:
        return None
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    backbone.network.to(device).eval()
    blank = torch.zeros(1, _channels(backbone.input), *backbone.input.size, device=device)
    try:
        with torch.inference_mode(), FlopCounterMode(display=False) as counter:
            backbone.forward(blank, backbone.default_pooling)
    except Exception:  # a network that refuses its input says so in one line when it gets a real image
        return None
    return float(counter.get_total_flops()) or None


def _channels(spec: InputSpec) -> int:
    return 1 if spec.channels == "grey" else 3


class Meter:
    """Counters from its making on, for one torch device."""

    def __init__(self, device: str, powercap: Path = POWERCAP) -> None:
        self.device = device
        self._powercap = powercap
        self._packages = _packages(powercap)
        self._gpu = _gpu_joules(device)
        self._start = time.monotonic()
        if device.startswith("cuda"):
            import torch

            torch.cuda.reset_peak_memory_stats(device)

    def read(self) -> dict[str, float]:
        """Return what was used since: `peak_vram_mb`, `cpu_joules` and `gpu_joules`, each where it can be read."""
        found = {"cpu_joules": self._cpu_joules(), "gpu_joules": None, "peak_vram_mb": None}
        if self.device.startswith("cuda"):
            import torch

            found["peak_vram_mb"] = torch.cuda.max_memory_allocated(self.device) / 1e6
            end = _gpu_joules(self.device)
            found["gpu_joules"] = None if end is None or self._gpu is None else end - self._gpu
        return {name: round(value, 1) for name, value in found.items() if value is not None}

    def _cpu_joules(self) -> float | None:
        """Return the energy of all packages; None where there is none, or a counter may have run over twice."""
        now, seconds = _packages(self._powercap), time.monotonic() - self._start
        if not now or now.keys() != self._packages.keys():
            return None
        used = 0.0
        for name, (joules, span) in now.items():
            if seconds * MOST_WATTS > span:
                return None
            used += (joules - self._packages[name][0]) % span
        return used


def _packages(powercap: Path) -> dict[str, tuple[float, float]]:
    """Return each processor package's energy counter and where it starts again, in joules (Linux, RAPL)."""
    found = {}
    for folder in sorted(powercap.glob("intel-rapl:*")):
        with contextlib.suppress(OSError, ValueError):  # usually for root alone
            if folder.name.count(":") == 1 and (folder / "name").read_text().startswith("package"):
                joules, span = (int((folder / file).read_text()) / 1e6 for file in COUNTERS)
                found[folder.name] = joules, span
    return found


def _gpu_joules(device: str) -> float | None:
    """Return a GPU's energy counter in joules, as its driver gives it (NVML); None where it gives none."""
    if not device.startswith("cuda"):
        return None
    import torch

    name = f"GPU-{torch.cuda.get_device_properties(device).uuid}".encode()
    with contextlib.suppress(OSError, AttributeError), _nvml() as nvml:
        handle, millijoules = ctypes.c_void_p(), ctypes.c_ulonglong()
        failed = nvml.nvmlDeviceGetHandleByUUID(name, ctypes.byref(handle))
        failed = failed or nvml.nvmlDeviceGetTotalEnergyConsumption(handle, ctypes.byref(millijoules))
        return None if failed else millijoules.value / 1e3
    return None


@contextlib.contextmanager
def _nvml() -> Iterator[ctypes.CDLL]:
    """Open the driver's own library, which every NVIDIA driver brings; raise OSError where there is none."""
    nvml = ctypes.CDLL("libnvidia-ml.so.1")
    if nvml.nvmlInit_v2():
        raise OSError("NVML does not start")
    try:
        yield nvml
    finally:
        nvml.nvmlShutdown()
