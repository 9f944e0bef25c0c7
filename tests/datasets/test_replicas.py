"""Every card, loaded from a small replica of what its source gives: downloaded from a server, or put there by hand."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import http.server
import inspect
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from ssl_bench import datasets, tasks
from ssl_bench.datasets import sources
from ssl_bench.datasets.splits import ROLES, parse
from ssl_bench.errors import MissingError
from ssl_bench.tasks import SourceFile, TaskCard
from tests.datasets.replicas import BY_HAND, Truth, builders

BUILDERS = builders()
WITHOUT = {"digits": "its file lies inside scikit-learn, and is read as it is"}
"""Cards that need no replica, and why."""
NAMES = sorted(set(tasks.names()) - set(WITHOUT))


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *words: object) -> None:
        """Keep the test's output quiet."""


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder and the address where a server gives it."""
    (tmp_path / "served").mkdir()
    handler = functools.partial(Quiet, directory=str(tmp_path / "served"))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield tmp_path / "served", f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


@pytest.fixture(autouse=True)
def _unchecked(monkeypatch: pytest.MonkeyPatch) -> None:
    """torchvision knows the digests of its originals, which a replica cannot have."""
    import torchvision as library

    for module in ("cifar", "flowers102", "svhn"):
        target = getattr(library.datasets, module)
        monkeypatch.setattr(target, "check_integrity", lambda path, md5=None: Path(path).is_file())


def test_every_card_has_a_replica() -> None:
    """A card without a replica is one that says why it needs none; a replica is of a card that exists."""
    assert set(NAMES) == set(BUILDERS)


@pytest.mark.parametrize("name", sorted(tasks.names()))
def test_every_card_says_how_to_get_it(name: str) -> None:
    """Every card has files to download, whose sizes add up to the card's, or a step for a person, or both."""
    source = tasks.get(name).source
    assert source.files or source.manual or name in WITHOUT
    if source.files and all(file.bytes for file in source.files):
        total = sum(file.bytes for file in source.files)
        assert total < source.bytes if source.manual else total == source.bytes


def build(name: str, place: Path) -> Truth:
    module = BUILDERS[name]
    pytest.importorskip(getattr(module, "NEEDS", "numpy"))
    several = len(inspect.signature(module.build).parameters) == 2
    found: Truth = module.build(place, name) if several else module.build(place)
    return found


def shrunk(name: str) -> TaskCard:
    """The card with slices and shifts that suit the replica."""
    card = tasks.get(name)
    if len(card.shifts) > 1 and (kept := getattr(BUILDERS[name], "SHIFTS", ())):
        card = dataclasses.replace(card, shifts={shift: card.shifts[shift] for shift in kept})
    rules = getattr(BUILDERS[name], "SPLITS", {})
    sliced = {role: rule for role, rule in rules.items() if "[" in getattr(card.splits, role)}
    return dataclasses.replace(card, splits=dataclasses.replace(card.splits, **sliced))


def pointed(card: TaskCard, folder: Path, address: str) -> TaskCard:
    """The card with the replica's digests, and the server in place of the source's."""
    files = []
    for file in card.source.files:
        last = file.urls[0].rpartition("/")[2]
        content = (folder / last).read_bytes()
        changed = {"urls": (f"{address}/{last}",), "bytes": len(content), "md5": ""}
        files.append(dataclasses.replace(file, sha256=hashlib.sha256(content).hexdigest(), **changed))
    return dataclasses.replace(card, source=dataclasses.replace(card.source, files=tuple(files)))


def check(card: TaskCard, root: Path, truth: Truth) -> None:
    """Load the card's roles, and compare every label and image with what the replica was made of."""
    roles = datasets.load(card, root)
    rules = {role: rule for role in ROLES if (rule := getattr(card.splits, role))}
    places = {role: [part.split for part in parse(rule)] for role, rule in rules.items()}
    places |= {name: [name] for name in card.shifts}
    assert set(roles) == set(places)
    for role, split in roles.items():
        known = {key: value for place in places[role] for key, value in truth[place].items()}
        assert len(split) == len(known) or "[" in rules.get(role, "")
        for position, sample in enumerate(split.ids):
            label, image = known[sample.partition("#")[0]]
            np.testing.assert_array_equal(split.read(position), image, err_msg=f"{role} {sample}")
            if split.targets is not None:
                assert split.targets[position].digest == label.digest, (role, sample)
                continue
            found = split.labels[position]
            one = found.ndim == 0 or card.kind == "multilabel"  # else a set, filled up with -1
            assert (found.tolist() if one else found[found >= 0].tolist()) == label, (role, sample)


@pytest.mark.parametrize("name", [name for name in NAMES if tasks.get(name).source.files])
def test_downloaded(name: str, served: tuple[Path, str], tmp_path: Path) -> None:
    """What the source gives is downloaded, unpacked and read: every image and label; with a file less nothing is."""
    folder, address = served
    truth = build(name, folder)
    card, root = pointed(shrunk(name), folder, address), tmp_path / "data"
    assert bool(card.source.manual) == (folder / BY_HAND).exists()
    if card.source.manual:
        (folder / BY_HAND).rename(root)
    for number, file in enumerate(card.source.files):
        with pytest.raises(MissingError, match=f"task '{name}': .*ssl-bench data fetch {name}"):
            datasets.locate(card, root)
        part = dataclasses.replace(card.source, files=card.source.files[: number + 1])
        datasets.fetch(dataclasses.replace(card, source=part), root)
        assert (root / file.path).exists()
    datasets.fetch(card, root)
    assert not sources.missing(card.source.files, root)
    assert {path.name[0] for path in root.rglob(".*")} <= {"."}
    assert [path for path in root.rglob(".*") if not path.name.endswith(".lock")] == []
    check(card, root, truth)


@pytest.mark.parametrize("name", [name for name in NAMES if not tasks.get(name).source.files])
def test_put_by_hand(name: str, tmp_path: Path) -> None:
    """What a person puts where the card tells is read; before, the card's step is told, by `fetch` too."""
    card = shrunk(name)
    for ask in (datasets.locate, datasets.fetch):
        with pytest.raises(MissingError) as error:
            ask(card, tmp_path)
        assert card.source.manual in str(error.value)
    check(card, tmp_path, build(name, tmp_path))


def test_downloaded_but_for_a_step(served: tuple[Path, str], tmp_path: Path) -> None:
    """Of a card that needs a person besides its files, the step alone is told once the files are here."""
    folder, address = served
    build("imagenet1k_real", folder)
    card = pointed(tasks.get("imagenet1k_real"), folder, address)
    with pytest.raises(MissingError, match=r"ssl-bench data fetch imagenet1k_real; then unpack ILSVRC2012"):
        datasets.locate(card, tmp_path)
    datasets.fetch(card, tmp_path)
    with pytest.raises(MissingError, match=r"Get it \(154.6 GB\): unpack ILSVRC2012"):
        datasets.locate(card, tmp_path)


def test_kinds_of_places() -> None:
    """A file to download names a place inside the data folder and a digest to know it by."""
    good = {"path": "a/b", "urls": ("http://x/y",), "md5": "0" * 32}
    assert SourceFile(**good)
    for wrong in ({"path": "../b"}, {"path": "/b"}, {"md5": ""}, {"md5": "0" * 31}, {"sha256": "x" * 64}, {"urls": ()}):
        with pytest.raises(tasks.UsageError):
            SourceFile(**good | wrong)
