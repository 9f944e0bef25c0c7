"""Decoded batches come in order, in bounded memory, and the same whoever decodes them."""

from __future__ import annotations

import io
import multiprocessing
import os
import signal
import threading
import time

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_sample_image

from ssl_bench import loading
from ssl_bench.datasets.base import Split
from ssl_bench.errors import DataError
from ssl_bench.images import InputSpec
from ssl_bench.loading import Work

SPEC = InputSpec((24, 24), resize_to=24)


def photograph(width: int, height: int) -> bytes:
    """Return a part of a photograph as a JPEG file."""
    file = io.BytesIO()
    Image.fromarray(load_sample_image("china.jpg")).crop((0, 0, width, height)).save(file, "jpeg")
    return file.getvalue()


class Files:
    """JPEG files of different sizes that count their reading; some do what they should not."""

    def __init__(self, count: int, broken: int = -1, deadly: int = -1) -> None:
        self.raw = [photograph(30 + i, 40) for i in range(10)]
        self.count, self.broken, self.deadly, self.seen = count, broken, deadly, [0]

    def __len__(self) -> int:
        return self.count

    def read(self, index: int) -> bytes:
        self.seen[0] += 1
        if index == self.deadly and multiprocessing.parent_process() is not None:
            os.kill(os.getpid(), signal.SIGKILL)
        return self.raw[index % 10][: 100 if index == self.broken else None]


def split_of(source: Files) -> Split:
    rows = np.arange(len(source))
    return Split(source, rows, tuple(f"{row}.jpg" for row in rows), rows)


def decoder_of(source: Files, size: int = 8) -> loading._Decoder:
    return loading._Decoder(split_of(source), SPEC, loading._grouped(np.arange(len(source)), size))


def test_who_decodes_changes_nothing() -> None:
    """No worker, one and several threads, and processes give the same batches in the same order."""
    decoder = decoder_of(Files(83))
    first = list(loading._by_threads(decoder, 0, False))
    assert np.concatenate([chosen for chosen, _ in first]).tolist() == list(range(83))
    others = [list(loading._by_threads(decoder, workers, False)) for workers in (1, 3)]
    others += [list(loading._by_processes(decoder, workers)) for workers in (1, 2)]
    for other in others:
        assert len(other) == len(first)
        for (chosen, images), (wanted, expected) in zip(other, first, strict=True):
            assert np.array_equal(chosen, wanted)
            assert torch.equal(images, expected)


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_batches_before_a_bad_image_are_given(workers: int) -> None:
    """The first image that cannot be decoded is named, and every batch before its own is given."""
    given = loading.batches(split_of(Files(80, broken=43)), SPEC, np.arange(80), Work("cpu", 8, workers))
    whole = []
    with pytest.raises(DataError, match=r"cannot decode the image 43\.jpg"):
        whole.extend(chosen for chosen, _ in given)
    assert len(whole) == 5


def test_a_bad_image_in_a_process_is_named() -> None:
    """What is wrong with an image is told in one line across processes too."""
    with pytest.raises(DataError, match=r"^cannot decode the image 43\.jpg"):
        list(loading._by_processes(decoder_of(Files(80, broken=43)), 2))


def test_a_killed_process_is_told_in_one_line() -> None:
    """A decoding process that the system ends is told with its likely cause and the mend."""
    with pytest.raises(DataError, match=r"memory.*ran out; run again with fewer: --workers 1$") as told:
        list(loading._by_processes(decoder_of(Files(80, deadly=43)), 2))
    assert "\n" not in str(told.value)


def test_only_a_few_batches_are_decoded_ahead() -> None:
    """A reader that stops asking stops the decoding: so memory holds a few batches, however large the split."""
    source = Files(4000)
    given = loading._by_threads(decoder_of(source), 3, False)
    next(given)
    time.sleep(0.3)
    assert source.seen[0] <= 8 * (loading.AHEAD + 1) + 1
    given.close()


def test_no_thread_is_left_behind() -> None:
    """Threads end with the batches, and where they are no longer wanted."""
    given = loading._by_threads(decoder_of(Files(400)), 3, False)
    next(given)
    assert any(thread.name.startswith("decoding") for thread in threading.enumerate())
    given.close()
    assert not any(thread.name.startswith("decoding") for thread in threading.enumerate())


def test_batches_of_processes_lie_in_shared_memory() -> None:
    """A process gives its batch in memory that both sides see, not as a copy."""
    assert all(images.is_shared() for _, images in loading._by_processes(decoder_of(Files(20)), 1))


def test_an_empty_choice_gives_nothing() -> None:
    """No positions, no batches."""
    assert list(loading.batches(split_of(Files(3)), SPEC, np.arange(0), Work())) == []


def test_arrays_are_given_as_they_are() -> None:
    """Raw pixels of the network's size and colours pass unchanged."""
    arrays = np.random.default_rng(0).integers(0, 256, (5, 24, 24, 3), dtype=np.uint8)

    class Arrays(list[np.ndarray]):
        def read(self, index: int) -> np.ndarray:
            return self[index]

    split = Split(Arrays(arrays), np.arange(5), tuple("abcde"), np.zeros(5, np.int64))
    [(_, images)] = loading.batches(split, SPEC, np.arange(5), Work(workers=2))
    assert np.array_equal(images.numpy(), arrays.transpose(0, 3, 1, 2))
    expected = np.asarray(Image.fromarray(arrays[0]))
    assert np.array_equal(images[0].numpy().transpose(1, 2, 0), expected)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
def test_a_gpu_gets_the_batches_in_order() -> None:
    """On a GPU batches arrive whole and in order while earlier ones are worked on, from threads and from processes."""
    expected = [images for _, images in loading._by_threads(decoder_of(Files(600)), 0, False)]
    for workers in (0, 3):
        work = Work("cuda", 8, workers)
        given = loading.on_device(loading.batches(split_of(Files(600)), SPEC, np.arange(600), work), work)
        found = [(images.float() @ torch.ones(24, 24, device="cuda"), images) for _, images in given]
        for (product, images), wanted in zip(found, expected, strict=True):
            assert torch.equal(images.cpu(), wanted)
            assert torch.equal(product.cpu(), wanted.float() @ torch.ones(24, 24))
