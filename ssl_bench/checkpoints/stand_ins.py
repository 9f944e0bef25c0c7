"""Inert stand-ins for what training codes pickle beside their tensors: no foreign class is imported, none is called.

torch's own restricted reader stops at a name that it does not know. A name of a third party (a configuration, a meter,
a mixed-precision state) is then read as a class of ours that ignores what it is given. Names of the standard library,
of NumPy and of torch itself are refused unless they are listed here, since that is where pickles that do harm take
their functions from; and since a stand-in is never that function, a name that slips through still does nothing.
"""

from __future__ import annotations

import re
import sys
from collections import OrderedDict
from typing import Any

MOST = 100
"""Foreign names in one file; each costs one more reading of its pickle."""
VALUES = frozenset({"argparse", "collections", "datetime", "decimal", "enum", "fractions", "pathlib", "typing", "uuid"})
"""Modules of the standard library that hold values and annotations, and nothing to call that does anything."""
REFUSED = (
    frozenset(sys.stdlib_module_names) - VALUES
    | {"__builtin__", "distutils", "pip", "pkg_resources", "setuptools"}
    | {"numpy", "torch", "cloudpickle", "dill", "joblib"}
)
"""Top packages whose names are not read as stand-ins, unless they are listed below."""
NUMBERS = re.compile(
    r"numpy\.(?:ndarray|dtype|dtypes\.\w+|bool_?|u?int\d+|float\d+|_?core\.multiarray\.(?:scalar|_reconstruct)"
    r"|random\._pickle\.\w+)"
)
"""What NumPy's numbers, arrays and random states are pickled as. The real ones are not called: a pickle may set what an
array takes for a pointer."""
UNKNOWN = re.compile(r"GLOBAL ([\w.<>]+) was not an allowed global|GLOBAL ([\w.<>]+) whose module")
UNFIT = re.compile(r"for dict,.*but got <class '([\w.<>]+)'>|(?:append to|extend) lists, but got <class '([\w.<>]+)'>")


class Inert:
    """An object that ignores what it is made of and holds nothing."""

    def __new__(cls, *_: Any, **__: Any) -> Any:
        return object.__new__(cls)

    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        pass


class InertDict(Inert):
    """For classes that derive from dict: torch's reader sets items of plain dictionaries only, so it makes one."""

    def __new__(cls, *_: Any, **__: Any) -> Any:
        return OrderedDict()


class InertList(Inert):
    """For classes that derive from list, likewise."""

    def __new__(cls, *_: Any, **__: Any) -> Any:
        return []


PLAIN: dict[str, type[Inert]] = {
    **{f"builtins.{kind}": Inert for kind in ("bool", "bytes", "dict", "float", "frozenset", "int", "list", "object")},
    **{f"builtins.{kind}": Inert for kind in ("range", "slice", "str", "tuple")},
    "collections.defaultdict": InertDict,
    "collections.deque": InertList,
    "torch.torch_version.TorchVersion": Inert,
    "types.SimpleNamespace": Inert,
}
"""Names of Python and of torch that hold plain values, and what they are read as."""


class StandIns:
    """The foreign names of one file and what each is read as; grows until the file can be read."""

    def __init__(self) -> None:
        self._made: dict[str, type[Inert]] = {}

    def allowed(self) -> list[Any]:
        """Return the stand-ins as `torch.serialization.safe_globals` takes them."""
        return [(kind, name) for name, kind in self._made.items()]

    def learn(self, complaint: str) -> str:
        """Give the name that torch's reader complained of a stand-in, or a better one; return "" where that is done.

        Returns the name where it is refused, and "?" where the complaint is of something else.
        """
        if unfit := UNFIT.search(complaint):
            return self._reshape(unfit[1] or unfit[2], InertDict if unfit[1] else InertList)
        if "DTensor" in complaint:
            return "torch.distributed.tensor.DTensor"
        unknown = UNKNOWN.search(complaint)
        if unknown is None:
            return "?"
        name = unknown[1] or unknown[2]
        name = name if "." in name else f"builtins.{name}"
        refused = name not in PLAIN and name.partition(".")[0] in REFUSED and not NUMBERS.fullmatch(name)
        if refused or name in self._made or len(self._made) >= MOST:
            return name
        self._made[name] = _named(name, PLAIN.get(name, Inert))
        return ""

    def _reshape(self, name: str, base: type[Inert]) -> str:
        """Let the objects called `name` be dictionaries or lists, if they are stand-ins and not yet either."""
        kind = self._made.get(name)
        if kind is None or kind.__base__ is not Inert:
            return "?"
        self._made[name] = _named(name, base)
        return ""


def _named(name: str, base: type[Inert]) -> type[Inert]:
    """Return a class of ours that bears a foreign name, by which torch's complaints can be told apart."""
    module, _, last = name.rpartition(".")
    return type(last, (base,), {"__module__": module, "__qualname__": last})
