"""What lies pickled beside the tensors: plain values and foreign classes do not stand in the way, code is refused."""

from __future__ import annotations

import argparse
import collections
import datetime
import functools
import os
import pathlib
import runpy
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from ssl_bench.checkpoints import reading
from ssl_bench.errors import UsageError

STATE = {"conv.weight": torch.arange(12.0).reshape(3, 4), "conv.bias": torch.ones(3)}


def foreign(name: str, bases: tuple[type, ...] = (), **body: Any) -> type:
    """Return a class that seems to come from a package that is imported while a file is saved, and only then."""
    module, _, last = name.rpartition(".")
    cls = type(last, bases, {"__module__": module, "__qualname__": last, **body})
    for level in range(module.count(".") + 1):
        part = ".".join(module.split(".")[: level + 1])
        sys.modules.setdefault(part, types.ModuleType(part))
    setattr(sys.modules[module], last, cls)
    return cls


@pytest.fixture(autouse=True)
def only_while_saving(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Forget the foreign packages after a test."""
    before = dict(sys.modules)
    yield
    for name in set(sys.modules) - set(before):
        if name.startswith("lab_"):
            del sys.modules[name]


def saved(path: Path, beside: Any, legacy: bool = False) -> Path:
    """Save the state dict with something beside it, and forget the foreign packages."""
    torch.save({"extra": beside, "model": STATE}, path, _use_new_zipfile_serialization=not legacy)
    for name in [name for name in sys.modules if name.startswith("lab_")]:
        del sys.modules[name]
    return path


def config() -> Any:
    """A dictionary with attributes of its own, as yacs and addict have it, within another."""
    kind = foreign("lab_yacs.config.CfgNode", (dict,))
    outer, inner = kind(LR=0.1), kind(NAME="vit")
    outer.__dict__["immutable"], outer["MODEL"] = True, inner
    return outer


def omegaconf() -> Any:
    """A configuration that keeps its content in attributes, some of them a defaultdict, an enum and a path."""
    import enum

    kind = foreign("lab_omegaconf.dictconfig.DictConfig")
    mode = enum.Enum("Mode", {"FAST": 1}, module="lab_omegaconf.base", qualname="Mode")
    mode.__reduce_ex__ = lambda one, _: (mode, (one.value,))  # type: ignore[assignment]  # Python 3.11.0 to 3.11.3 differ
    foreign("lab_omegaconf.base.X")
    sys.modules["lab_omegaconf.base"].Mode = mode  # type: ignore[attr-defined]
    made = kind()
    made.__dict__.update(content=collections.defaultdict(list, a=[1]), mode=mode.FAST, at=pathlib.PurePosixPath("/x"))
    return made


def meter() -> Any:
    """A meter with slots and a state of two parts."""
    made = foreign("lab_main.AverageMeter", (), __slots__=("total",))()
    made.total = 3.0
    return {"top1": made, made: "as a key"}


def optimizer() -> Any:
    """A third party's optimizer that is pickled as a call of its class."""
    body = {"__init__": lambda self, *a: None, "__reduce__": lambda self: (type(self), (STATE["conv.bias"], 0.1))}
    return foreign("lab_apex.FusedLAMB", (), **body)(1)


def listing() -> Any:
    """A list with a class of its own, and a deque."""
    return [foreign("lab_lists.ListConfig", (list,))([1, 2]), collections.deque([1, 2], maxlen=5)]


def training() -> Any:
    """What DINO and MAE keep: arguments, numbers of NumPy, random states, dates, versions."""
    return {
        "args": argparse.Namespace(arch="vit", out=pathlib.PurePosixPath("/out")),
        "best": [np.float64(0.5), np.float32(1), np.int64(3), np.arange(3, dtype=np.uint32), np.array(["a"])],
        "rng": np.random.get_state(),
        "when": datetime.datetime(2020, 1, 1),
        "torch": torch.torch_version.TorchVersion("2.0.1"),
        "kinds": (int, list, frozenset({1}), slice(2), torch.float16, torch.device("cpu")),
    }


def callback() -> Any:
    """Lightning's callbacks, whose classes themselves are keys."""
    return {foreign("lab_lightning.callbacks.ModelCheckpoint"): {"best_model_score": torch.ones(1)}}


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
@pytest.mark.parametrize("beside", [config, omegaconf, meter, optimizer, listing, training, callback])
def test_foreign_objects_do_not_stand_in_the_way(tmp_path: Path, beside: Callable[[], Any], legacy: bool) -> None:
    """The tensors beside objects of packages that are not installed are read, and the packages are not imported."""
    outer = reading.read(saved(tmp_path / "a.pth", beside(), legacy))
    assert all(torch.equal(outer["model"][key], value) for key, value in STATE.items())
    assert not [name for name in sys.modules if name.startswith("lab_")]


def test_a_foreign_dictionary_may_hold_the_tensors(tmp_path: Path) -> None:
    """A state dict that is of a foreign dictionary class is a dictionary."""
    kind = foreign("lab_mm.ConfigDict", (collections.OrderedDict,))
    torch.save(kind(state_dict=kind(STATE)), tmp_path / "a.pth")
    del sys.modules["lab_mm"]
    assert reading.read(tmp_path / "a.pth")["state_dict"].keys() == STATE.keys()


def test_a_foreign_class_that_is_here_is_not_called(tmp_path: Path) -> None:
    """A class of a package that is installed is not called either."""
    called: list[str] = []
    kind = foreign("lab_noisy.Loud", (), __setstate__=lambda self, state: called.append("set"), x=1)
    made = kind()
    made.__dict__["y"] = 2
    torch.save({"extra": made, "model": STATE}, tmp_path / "a.pth")
    assert reading.read(tmp_path / "a.pth")["model"].keys() == STATE.keys()
    assert "lab_noisy" in sys.modules
    assert not called


def test_arrays_of_numpy_are_not_made(tmp_path: Path) -> None:
    """Not even NumPy's own arrays are made from a pickle, which could say where in memory their objects lie."""
    outer = reading.read(saved(tmp_path / "a.pth", np.array([{"a": 1}, None], dtype=object)))
    assert not isinstance(outer["extra"], np.ndarray)
    assert outer["model"].keys() == STATE.keys()


class Calls:
    """An object whose unpickling calls a function."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> Any:
        return self.call


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
@pytest.mark.parametrize(
    ("function", "said"),
    [
        (os.system, "system"),
        (os.popen, "popen"),
        (exec, "builtins.exec"),
        (eval, "builtins.eval"),
        (getattr, "builtins.getattr"),
        (__import__, "builtins.__import__"),
        (open, "open"),
        (runpy.run_path, "runpy.run_path"),
        (functools.partial, "functools.partial"),
        (functools.reduce, "functools.reduce"),
        (torch.hub.load, "torch.hub.load"),
        (torch.load, "torch.serialization.load"),
        (np.load, "numpy.*load"),
        (types.SimpleNamespace.__class__, "builtins.type"),
    ],
    ids=lambda value: value.replace(".", "-") if isinstance(value, str) else "",
)
def test_code_is_never_run(tmp_path: Path, function: Callable[..., Any], said: str, legacy: bool) -> None:
    """A file whose reading would call a function of the system, of Python or of torch is refused by the name of it."""
    marker = tmp_path / "ran"
    path = saved(tmp_path / "a.pth", Calls(function, f"touch {marker}"), legacy)
    with pytest.raises(UsageError, match=rf"pickled \S*{said}.*refused"):
        reading.read(path)
    assert not marker.exists()


def test_classes_of_torch_are_refused(tmp_path: Path) -> None:
    """A whole pickled network is refused, and the mend is its state dict."""
    torch.save({"model": nn.Linear(2, 2)}, tmp_path / "a.pth")
    with pytest.raises(UsageError, match=r"torch\.nn\.modules\.linear\.Linear.*refused.*torch\.save"):
        reading.read(tmp_path / "a.pth")


def test_a_network_of_foreign_classes_is_no_dictionary(tmp_path: Path) -> None:
    """A file that holds one foreign object and no dictionary is told for what it is."""
    torch.save(foreign("lab_nets.Net")(), tmp_path / "a.pth")
    with pytest.raises(UsageError, match=r"holds a Net, not a dictionary.*state_dict\(\)"):
        reading.read(tmp_path / "a.pth")


def test_endless_foreign_names_are_refused(tmp_path: Path) -> None:
    """A file of very many foreign classes, each of which costs a reading, is refused."""
    many = [foreign(f"lab_many.C{number}")() for number in range(150)]
    with pytest.raises(UsageError, match=r"lab_many.*refused"):
        reading.read(saved(tmp_path / "a.pth", many))
