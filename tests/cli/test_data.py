"""`ssl-bench data`, and a folder of images in place of a task."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.cli.conftest import Command, lines
from tests.cli.test_run import images


def test_ls_says_what_is_here_and_how_to_get_the_rest(command: Command) -> None:
    """Every task has a line with its state, size, samples and licence; what to do about the rest stands below."""
    said = command("data", "ls")
    rows = {row[0]: row for row in lines(said.out)}
    assert rows["digits"][1:4] == ["here", "", "1,797"]
    assert rows["vtab1k_cifar100"][1:4] == ["to download", "169.0 MB", "11,000"]
    assert rows["vtab1k_resisc45"][1] == "by hand"
    assert "at least 830.9 GB in all: ssl-bench data fetch NAME" in said.err  # CLEVR's, dSprites', … files once
    assert len(lines(command("data", "ls", "--suite", "vtab").out)) == 19
    assert command("data", "ls", "no_such").code == 2


def test_a_card_without_numbers(command: Command, tmp_path: Path) -> None:
    """A card that knows neither samples nor sizes is listed and shown; a folder's name may hold any letter."""
    folder = images(tmp_path / 'my "own" \\ folder')
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tasks/mine.toml").write_text(command("data", "import", folder).out)
    assert lines(command("data", "ls", "mine", "--shelf", ".").out)[0][:4] == ["mine", "here", "", ""]
    assert "train 24, test 24" in command("data", "show", "mine", "--shelf", ".").out
    absent = command("data", "import", folder).out.replace("folder", "gone") + '[[source.files]]\npath = "x"\n'
    absent += f'urls = ["http://127.0.0.1:9/x"]\nmd5 = "{"0" * 32}"\n'
    (tmp_path / "tasks/mine.toml").write_text(absent.replace('"image_gone"', '"image_folder"'))
    said = command("data", "ls", "mine", "--shelf", ".")
    assert "1 to download: ssl-bench data fetch NAME" in said.err
    assert "x  (missing)" in command("data", "show", "mine", "--shelf", ".").out


def test_what_is_partly_here(command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of data that is half here the files that lack are told, and their size alone is counted."""
    monkeypatch.setenv("SSL_BENCH_DATA", str(tmp_path / "data"))
    (tmp_path / "data/torchvision/svhn").mkdir(parents=True)
    (tmp_path / "data/torchvision/svhn/test_32x32.mat").write_bytes(b"whole")
    said = command("data", "ls", "vtab1k_svhn")
    assert "vtab1k_svhn\tpartly here" in said.out
    assert "1 to download, 182.0 MB in all" in said.err
    assert "torchvision/svhn/test_32x32.mat  (here)" in command("data", "show", "vtab1k_svhn").out


def test_what_is_partly_by_hand(command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of data that ask for a person besides a download, both are told, each with its size."""
    monkeypatch.setenv("SSL_BENCH_DATA", str(tmp_path / "data"))
    said = command("data", "ls", "imagenet1k_sketch")
    assert "imagenet1k_sketch\tpartly by hand\t162.2 GB" in said.out
    assert "1 to download, 7.6 GB in all" in said.err
    assert "1 by hand" in said.err
    shown = command("data", "show", "imagenet1k_sketch").out
    assert "ssl-bench data fetch imagenet1k_sketch  (7.6 GB)\n" in shown
    assert "after registering)  (154.6 GB)\n" in shown
    (tmp_path / "data/imagenet-sketch").mkdir(parents=True)
    assert "imagenet1k_sketch\tby hand" in command("data", "ls", "imagenet1k_sketch").out


def test_ls_as_json_has_every_file(command: Command) -> None:
    """Scripts get every address, checksum and size, and whether the file is here."""
    [pets] = json.loads(command("data", "ls", "vtab1k_pets", "--json").out)
    assert [file["path"].rpartition("/")[2] for file in pets["files"]] == ["images", "annotations"]
    assert all(file["urls"] and len(file["sha256"]) == 64 and not file["here"] for file in pets["files"])
    assert (pets["state"], pets["bytes"], pets["samples"]["test"]) == ("to download", 811_092_049, 3669)
    assert json.loads(command("data", "show", "vtab1k_pets", "--json").out) == pets


def test_show_and_path(command: Command) -> None:
    """A task's source, splits and files are shown; absent data is told with the step that gets it, and exit code 6."""
    assert "train 1,257, val 180, test 360" in command("data", "show", "digits").out
    shown = command("data", "show", "vtab1k_resisc45").out
    assert "missing" in shown
    assert "get it   download NWPU-RESISC45.rar" in shown
    shown = command("data", "show", "vtab1k_pets").out
    assert "https://www.robots.ox.ac.uk/~vgg/data/pets/data/images.tar.gz" in shown
    assert "get it    ssl-bench data fetch vtab1k_pets  (811.1 MB)" in shown
    assert command("data", "path", "vtab1k_resisc45").code == 6


def test_check_finds_a_broken_image(command: Command, tmp_path: Path) -> None:
    """A folder with a truncated image is told by name, with exit code 2; a whole one by its counts."""
    folder = images(tmp_path / "own")
    said = command("data", "check", folder, "--duplicates")
    assert said.code == 0
    assert said.out.startswith("own: whole\n  samples       train 24, test 24\n")
    broken = folder / "test" / "dark" / "3.png"
    broken.write_bytes(broken.read_bytes()[:60])
    said = command("data", "check", folder)
    assert said.code == 2
    assert "own: 1 fault" in said.out
    assert "test: cannot decode the image test/dark/3.png" in said.out


def test_check_reads_the_bytes_anew(command: Command, tmp_path: Path) -> None:
    """A byte that changed since, with neither size nor time of the file, is found out."""
    folder = images(tmp_path / "own")
    before = json.loads(command("data", "check", folder, "--json").out)[0]["task_digest"]
    path = folder / "test" / "dark" / "3.png"
    times = path.stat()
    path.write_bytes((folder / "test" / "dark" / "4.png").read_bytes()[: times.st_size].ljust(times.st_size, b"\0"))
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert json.loads(command("data", "check", folder, "--json").out)[0]["task_digest"] != before


def test_check_compares_with_the_card(command: Command, tmp_path: Path) -> None:
    """Counts that the card knows otherwise, and a class without images, are told; other tasks are still checked."""
    folder = images(tmp_path / "own")
    card = command("data", "import", folder).out + "samples = { train = 30, test = 24 }\n"
    (tmp_path / "mine.toml").write_text(card)
    said = command("data", "check", tmp_path / "mine.toml", "vtab1k_resisc45", "digits")
    assert "train has 24 samples, but the card says 30" in said.out
    assert "vtab1k_resisc45: 1 fault" in said.out
    assert "digits: whole\n  samples     train 1,257, val 180, test 360, as the card says" in said.out
    assert said.code == 6
    for path in (folder / "train" / "dark").iterdir():
        path.unlink()
    assert "the class folder train/dark holds no images; fill or remove it" in command("data", "check", folder).out
    (folder / "train" / "dark").rmdir()
    assert "no sample of  train: dark" in command("data", "check", folder).out


def test_check_finds_duplicates(command: Command, tmp_path: Path) -> None:
    """Images that two splits share are found by their bytes, by the picture and by what a model sees, with labels."""
    folder = images(tmp_path / "own")
    (folder / "test" / "dark" / "twin.png").write_bytes((folder / "train" / "bright" / "5.png").read_bytes())
    said = command("data", "check", folder, "--model", "pixels,size=8", "--alike", "0.999", "--json")
    [report] = json.loads(said.out)
    for kind in ("same_bytes", "same_picture", "alike"):
        [pair] = [pair for pair in report[kind] if pair["sample"] == "test/dark/twin.png"]
        assert (pair["other"], pair["labels_agree"]) == ("train/bright/5.png", False)
    assert said.code == 0
    told = command("data", "check", folder).out
    assert "same bytes  1 sample has one in an earlier split, 1 of them under another label" in told
    assert "test test/dark/twin.png ~ train train/bright/5.png  another label" in told


def test_a_folder_in_place_of_a_task(command: Command, tmp_path: Path) -> None:
    """`run --data FOLDER` and `run --task FOLDER` measure on a user's own folder, by one and the same record."""
    folder = images(tmp_path / "own")
    first = command("run", "-m", "pixels,size=8", "--data", folder, "-p", "knn,k=3")
    assert first.code == 0
    assert lines(first.out)[0][1:3] == ["own", "knn"]
    second = command("run", "-m", "pixels,size=8", "--task", folder, "-p", "knn,k=3")
    assert "1 records present" in second.err


def test_import_prints_a_card(command: Command, tmp_path: Path) -> None:
    """The card of a folder is printed as a file's text, its counts beside it; a folder of no classes is told."""
    folder = images(tmp_path / "own")
    said = command("data", "import", folder)
    assert f'path  = "{folder}"' in said.out
    assert "train 24, test 24 samples" in said.err
    (tmp_path / "empty").mkdir()
    assert command("data", "import", tmp_path / "empty").code == 2
