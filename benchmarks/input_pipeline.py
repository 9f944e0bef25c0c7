"""Images/s of decoders, of decoding and transforming, and of the whole pipeline; and how far from Pillow's pixels.

Run: python benchmarks/input_pipeline.py [simd=FOLDER]    (SSL_BENCH_DATA names the real data; three minutes)

Photographs are Caltech-101's, about 300 x 250 pixels, and the same scaled up to 500 x 375 and encoded anew at quality
90, since real ones of ImageNet's size may not be carried here. Whatever of the decoders is installed takes part:
pip install simplejpeg numba opencv-python-headless imagecodecs kornia-rs cykooz.resizer pyvips pyvips-binary; and
Pillow-SIMD from a folder of its own, since it bears Pillow's name: pip install --target FOLDER pillow-simd.
"""

from __future__ import annotations

import functools
import importlib
import io
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import PIL
import torch
from PIL import Image

from ssl_bench import environment, loading
from ssl_bench.datasets import containers
from ssl_bench.datasets.base import Split
from ssl_bench.images import InputSpec, coloured, jpeg, normalise, pixels, resampling

SPEC = InputSpec((224, 224), resize_to=224)
COUNT = 200
PIPED = 1000
TURNS = 3
Array = Any  # uint8, (height, width, 3) decoded, (3, 224, 224) transformed
Function = Callable[[bytes], Array]


class Photographs(list[bytes]):
    """Files in memory as a source, repeated as often as asked for."""

    def read(self, index: int) -> bytes:
        return self[index % len(self)]


def photographs() -> dict[str, Photographs]:
    """Return real files, and the same in the size of ImageNet's."""
    listing = containers.listing(Path(os.environ["SSL_BENCH_DATA"]) / "caltech101/caltech101.tar")
    names = [name for name in listing.spans if name.endswith(".jpg")]
    real = Photographs(listing.read(name) for name in names[:: len(names) // COUNT][:COUNT])
    large = Photographs()
    for raw in real:
        file = io.BytesIO()
        whole = Image.open(io.BytesIO(raw)).convert("RGB")
        whole.resize((500, 375), Image.Resampling.BICUBIC).save(file, "jpeg", quality=90)
        large.append(file.getvalue())
    return {"Caltech-101's files": real, "500 x 375, quality 90": large}


def by_pillow(raw: bytes) -> Array:
    return np.asarray(Image.open(io.BytesIO(raw)).convert("RGB"))


def by_torchvision(raw: bytes) -> Array:
    from torchvision.io import ImageReadMode, decode_jpeg

    data = torch.frombuffer(bytearray(raw), dtype=torch.uint8)
    return decode_jpeg(data, ImageReadMode.RGB).permute(1, 2, 0).numpy()


def others() -> dict[str, Function]:
    """Return the other decoders that are installed."""
    found: dict[str, Function] = {}
    if simplejpeg := _module("simplejpeg"):
        found["simplejpeg"] = lambda raw: simplejpeg.decode_jpeg(raw)
    if cv2 := _module("cv2"):
        cv2.setNumThreads(1)
        found["opencv"] = lambda raw: cv2.imdecode(np.frombuffer(raw, np.uint8), cv2.IMREAD_COLOR)[:, :, ::-1]
    if imagecodecs := _module("imagecodecs"):
        found["imagecodecs"] = lambda raw: imagecodecs.jpeg8_decode(raw, outcolorspace="RGB")
    if kornia := _module("kornia_rs"):
        decode = getattr(kornia, "decode_image_jpeg", None) or kornia.io.decode_image_jpeg
        found["kornia-rs"] = lambda raw: np.asarray(decode(raw))
    if pyvips := _module("pyvips"):
        pyvips.cache_set_max(0)
        found["pyvips"] = lambda raw: pyvips.Image.new_from_buffer(raw, "").colourspace("srgb").numpy()
    if turbojpeg := _module("turbojpeg"):
        try:
            turbo = turbojpeg.TurboJPEG()  # looks for a library of the system
            found["PyTurboJPEG"] = lambda raw: turbo.decode(raw, pixel_format=turbojpeg.TJPF_RGB)
        except (RuntimeError, OSError) as error:
            print(f"# PyTurboJPEG takes no part: {str(error).splitlines()[0]}")
    return found


@functools.cache
def _module(name: str) -> Any:
    """Return a module, or None, saying so, where it is not there or does not load on this machine."""
    try:
        return importlib.import_module(name)
    except Exception as error:
        print(f"# {name} takes no part: {' '.join(str(error).split())}")
        return None


def _middle(array: Array) -> Array:
    """Return the middle 224 x 224 of (height, width, 3) with channels first."""
    top, left = round((array.shape[0] - 224) / 2.0), round((array.shape[1] - 224) / 2.0)
    return np.ascontiguousarray(array[top : top + 224, left : left + 224].transpose(2, 0, 1))


def _resized(height: int, width: int) -> tuple[int, int]:
    short, long = sorted((height, width))
    return (int(224 * long / short), 224) if width <= height else (224, int(224 * long / short))


def _torch_resize(array: Array) -> Array:
    """Resize with torch's antialiased bicubic kernel for bytes."""
    image = torch.from_numpy(array).permute(2, 0, 1)[None]
    size = _resized(*array.shape[:2])
    image = torch.nn.functional.interpolate(image, size=size, mode="bicubic", antialias=True)
    return _middle(image[0].permute(1, 2, 0).numpy())


def _pillow_resize(array: Array) -> Array:
    height, width = _resized(*array.shape[:2])
    return _middle(np.asarray(Image.fromarray(array).resize((width, height), Image.Resampling.BICUBIC)))


def transforms() -> dict[str, Function]:
    """Return what decodes, resizes the short side to 224 by antialiased bicubic and cuts the middle."""

    def pillow(raw: bytes) -> Array:
        image = Image.open(io.BytesIO(raw)).convert("RGB")
        height, width = _resized(image.height, image.width)
        return _middle(np.asarray(image.resize((width, height), Image.Resampling.BICUBIC)))

    found: dict[str, Function] = {"pillow": pillow, "harness": lambda raw: pixels(coloured(raw, "", SPEC), SPEC)}
    found["torchvision"] = lambda raw: _torch_resize(by_torchvision(raw))
    if simplejpeg := _module("simplejpeg"):
        found["simplejpeg + torch resize"] = lambda raw: _torch_resize(simplejpeg.decode_jpeg(raw))
        found["simplejpeg + pillow resize"] = lambda raw: _pillow_resize(simplejpeg.decode_jpeg(raw))
    if cv2 := _module("cv2"):

        def opencv(raw: bytes) -> Array:
            array = cv2.imdecode(np.frombuffer(raw, np.uint8), cv2.IMREAD_COLOR_RGB)
            height, width = _resized(*array.shape[:2])
            return _middle(cv2.resize(array, (width, height), interpolation=cv2.INTER_AREA))

        found["opencv, INTER_AREA"] = opencv
    if resizer := _module("cykooz_resizer"):
        found["pillow + cykooz.resizer"] = _cykooz(resizer)
    return found


def _cykooz(module: Any) -> Function:
    one = module.Resizer()
    how = module.ResizeAlg.convolution(module.FilterType.catmull_rom)

    def resized(raw: bytes) -> Array:
        image = Image.open(io.BytesIO(raw)).convert("RGB")
        height, width = _resized(image.height, image.width)
        target = Image.new("RGB", (width, height))
        one.resize_pil(image, target, module.ResizeOptions(resize_alg=how))
        return _middle(np.asarray(target))

    return resized


def compare(title: str, functions: dict[str, Function], files: Photographs, reference: list[Array]) -> None:
    """Print images per second of processor time of each function, in turns on one thread, and the largest difference
    from the reference.
    """
    rates: dict[str, list[float]] = {name: [] for name in functions}
    differences = {name: _difference(function, files, reference) for name, function in functions.items()}
    for _ in range(TURNS):
        for name, function in functions.items():
            rates[name].append(_rate(_normalised(function) if title == "normalised" else function, files))
    for name in functions:
        print(f"{title:<12}{name:<28}{statistics.median(rates[name]):>8.0f}/s   {differences[name]}", flush=True)


def _normalised(function: Function) -> Callable[[bytes], Any]:
    return lambda raw: normalise(torch.from_numpy(function(raw))[None], SPEC)


def _rate(function: Callable[[bytes], Any], files: Photographs) -> float:
    start = time.process_time()
    for raw in files:
        function(raw)
    return len(files) / (time.process_time() - start)


def _difference(function: Function, files: Photographs, reference: list[Array]) -> str:
    """Return the largest difference from the reference's levels and how many of them differ."""
    most, differing, levels = 0, 0, 0
    for raw, expected in zip(files, reference, strict=True):
        gap = np.abs(np.asarray(function(raw)).astype(np.int16) - expected)
        most, differing, levels = max(most, int(gap.max())), differing + int((gap > 0).sum()), levels + gap.size
    return "Pillow's pixels" if most == 0 else f"up to {most} levels off, {differing / levels:.2%} of all"


def piped(files: Photographs) -> None:
    """Print images/s of the whole pipeline by the clock, from files to normalised batches, with its start.

    The first lines are Pillow alone, as without the extra `fast`. The best of a few runs, since others use the machine.
    """
    rows = np.arange(PIPED)
    split = Split(files, rows, tuple(map(str, rows)), rows)
    decoder = loading._Decoder(split, SPEC, loading._grouped(rows, 64))
    fast = (jpeg.agrees, resampling.takes)
    for named in ("pillow", "harness"):
        if named == "pillow":
            jpeg.agrees, resampling.takes = (lambda: False), (lambda *given: False)  # type: ignore[assignment]
        else:
            jpeg.agrees, resampling.takes = fast  # type: ignore[assignment]
        for workers in (0, 1, 2, 4):
            for kind, make in (("threads", _threads), ("processes", loading._by_processes)):
                if workers or kind == "threads":
                    rate, first = max(_flow(make(decoder, workers)) for _ in range(TURNS))
                    what = f"{named}, {kind}: {workers}"
                    print(f"{'pipeline':<12}{what:<28}{rate:>8.0f}/s   first batch {first:.2f} s", flush=True)


def _threads(decoder: loading._Decoder, workers: int) -> Iterator[loading.Batch]:
    return loading._by_threads(decoder, workers, pinned=False)


def _flow(given: Iterator[loading.Batch]) -> tuple[float, float]:
    """Return images/s of all batches together and the seconds to the first."""
    start, first, count = time.perf_counter(), 0.0, 0
    for chosen, images in given:
        normalise(images, SPEC)
        first = first or time.perf_counter() - start
        count += len(chosen)
    return count / (time.perf_counter() - start), first


def beside(folder: str, title: str, files: Photographs, reference: list[Array]) -> None:
    """Measure the Pillow of another folder in a process of its own, on decoding and transforming."""
    with tempfile.TemporaryDirectory() as place:
        given = Path(place) / "given.npz"
        lengths = np.array(list(map(len, files)))
        np.savez(given, files=np.frombuffer(b"".join(files), np.uint8), lengths=lengths, reference=np.stack(reference))
        path = os.pathsep.join([folder, os.environ.get("PYTHONPATH", "")])
        words = [sys.executable, __file__, "--pillow", title, str(given)]
        subprocess.run(words, check=True, env=os.environ | {"PYTHONPATH": path})


def only_pillow(title: str, given: str) -> None:
    """Print the line of the Pillow that this process finds, against another's pixels."""
    with np.load(given) as arrays:
        data, ends = arrays["files"].tobytes(), np.cumsum(arrays["lengths"]).tolist()
        files = Photographs(data[start:end] for start, end in zip([0, *ends], ends, strict=False))
        name = f"Pillow-SIMD {PIL.__version__}"
        compare(title, {name: transforms()["pillow"]}, files, list(arrays["reference"]))


def main(words: list[str]) -> None:
    torch.set_num_threads(1)
    if words[:1] == ["--pillow"]:
        only_pillow(words[1], words[2])
        return
    simd = next((word.removeprefix("simd=") for word in words if word.startswith("simd=")), "")
    print(
        f"# {environment.cpu_name()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; Pillow {PIL.__version__}, "
        f"torch {torch.__version__}; {COUNT} files; decoded and normalised: per second "
        f"of processor time, medians of {TURNS} turns; pipeline: by the clock, the best of {TURNS} runs"
    )
    start = time.perf_counter()
    print(f"# compiled resizing: {resampling.prepare()}, loaded in {time.perf_counter() - start:.1f} s")
    for said, files in photographs().items():
        print(f"# {said}, {np.mean(list(map(len, files))) / 1000:.0f} kB each; one thread")
        decoders = {"pillow": by_pillow, "harness": lambda raw: np.asarray(coloured(raw, "", SPEC))}
        compare("decoded", {**decoders, "torchvision": by_torchvision, **others()}, files, list(map(by_pillow, files)))
        reference = list(map(transforms()["pillow"], files))
        compare("normalised", transforms(), files, reference)
        if simd:
            beside(simd, "normalised", files, reference)
        piped(files)


if __name__ == "__main__":
    main(sys.argv[1:])
