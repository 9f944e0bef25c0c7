"""The tensors of a TorchScript archive, read without its program: as `torch.jit.load(path).state_dict()` names them.

Such an archive is a zip file: `data.pkl` holds the modules as objects, `data/<key>` the bytes of each storage, and
`code/` the program. The objects are read here by an unpickler that knows containers and tensors and makes a bag of
attributes of every module; of the program, two lines of each class are looked at as text: which attributes are
parameters and buffers.
"""

from __future__ import annotations

import pickle
import re
import zipfile
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ssl_bench.checkpoints.archives import check_sizes
from ssl_bench.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor

CLASS = re.compile(r"^class (\w+)\((\w*)\):$", re.MULTILINE)
DECLARED = re.compile(r"__(?:parameters|buffers)__ = \[(.*?)\]", re.DOTALL)
LISTS = ("build_intlist", "build_doublelist", "build_boollist", "build_tensorlist", "restore_type_tag")
Fields = dict[str, frozenset[str]]
"""The parameters and buffers of each module class, by the class's full name."""


def is_torchscript(names: list[str]) -> bool:
    """True for the file names of an archive that holds a program; of older ones, for want of objects to read."""
    return any(name.endswith("/constants.pkl") or "/code/" in name for name in names)


def read(path: Path) -> dict[str, Tensor]:
    """Return parameters and buffers under their dotted names.

    Raises UsageError for archives that hold none, and for what no archive of tensors holds.
    """
    with zipfile.ZipFile(path) as archive:
        check_sizes(path, archive.infolist())
        pickled = next((name for name in archive.namelist() if name.endswith("/data.pkl")), None)
        if pickled is None:
            raise UsageError(f"{path} is a TorchScript program of torch before 1.4, without data.pkl")
        try:
            with archive.open(pickled) as file:
                top = _Objects(file, archive, pickled.removesuffix(".pkl")).load()
            found = dict(_named_tensors(top, "", _fields(archive)))
        except _Refused as error:
            raise UsageError(f"{path} is a TorchScript program that holds {error}: refused") from error
        except Exception as error:  # a damaged pickle can raise anything
            raise UsageError(f"{path} is no whole TorchScript file ({error}); download it again") from error
    if not found:
        raise UsageError(
            f"{path} is a TorchScript program without parameters: they were frozen into it as constants. "
            "Use the file from before torch.jit.freeze, or its state dict"
        )
    return found


class _Refused(Exception):
    """What is neither a tensor nor a plain value."""


class _Bag:
    """A module, as its attributes; what is restored by the program's own code is not known."""

    attributes: dict[str, Any]

    def __new__(cls, *_: Any) -> _Bag:
        bag = object.__new__(cls)
        bag.attributes = {}
        return bag

    def __setstate__(self, state: Any) -> None:
        self.attributes = state if isinstance(state, dict) else {}


class _Objects(pickle.Unpickler):
    """Reads objects of `__torch__` as bags, and tensors from the archive's storages; refuses every other name."""

    def __init__(self, file: Any, archive: zipfile.ZipFile, folder: str) -> None:
        super().__init__(file)
        self._archive, self._folder = archive, folder
        self._storages: dict[str, Any] = {}

    def find_class(self, module: str, name: str) -> Any:
        if module.partition(".")[0] == "__torch__":
            return type(name, (_Bag,), {"__module__": module})
        if module == "torch.jit._pickle" and name in LISTS:
            return self._first
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return self._tensor
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if module == "torch" and name.endswith("Storage"):
            return name
        raise _Refused(f"a pickled {module}.{name}")

    def persistent_load(self, pid: Any) -> Any:
        """Return a storage's values, flat: `pid` is ("storage", "HalfStorage", key, device, number of values)."""
        import torch

        _, kind, key, _, count = pid
        if key not in self._storages:
            raw = bytearray(self._archive.read(f"{self._folder}/{key}"))
            dtype = _dtype(kind)
            self._storages[key] = torch.frombuffer(raw, dtype=dtype) if raw else torch.empty(0, dtype=dtype)
        if len(self._storages[key]) < count:
            raise ValueError(f"storage {key} holds {len(self._storages[key])} values, not {count}")
        return self._storages[key]

    def _tensor(self, values: Tensor, offset: int, size: tuple[int, ...], stride: tuple[int, ...], *_: Any) -> Tensor:
        return values.as_strided(size, stride, offset)

    def _first(self, values: Any, *_: Any) -> Any:
        return values


def _dtype(kind: str) -> Any:
    """Return torch.float16 for "HalfStorage"."""
    import torch

    named = {"Half": "float16", "BFloat16": "bfloat16", "Char": "int8", "Byte": "uint8"}
    word = kind.removesuffix("Storage")
    dtype = getattr(torch, named.get(word, word.lower()), None)
    if not isinstance(dtype, torch.dtype):
        raise _Refused(f"values of the kind {kind}")
    return dtype


def _fields(archive: zipfile.ZipFile) -> Fields:
    """Return what the program's text declares as parameters and buffers; other tensors are no state."""
    found: Fields = {}
    for entry in archive.namelist():
        _, folder, place = entry.partition("/code/")
        if not folder or not place.endswith(".py"):
            continue
        _, *parts = CLASS.split(archive.read(entry).decode("utf-8", "replace"))
        for name, base, body in zip(parts[::3], parts[1::3], parts[2::3], strict=True):
            listed = " ".join(DECLARED.findall(body)) if base == "Module" else ""
            found[f"{place.removesuffix('.py').replace('/', '.')}.{name}"] = frozenset(re.findall(r'"(.+?)"', listed))
    return found


def _named_tensors(bag: Any, prefix: str, fields: Fields) -> Iterator[tuple[str, Tensor]]:
    """Yield the parameters and buffers of a module and of the modules in it; all its tensors where nothing is said."""
    import torch

    if not isinstance(bag, _Bag):
        return
    kind = type(bag)
    declared = fields.get(f"{kind.__module__}.{kind.__name__}")
    for name, value in bag.attributes.items():
        if isinstance(value, torch.Tensor) and (declared is None or name in declared):
            yield f"{prefix}{name}", value
        yield from _named_tensors(value, f"{prefix}{name}.", fields)
