"""The reading and starting commands: list, show, results, board, doctor, new, completion, demo."""

from __future__ import annotations

import importlib.metadata
import json
import time
import tomllib
from pathlib import Path

import pytest

from ssl_bench import cards, cli, errors, model_zoo, protocols, tasks
from ssl_bench.cli import doctor_command
from ssl_bench.results.store import Results
from tests.cli.conftest import Command, lines
from tests.cli.test_run import PIXELS


@pytest.mark.parametrize("kind", ["models", "tasks", "suites", "protocols", "metrics"])
def test_every_list_is_a_table_and_json(command: Command, kind: str) -> None:
    """Each list prints its names in a table, and the same names as JSON."""
    names = [row[0] for row in lines(command("list", kind).out)]
    assert names
    assert names == [row["name"] for row in json.loads(command("list", kind, "--json").out)]


def test_lists_stay_quick() -> None:
    """Reading every task card and every suite takes a fifth of a second of processor time at most: lists stay quick."""
    start = time.process_time()
    read = [tasks.read(path) for path in tasks.names().values()]
    suites = [tasks.read_suite(path) for path in tasks.suite_names().values()]
    assert len(read) > 100
    assert len(suites) > 10
    assert time.process_time() - start < 0.2


def test_a_pattern_narrows_a_list(command: Command) -> None:
    """A part of a name or a glob narrows a list."""
    assert {row[0] for row in lines(command("list", "models", "cifar_*").out)} == {"cifar_resnet20", "cifar_resnet56"}
    assert {row[0] for row in lines(command("list", "models", "dinov2").out)} >= {"dinov2_vitb14", "dinov2_vits14"}


def test_show_says_what_a_card_holds_and_what_is_missing(command: Command) -> None:
    """`show` prints a card's filled fields, where its weights are, and the command that gets them."""
    said = command("show", "dinov2_vitb14")
    assert "ssl-bench fetch --model dinov2_vitb14" in said.out
    facts = json.loads(command("show", "digits", "--json").out)
    assert (facts["classes"], facts["chance (top1)"]) == (10, 0.1)
    assert json.loads(command("show", "knn,k=5", "--json").out)["recipe"]["k"] == 5
    assert json.loads(command("show", "vtab", "--json").out)["input"] == {"resize": "squash"}
    assert "vtab.mean19@1, plain mean over VTAB's 19 tasks" in command("show", "vtab").out
    assert "suite: vtab_auto" in command("show", "vtab-auto").out
    absent = command("show", "imagenet1k")
    assert absent.code == 0
    assert "1,281,167 train images" in absent.out
    assert "data: not here; ssl-bench data show imagenet1k" in absent.out


def test_records_are_listed_shown_packed_and_unpacked(command: Command) -> None:
    """`results` lists records, shows one by the first digits of its id, and packs and unpacks them without loss."""
    row = lines(command("run", "-m", PIXELS, "-t", "digits", "-p", "knn").out)[0]
    listed = command("results", "ls", "--json").out
    assert json.loads(listed)[0]["record_id"].startswith(row[-1])
    shown = command("results", "show", row[-1]).out
    assert row[5][:-1] in shown
    assert "temperature" in shown
    assert json.loads(command("results", "show", row[-1], "--json").out)["record_id"].startswith(row[-1])
    assert command("results", "pack").code == 0
    assert len(list(Path("results").glob("*.jsonl"))) == 1
    assert command("results", "ls", "--json").out == listed
    assert "1 records present, 0 run" in command("run", "-m", PIXELS, "-t", "digits", "-p", "knn").err
    assert command("results", "unpack").code == 0
    assert command("results", "ls", "--json").out == listed


def test_a_damaged_record_is_listed_and_loses_nothing(command: Command) -> None:
    """A record that was edited is named and left out, on the terminal and on the board; the others stay."""
    command("run", "-m", PIXELS, "-m", "majority", "-t", "digits", "-p", "knn")
    (path,) = Path("results").glob("majority/*/*.json")
    text = path.read_text()
    path.write_text(text.replace('"value":0.1', '"value":0.99'))
    assert path.read_text() != text
    said = command("results", "ls")
    assert [row[1] for row in lines(said.out)] == [PIXELS]
    assert "majority" in said.err
    assert command("board", "--html", "board.html", "--markdown", "board.md").code == 0
    assert path.name in Path("board.html").read_text()
    assert "99.0" not in Path("board.md").read_text()


def test_records_of_two_recipes_share_no_column(command: Command) -> None:
    """Records that answer different questions are refused side by side, with what differs and exit code 5."""
    command("run", "-m", PIXELS, "-t", "digits", "-p", "knn", "-p", "knn,k=1")
    said = command("board")
    assert said.code == 5
    assert "k" in said.err
    assert command("board", "--protocol", "knn,k=1").code == 0


def test_a_board_is_the_same_every_time(command: Command) -> None:
    """Equal records give equal bytes in every form of the board."""
    command("run", "-m", PIXELS, "-m", "majority", "-s", "quick")
    forms = ("--html", "a.html", "--markdown", "a.md", "--csv", "a.csv")
    assert command("board", "--suite", "quick", *forms).code == 0
    first = [Path(name).read_bytes() for name in forms[1::2]]
    assert command("board", "--suite", "quick", *forms).code == 0
    assert [Path(name).read_bytes() for name in forms[1::2]] == first


@pytest.mark.parametrize("group", ["results", "model", "data", "cache", "baseline"])
def test_the_help_of_a_group_cuts_no_sentence_off(command: Command, group: str) -> None:
    """A group's help says whole what each of its commands does."""
    commands = command(group, "--help").out.partition("Commands:\n")[2]
    assert commands
    assert "..." not in commands


def test_the_help_tells_every_exit_code(command: Command) -> None:
    """`ssl-bench --help` lists the exit codes that there are, and no others."""
    listed = command("--help").out.partition("Exit codes:\n")[2].split("\n")
    codes = {value for name, value in vars(errors).items() if name.startswith("EXIT_")}
    assert {int(line.split()[0]) for line in listed if line.strip()} == codes | {cli.INTERRUPTED}


def test_doctor_finds_what_is_wrong(command: Command, tmp_path: Path) -> None:
    """`doctor` is content here, and names a folder that cannot be written and a card that cannot be read."""
    assert command("doctor").code == 0
    (tmp_path / "file").write_text("")
    (tmp_path / "shelf" / "tasks").mkdir(parents=True)
    (tmp_path / "shelf" / "tasks" / "odd.toml").write_text("titel = 1")
    said = command("doctor", "--results", tmp_path / "file" / "results", "--shelf", "shelf")
    assert said.code == 6
    assert "odd.toml: unknown key 'titel'" in said.out
    assert "file/results" in said.out


def test_doctor_names_every_extra(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """`doctor` names each extra that pyproject.toml has for users, with its packages; one that is not installed is told
    with its use and command, and nothing is wrong with that."""
    project = tomllib.loads((cards.builtin_folder("tasks").parent / "pyproject.toml").read_text(encoding="utf-8"))
    declared = dict(project["project"]["optional-dependencies"])
    assert declared.pop("dev")
    named = {extra: {line.partition(">")[0] for line in lines} for extra, lines in declared.items()}
    assert {extra: set(packages) for extra, (packages, _) in doctor_command.EXTRAS.items()} == named
    installed = importlib.metadata.version

    def version(name: str) -> str:
        if name in ("s3fs", "onnxruntime"):
            raise importlib.metadata.PackageNotFoundError(name)
        return installed(name)

    monkeypatch.setattr(importlib.metadata, "version", version)
    said = command("doctor")
    assert said.code == 0
    rows = {row[0]: row[2] for row in lines(said.out)}
    assert rows["[s3]"] == "not installed; for records and shared features under s3://: pip install 'ssl-bench[s3]'"
    assert "ssl-bench[onnx]" in rows["[onnx]"]
    assert set(rows) >= {f"[{extra}]" for extra in declared}


def test_a_new_protocol_works_as_written(command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The protocol that `new protocol` writes runs at once, and beats chance on digits."""
    said = command("new", "protocol", "nearest_mean")
    path = Path(said.out.strip())
    try:
        assert "nearest_mean" in protocols.names()
        row = lines(command("run", "-m", PIXELS, "-t", "digits", "-p", "nearest_mean").out)[0]
        assert float(row[5]) > 80
        assert Results(Path("results")).get(row[-1]).protocol.recipe == {"normalise": True}
        assert command("new", "protocol", "nearest_mean").code == 2
    finally:
        path.unlink()


def test_a_new_model_card_is_read(command: Command) -> None:
    """The card that `new model` writes is read, and says which weights to fetch."""
    assert command("new", "model", "my_resnet").out.strip() == "model_zoo/my_resnet.toml"
    assert "fetch --model my_resnet" in command("show", "my_resnet", "--shelf", ".").out


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_names_the_program(command: Command, shell: str) -> None:
    """`completion` prints a script that completes `ssl-bench`."""
    assert "ssl-bench" in command("completion", shell).out


def test_the_demo_goes_the_whole_way_and_the_trained_network_wins(command: Command) -> None:
    """The demo measures the shipped network and its controls offline, names its page, and the shipped network wins."""
    said = command("demo")
    assert said.code == 0, said.err
    assert Path("demo/board.html").resolve().as_posix() in said.out
    assert Path("demo/board.html").stat().st_size > 10_000
    rows = [line.split("\t") for line in said.out.splitlines() if "\tdigits\t" in line]
    for protocol in ("knn", "logistic_regression"):
        values = {row[0]: float(row[5]) for row in rows if row[2] == protocol}
        assert len(values) == 4
        assert max(values, key=lambda name: values[name]) == "digits_vit"


def test_a_long_shelf_is_read_once(command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A list of models reads every card once and looks through the folders once, however many cards there are."""
    card = Path(model_zoo.names()["digits_vit"])
    (tmp_path / "long" / "model_zoo").mkdir(parents=True)
    for number in range(30):
        (tmp_path / "long" / "model_zoo" / f"copy{number}.toml").write_bytes(card.read_bytes())
    read, looked = [], []
    read_toml, names = cards.read_toml, cards.Shelves.names
    monkeypatch.setattr(cards, "read_toml", lambda path: (read.append(path), read_toml(path))[1])
    monkeypatch.setattr(cards.Shelves, "names", lambda self, room: (looked.append(room), names(self, room))[1])
    rows = lines(command("list", "models", "--shelf", tmp_path / "long").out)
    assert sum(row[0].startswith("copy") for row in rows) == 30
    assert sorted(read) == sorted(set(read))
    assert looked == ["model_zoo"]


def test_a_task_whose_data_is_absent_is_shown(command: Command) -> None:
    """A task's card is shown, its files with addresses and checksums, whether its data is here or not."""
    said = command("show", "vtab1k_svhn")
    assert said.code == 0
    assert "http://ufldl.stanford.edu/housenumbers/train_32x32.mat" in said.out
