from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from ssl_bench import datasets, protocols, tasks
from ssl_bench.datasets import containers, splits
from ssl_bench.datasets.base import Split
from ssl_bench.errors import MissingError
from ssl_bench.metrics import METRICS

TASKS = sorted(tasks.names())
SUITES = sorted(tasks.suite_names())


@pytest.mark.parametrize("name", TASKS)
def test_task_card(name: str, tmp_path: Path) -> None:
    """Every task card parses, tells its source and licence, and its reader understands its options."""
    card = tasks.get(name)
    assert card.title
    assert card.source.url
    assert card.source.licence
    assert card.source.citation
    for expression in filter(None, (card.splits.train, card.splits.val, card.splits.test)):
        assert splits.parse(expression)
    try:
        datasets.locate(card, tmp_path)
    except MissingError as error:
        assert f"task {name!r}: " in str(error)  # noqa: PT017 - digits is always there, the others never
        assert card.source.bytes > 0 or card.source.manual or card.source.files


@pytest.mark.parametrize("name", TASKS)
def test_words(name: str) -> None:
    """A card that names its classes names each once, and every prompt has a place for a name."""
    card = tasks.get(name)
    assert len(set(card.class_names)) == len(card.class_names) in (0, card.classes)
    assert all("{}" in prompt for prompt in card.prompts)


@pytest.mark.parametrize(
    ("name", "same"), [("caltech101_1414", 89), ("cifar10_jpeg", 10), ("eurosat_3500", 2), ("mnist", 0)]
)
def test_words_are_in_the_order_of_the_labels(name: str, same: int, real_data: Path) -> None:
    """The words of classes that the data name alike stand where the data have them."""
    card = tasks.get(name)
    found = datasets.load(card, real_data)["test"].class_names
    alike = [a.replace("_", " ").lower() == b.lower() for a, b in zip(found, card.class_names, strict=bool(found))]
    assert sum(alike) == same


@pytest.mark.parametrize("name", TASKS)
def test_metric_exists(name: str) -> None:
    """Every task card's metric is one that exists."""
    assert tasks.get(name).metric in METRICS


@pytest.mark.parametrize("name", SUITES)
def test_suite_card(name: str) -> None:
    """Every suite card names tasks that exist, each once, in groups of one lower-case word."""
    suite = tasks.get_suite(name)
    named = [task for group in suite.groups.values() for task in group]
    assert set(named) <= set(TASKS)
    assert len(named) == len(set(named))
    assert all(re.fullmatch("[a-z_]+", group) for group in suite.groups)


@pytest.mark.parametrize("name", SUITES)
def test_suites_protocols_can_ask(name: str) -> None:
    """Every protocol of a suite exists and can ask the kind of every task of the groups that it asks."""
    suite = tasks.get_suite(name)
    for protocol in suite.all_protocols:
        kinds = protocols.get(protocol).kinds
        for group, names in suite.asks(protocol).items():
            assert {tasks.get(task).kind for task in names} <= set(kinds), (protocol, group)


VTAB = [name for name in TASKS if name.startswith("vtab1k_")]
SPLIT_SIZES = {
    "caltech101": (800, 200, 6084),
    "cifar100": (50000, 0, 10000),
    "clevr": (70000, 15000, 0),
    "dmlab": (65550, 22628, 22735),
    "dsprites": (737280, 0, 0),
    "dtd": (1880, 1880, 1880),
    "eurosat": (27000, 0, 0),
    "flowers102": (1020, 1020, 6149),
    "kitti": (6347, 423, 711),
    "patch_camelyon": (262144, 32768, 32768),
    "pets": (3680, 0, 3669),
    "resisc45": (31500, 0, 0),
    "retinopathy": (35126, 10906, 42670),
    "smallnorb": (24300, 0, 24300),
    "sun397": (76128, 10875, 21750),
    "svhn": (73257, 0, 26032),
}
"""Images of the source's train, val and test; 0: there is no such split. Caltech-101's source is VTAB's own list."""
TEST_SIZES = {"clevr": 15000, "dsprites": 73728, "eurosat": 5400, "resisc45": 6300, "smallnorb": 12150}
"""Images of VTAB's test set, where they are not those of the source's."""


FULL_SIZES = {
    "caltech101": (2754, 306, 6084),
    "cifar100": (45000, 5000, 10000),
    "clevr": (63000, 7000, 15000),
    "dmlab": (65550, 22628, 22735),
    "dsprites": (589824, 73728, 73728),
    "dtd": (1880, 1880, 1880),
    "eurosat": (16200, 5400, 5400),
    "flowers102": (1020, 1020, 6149),
    "kitti": (6347, 423, 711),
    "patch_camelyon": (262144, 32768, 32768),
    "pets": (2944, 736, 3669),
    "resisc45": (18900, 6300, 6300),
    "retinopathy": (35126, 10906, 42670),
    "smallnorb": (24300, 12150, 12150),
    "sun397": (76128, 10875, 21750),
    "svhn": (65931, 7326, 26032),
}
"""Images of full VTAB's train, val and test, from the loaders of google-research/task_adaptation."""


@pytest.mark.parametrize("name", [name.replace("vtab1k_", "vtab_") for name in VTAB])
def test_full_vtab_sizes(name: str) -> None:
    """Every task of full VTAB has as many train, val and test samples as published, no sample twice."""
    [key] = [key for key in SPLIT_SIZES if name.removeprefix("vtab_").startswith(key)]
    held = FULL_SIZES[key] if key == "caltech101" else SPLIT_SIZES[key]
    source = {role: numbered(size) for role, size in zip(splits.ROLES, held, strict=True) if size}
    roles = splits.assign(tasks.get(name).splits, source)
    assert tuple(len(roles[role]) for role in splits.ROLES) == FULL_SIZES[key]


@pytest.mark.parametrize("name", VTAB)
def test_vtab_sizes(name: str) -> None:
    """Every VTAB-1k task has 800 train and 200 val samples, no sample twice, and as many test samples as published."""
    [key] = [key for key in SPLIT_SIZES if name.removeprefix("vtab1k_").startswith(key)]
    sizes = dict(zip(splits.ROLES, SPLIT_SIZES[key], strict=True))
    source = {role: numbered(size) for role, size in sizes.items() if size}
    card = tasks.get(name)
    roles = splits.assign(card.splits, source)
    assert len(roles["train"]) == 800
    assert len(roles["val"]) == 200
    assert len(roles["test"]) == TEST_SIZES.get(key, sizes["test"])
    assert card.source.samples == {role: len(split) for role, split in roles.items()}


def numbered(size: int) -> Split:
    """A split of `size` samples without images, their ids the row numbers."""
    rows = np.arange(size)
    return Split(containers.Files(Path(), ()), rows, tuple(map(str, rows.tolist())), np.zeros(size, np.int64))


@pytest.mark.parametrize("name", [name for name in TASKS if tasks.get(name).shifts])
def test_shifts_of_cards(name: str) -> None:
    """Every shifted set names a reader that understands its options and a split that can be read."""
    card = tasks.get(name)
    for shift in card.shifts.values():
        assert splits.parse(shift.split)
        with pytest.raises(MissingError):
            datasets.reader(shift.reader or card.reader).locate(shift.data, Path("nowhere"))


def test_imagenet_c_lies_where_its_archives_unpack() -> None:
    """Each corruption's folder is one of those of ImageNet-C's archives, which hold three or four each."""
    card = tasks.get("imagenet1k_c")
    folders = [str(shift.data["path"]).rpartition("/")[0] for shift in card.shifts.values()]
    assert [folders.count(file.path) for file in card.source.files] == [3, 4, 4, 4]


def test_imagenets_shifts() -> None:
    """ImageNet-C has the 15 main corruptions, of which AlexNet errs least on brightness and most on impulse noise;
    ImageNet-A and ImageNet-R have 200 classes each, in rising order, the goldfish and the great white shark in R."""
    corruptions = tasks.get("imagenet1k_c").shifts
    errors = {name: shift.normaliser for name, shift in corruptions.items()}
    assert len(errors) == 15
    assert not {"speckle_noise", "gaussian_blur", "spatter", "saturate"} & set(errors)
    assert (min(errors, key=errors.__getitem__), max(errors, key=errors.__getitem__)) == ("brightness", "impulse_noise")
    assert (errors["brightness"], errors["impulse_noise"]) == (0.564592, 0.92264)
    for name in ("imagenet1k_a", "imagenet1k_r"):
        [shift] = tasks.get(name).shifts.values()
        assert len(shift.classes) == 200
        assert list(shift.classes) == sorted(shift.classes)
    assert tasks.get("imagenet1k_r").shifts["imagenet_r"].classes[:2] == (1, 2)
