"""Several processes of one job, as torchrun starts them: who this one is, and what they say to each other.

A process that torchrun did not start is the first of one, and every function here then does nothing. The first process
measures, writes records and shows progress; the others only take part in training.
"""

from __future__ import annotations

import contextlib
import datetime
import os
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from ssl_bench.errors import UsageError, reason

if TYPE_CHECKING:
    from torch import Tensor

Value = TypeVar("Value")
PATIENCE = datetime.timedelta(hours=12)
"""How long a process waits for the others: the first extracts and evaluates alone."""
BUCKET = 2**26
"""Bytes that are added up at once."""


def rank() -> int:
    """Return this process's number, from 0."""
    return int(os.environ.get("RANK", "0"))


def world() -> int:
    """Return how many processes there are."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def join(device: str) -> str:
    """Meet the other processes, once, and return this one's device: each of a machine takes a GPU of its own."""
    if world() == 1:
        return device
    import torch
    from torch import distributed

    if device == "cuda":
        device = f"cuda:{os.environ.get('LOCAL_RANK', '0')}"
    if device.startswith("cuda"):
        torch.cuda.set_device(device)
    if not distributed.is_initialized():
        try:
            distributed.init_process_group("nccl" if device.startswith("cuda") else "gloo", timeout=PATIENCE)
        except (RuntimeError, ValueError) as error:
            raise UsageError(
                f"RANK and WORLD_SIZE say that this is one of {world()} processes, and the others are not to be found "
                f"({reason(error)}): start them with torchrun, or unset both"
            ) from error
    return device


def leave() -> None:
    """Part from the other processes, if there are any."""
    if world() == 1:
        return
    from torch import distributed

    if distributed.is_initialized():
        distributed.destroy_process_group()


@contextlib.contextmanager
def first_goes_ahead() -> Iterator[None]:
    """Run the block in the first process, and in the others once it is through there: they find what it prepared."""
    if rank():
        said_by_first(None)
    try:
        yield
    finally:
        if not rank():
            said_by_first(None)


def add(tensors: Iterable[Tensor]) -> None:
    """Put into each tensor, in place, the sum of what the processes hold in it."""
    _in_buckets(tensors, "all_reduce")


def copy_first(tensors: Iterable[Tensor]) -> None:
    """Put into each tensor of numbers with a fraction, in place, what the first process holds in it."""
    _in_buckets((tensor for tensor in tensors if tensor.is_floating_point()), "broadcast")


def said_by_first(value: Value) -> Value:
    """Return what the first process gives here; the others wait for it."""
    if world() == 1:
        return value
    from torch import distributed

    said: list[Any] = [value]
    distributed.broadcast_object_list(said, src=0)
    return said[0]  # type: ignore[no-any-return]


def _in_buckets(tensors: Iterable[Tensor], what: str) -> None:
    """Pass tensors on in few large messages of one type each."""
    if world() == 1:
        return
    kinds: dict[Any, list[Tensor]] = {}
    for tensor in tensors:
        bucket = kinds.setdefault(tensor.dtype, [])
        bucket.append(tensor)
        if sum(one.nbytes for one in bucket) >= BUCKET:
            _pass_on(kinds.pop(tensor.dtype), what)
    for bucket in kinds.values():
        _pass_on(bucket, what)


def _pass_on(bucket: Sequence[Tensor], what: str) -> None:
    import torch
    from torch import distributed

    flat = torch.cat([tensor.detach().reshape(-1) for tensor in bucket])
    if what == "all_reduce":
        distributed.all_reduce(flat)
    else:
        distributed.broadcast(flat, src=0)
    for tensor, part in zip(bucket, torch.split(flat, [tensor.numel() for tensor in bucket]), strict=True):
        tensor.detach().copy_(part.view_as(tensor))
