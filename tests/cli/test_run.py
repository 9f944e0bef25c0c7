"""`run` and `plan`: from names to records, once; what is missing is said, and nothing is lost."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ssl_bench.results.store import Results
from tests.cli.conftest import Command, lines

PIXELS = "pixels,size=8,channels=grey"


def images(folder: Path, per_class: int = 12) -> Path:
    """Write a small image folder: dark and bright noise, two classes, train and test."""
    draw = np.random.default_rng(0)
    for split in ("train", "test"):
        for label, low in (("bright", 150), ("dark", 0)):
            place = folder / split / label
            place.mkdir(parents=True)
            for i in range(per_class):
                array = draw.integers(low, low + 100, (16, 16, 3), dtype=np.uint8)
                Image.fromarray(array).save(place / f"{i}.png")
    return folder


def test_a_run_writes_a_record_that_the_plan_foretold(command: Command) -> None:
    """A run writes the record whose id the plan knows afterwards, with its predictions, and prints value and chance."""
    said = command("run", "-m", PIXELS, "-t", "digits", "-p", "knn")
    assert said.code == 0
    ((model, task, protocol, _, metric, value, interval, chance, short),) = lines(said.out)
    assert (model, task, protocol, metric, chance) == (PIXELS, "digits", "knn", "top1", "10.00")
    assert interval.split("-")[0] < value < interval.split("-")[1]
    planned = json.loads(command("plan", "-m", PIXELS, "-t", "digits", "-p", "knn", "--json").out)
    assert [row["state"] for row in planned] == ["done"]
    record = Results(Path("results")).get(short)
    samples = Results(Path("results")).read_samples(record)
    right = (samples["pred"] == samples["target"]).mean()
    assert right == record.metrics["top1"].value == pytest.approx(float(value) / 100, abs=1e-4)


def test_a_second_run_computes_nothing(command: Command) -> None:
    """The same command again finds all records present, runs nothing and prints the same table."""
    first = command("run", "-m", PIXELS, "-s", "quick")
    second = command("run", "-m", PIXELS, "-s", "quick")
    assert first.out == second.out
    assert "2 records present, 0 run" in second.err
    assert second.code == 0


def test_a_second_run_loads_no_torch(command: Command, tmp_path: Path) -> None:
    """A run whose records are all present answers without importing torch."""
    command("run", "-m", PIXELS, "-t", "digits", "-p", "knn")
    code = (
        "import sys\nfrom ssl_bench import cli\n"
        f"sys.argv = ['ssl-bench', 'run', '-m', {PIXELS!r}, '-t', 'digits', '-p', 'knn']\n"
        "try:\n    cli.main()\nexcept SystemExit as end:\n    assert not end.code\n"
        "assert 'torch' not in sys.modules and 'sklearn' not in sys.modules"
    )
    environment = dict(os.environ) | {"PYTHONPATH": str(TOP)}
    assert subprocess.run([sys.executable, "-c", code], env=environment, check=False).returncode == 0


def test_the_whole_request_is_checked_before_anything_runs(command: Command) -> None:
    """Every wrong name of a command is listed at once, with the nearest right one, and nothing is run."""
    said = command("run", "-m", "pixls", "-m", PIXELS, "-t", "digts", "-p", "knn,kk=3")
    assert said.code == 2
    assert "Did you mean pixels" in said.err
    assert "Did you mean digits" in said.err
    assert "knn has no field 'kk'" in said.err
    assert not Path("results").exists()


@pytest.mark.parametrize(
    ("words", "code", "part"),
    [
        (["run"], 2, "no model is named"),
        (["run", "-m", "pixels"], 2, "no task is named"),
        (["rum"], 2, "Did you mean run"),
        (["run", "--modle", "x"], 2, "--modle"),
        (["run", "-m", "pixels", "-s", "quik"], 2, "Did you mean quick"),
        (["run", "-m", "timm:resnet18,sizee", "-s", "quick"], 2, "is not key=value"),
        (["run", "-m", "nosuch:thing", "-s", "quick"], 2, "no adapter is called 'nosuch'"),
        (["run", "-m", "pixels", "-s", "quick", "--seeds", "a"], 2, "--seeds 'a'"),
        (["run", "-m", "pixels", "-s", "quick", "--device", "cuda:99"], 2, "--device cuda:99"),
        (["run", "-m", "pixels", "-s", "quick", "--pooled", "cls"], 2, "no pooling 'cls'"),
        (["run", "-m", "ckpt:absent.pth,family=cifar_resnet", "-s", "quick"], 6, "absent.pth"),
        (["run", "-m", "pixels", "-s", "quick", "--exclude", "mnist"], 2, "--exclude 'mnist'"),
        (["run", "-m", "pixels", "-s", "quick", "--shelf", "nowhere"], 2, "nowhere is not a folder"),
        (["show", "dinov2_vitb41"], 2, "Did you mean dinov2_vitb14"),
        (["list", "modells"], 2, "Did you mean models"),
        (["results", "show", "ffff"], 2, "no record"),
        (["board"], 2, "no record"),
        (["fetch"], 2, "nothing to fetch"),
        (["new", "model", "Bad-Name"], 2, "lower-case"),
        (["run", "-m", "module:json:dumps", "-t", "digits"], 2, "json:dumps raised TypeError"),
        (["run", "-m", "timm:resnet188", "-t", "digits"], 2, "Did you mean resnet18"),
    ],
)
def test_wrong_words_are_one_line_and_a_code(command: Command, words: list[str], code: int, part: str) -> None:
    """What a user gets wrong is answered in one line that names the thing and the mend, with its exit code."""
    said = command(*words)
    assert said.code == code, said.err
    assert part in said.err
    assert len([line for line in said.err.splitlines() if line.startswith(("error:", "failed:"))]) >= 1


def test_dinov2_on_vtab_says_what_is_missing(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without network and data, `run --model dinov2_vitb14 --suite vtab` names weights, sets, sizes and commands."""
    monkeypatch.setenv("SSL_BENCH_DATA", "nowhere")
    for verb in ("run", "plan"):
        said = command(verb, "--model", "dinov2_vitb14", "--suite", "vtab")
        assert said.code == 6
        assert "ssl-bench fetch --model dinov2_vitb14" in said.err
        assert "346.3 MB" in said.err
        assert len([line for line in said.err.splitlines() if line.startswith("missing: data of")]) == 19


def test_a_suite_runs_once_its_data_and_weights_are_there(command: Command, tmp_path: Path) -> None:
    """A model whose weights lie in the weights folder runs on a user's folder of images, through cards on a shelf."""
    import timm
    from safetensors.torch import save_file

    images(tmp_path / "flowers")
    assert command("new", "task", "flowers", "--images", tmp_path / "flowers").code == 0
    card = tmp_path / "model_zoo" / "tiny.toml"
    card.parent.mkdir()
    card.write_text(
        'adapter = "timm"\n[weights]\nname = "resnet10t"\nhub = "timm/tiny"\n[input]\nsize = 32\nresize_to = 32\n'
    )
    words = ("run", "-m", "tiny", "-t", "flowers", "-p", "knn,k=3", "--shelf", ".", "--offline")
    missing = command(*words)
    assert missing.code == 6
    assert "https://huggingface.co/timm/tiny" in missing.err
    weights = tmp_path / "weights" / "timm" / "tiny" / "model.safetensors"
    weights.parent.mkdir(parents=True)
    save_file(timm.create_model("resnet10t", pretrained=False).state_dict(), weights)
    said = command(*words)
    assert said.code == 0, said.err
    assert lines(said.out)[0][:3] == ["tiny", "flowers", "knn"]


def test_a_corrupt_image_fails_its_jobs_and_no_other(command: Command, tmp_path: Path) -> None:
    """A corrupt image is named and fails the jobs that need it with exit code 3; the other jobs are done."""
    broken = images(tmp_path / "flowers") / "train" / "dark" / "3.png"
    broken.write_bytes(broken.read_bytes()[:60])
    command("new", "task", "flowers", "--images", tmp_path / "flowers")
    said = command("run", "-m", PIXELS, "-t", "flowers", "-t", "digits", "-p", "knn,k=3", "--shelf", ".")
    assert said.code == 3
    assert "dark/3.png" in said.err
    assert "1 run, 1 failed" in said.err
    assert lines(said.out)[0][1] == "digits"


def test_a_class_folder_without_images_is_named(command: Command, tmp_path: Path) -> None:
    """A class folder without images is refused by its name with exit code 2."""
    (images(tmp_path / "flowers") / "train" / "empty").mkdir()
    command("new", "task", "flowers", "--images", tmp_path / "flowers")
    said = command("run", "-m", PIXELS, "-t", "flowers", "-p", "knn,k=3", "--shelf", ".")
    assert said.code == 2
    assert "empty" in said.err


def test_changed_data_is_measured_anew(command: Command, tmp_path: Path) -> None:
    """An image that changes makes another task, and so another record; unchanged images are not extracted again."""
    folder = images(tmp_path / "flowers")
    command("new", "task", "flowers", "--images", folder)
    words = ("run", "-m", PIXELS, "-t", "flowers", "-p", "knn,k=3", "--shelf", ".")
    first = command(*words)
    Image.fromarray(np.full((16, 16, 3), 7, np.uint8)).save(folder / "test" / "dark" / "0.png")
    second = command(*words)
    assert lines(first.out)[0][-1] != lines(second.out)[0][-1]
    record = Results(Path("results")).get(lines(second.out)[0][-1])
    assert record.timing["images_extracted"] == 1


def test_two_protocols_and_tasks_that_share_images_extract_them_once(command: Command) -> None:
    """Every distinct image of a suite passes the network once, whatever the protocols."""
    command("run", "-m", PIXELS, "-t", "digits", "-p", "knn", "-p", "logistic_regression,c_steps=3", "-p", "knn,k=1")
    extracted = [record.timing["images_extracted"] for record in Results(Path("results")).records()]
    assert sum(extracted) == len({bytes(image) for image in distinct_digits()})


def distinct_digits() -> list[bytes]:
    from sklearn.datasets import load_digits

    return [image.astype(np.uint8).tobytes() for image in load_digits().images]


def test_limit_keeps_a_part_and_never_enters_a_board(command: Command) -> None:
    """`--limit N` keeps N samples per split, says so in the record, and such a record stands in no column."""
    said = command("run", "-m", PIXELS, "-t", "digits", "-p", "knn", "--limit", "50")
    assert said.code == 0
    record = Results(Path("results")).get(lines(said.out)[0][-1])
    assert (record.task.truncated, record.metrics["top1"].n) == (50, 50)
    command("board", "--markdown", "board.md")
    assert PIXELS not in Path("board.md").read_text().split("Left out")[0]


def test_controls_score_what_they_must(command: Command) -> None:
    """`majority` scores the share of the most frequent class of train, and says so without extracting an image."""
    said = command("run", "-m", "majority", "-t", "digits", "-p", "knn", "-p", "logistic_regression")
    records = [Results(Path("results")).get(row[-1]) for row in lines(said.out)]
    assert [record.timing["images_extracted"] for record in records] == [0, 0]
    assert {record.metrics["top1"].value for record in records} == {36 / 360}


def test_unwritable_results_stop_a_run_before_it_starts(command: Command, tmp_path: Path) -> None:
    """A results folder that cannot be written is refused before anything is computed, with exit code 6."""
    (tmp_path / "file").write_text("")
    said = command("run", "-m", PIXELS, "-t", "digits", "--results", tmp_path / "file" / "results")
    assert said.code == 6
    assert "file/results" in said.err


def test_print_config_shows_values_and_origins(command: Command) -> None:
    """`--print-config` shows every setting, its value and where it came from."""
    said = command("run", "--print-config", "--batch-size", "7")
    assert ["batch_size", "7", "--batch-size"] in [line.split() for line in said.out.splitlines()]
    assert ["device", "cpu", "SSL_BENCH_DEVICE"] in [line.split() for line in said.out.splitlines()]


TOP = Path(__file__).parent.parent.parent


def start(*words: str, **options: Any) -> subprocess.Popen[str]:
    """Start `ssl-bench` as a process of its own in the folder and with the settings of the test."""
    environment = dict(os.environ) | {"PYTHONPATH": str(TOP), "OMP_NUM_THREADS": "1"}
    line = [sys.executable, "-m", "ssl_bench", *words]
    return subprocess.Popen(line, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)


def test_a_full_disk_is_one_line_and_loses_nothing(command: Command) -> None:
    """A write that the system refuses is one line with exit code 6, and the run goes on once there is room."""
    import resource

    words = ("run", "-m", PIXELS, "-t", "digits", "-p", "knn")
    small = (20_000, 20_000)
    full = start(*words, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, small))
    _, errors = full.communicate(timeout=120)
    assert full.returncode == 6
    assert "cannot write" in errors
    assert "Traceback" not in errors
    assert not Results(Path("results")).records()
    assert command(*words).code == 0
    assert not list(Path().rglob("*.unreadable"))


def test_two_runs_at_once_lose_and_double_nothing(command: Command) -> None:
    """Two equal runs at once both succeed, and leave one record per job."""
    words = ("run", "-m", PIXELS, "-m", "majority", "-s", "quick")
    runs = [start(*words), start(*words)]
    for run in runs:
        _, errors = run.communicate(timeout=240)
        assert run.returncode == 0, errors
    results = Results(Path("results"))
    assert len(results.records()) == len(list(Path("results").glob("*/*/*.json"))) == 4
    assert not results.skipped
    assert "4 records present, 0 run" in command(*words).err


@pytest.mark.slow
def test_a_run_killed_at_any_moment_goes_on_where_it_was(command: Command, tmp_path: Path) -> None:
    """Killed again and again at arbitrary moments, a run that is repeated ends with the records of one left alone."""
    words = ("run", "-m", PIXELS, "-m", "random:timm:resnet10t,size=32", "-s", "quick")
    for delay in (1.5, 3.0, 4.0, 5.0, 6.0, 8.0):
        process = start(*words)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(delay)
        process.send_signal(signal.SIGKILL)
        process.communicate()
    said = command(*words)
    assert said.code == 0
    alone = command(*words, "--results", tmp_path / "alone", "--cache", tmp_path / "other")
    assert [row[:-3] for row in lines(alone.out)] == [row[:-3] for row in lines(said.out)]
    assert {row[-1] for row in lines(alone.out)} == {row[-1] for row in lines(said.out)}
    assert not Results(Path("results")).skipped
    assert "0 run" in command(*words).err


def test_a_suite_prescribes_the_input_of_every_model(command: Command, tmp_path: Path) -> None:
    """A suite's input is in the record's question and in the command that repeats it."""
    suite = tmp_path / "tasks" / "suites" / "square.toml"
    suite.parent.mkdir(parents=True)
    suite.write_text(
        'title = "S"\nprotocols = ["knn"]\n[input]\nsize = 4\nresize = "squash"\n[groups]\nall = ["digits"]\n'
    )
    row = lines(command("run", "-m", PIXELS, "-s", "square", "--shelf", ".").out)[0]
    record = Results(Path("results")).get(row[-1])
    assert record.features.requested == {"pooled": "default", "input": {"size": 4, "resize": "squash"}}
    assert record.features.resolved["input"]["size"] == [4, 4]
    assert record.model.embed_dim == 16
    again = lines(command("run", "-m", PIXELS, "-t", "digits", "-p", "knn", "--input", "size=4,resize=squash").out)[0]
    assert again[-1] == row[-1]
    assert "--input resize=squash,size=4" in command("results", "show", row[-1]).out
    plain = lines(command("run", "-m", PIXELS, "-t", "digits", "-p", "knn").out)[0]
    assert Results(Path("results")).get(plain[-1]).question != record.question
    assert command("run", "-m", PIXELS, "-t", "digits", "--input", "sise=4").code == 2


@pytest.mark.data
@pytest.mark.slow
def test_pixels_on_mnist_give_the_published_error(command: Command, real_data: Path) -> None:
    """One Euclidean neighbour on the raw pixels of MNIST errs on 3.09 % of the test images, as published."""
    words = ("-m", "pixels,size=28,channels=grey", "-p", "knn,k=1,also=3,distance=euclidean,weighting=uniform")
    row = lines(command("run", "-t", "mnist", *words).out)[0]
    record = Results(Path("results")).get(row[-1])
    assert record.metrics["top1"].value == pytest.approx(1 - 0.0309, abs=1e-9)
    assert record.metrics["k=3/top1"].value == pytest.approx(0.9717, abs=1e-9)
    assert record.task.samples == {"train": 60000, "test": 10000}


@pytest.mark.parametrize("protocol", ["knn", "few_shot_ridge,shots=5,also=1", "low_shot,c_steps=3"])
def test_a_metric_that_needs_every_score(command: Command, tmp_path: Path, protocol: str) -> None:
    """A task whose metric is the ROC AUC keeps the scores of all classes, from which scikit-learn computes the same."""
    from sklearn.metrics import roc_auc_score

    card = tmp_path / "digits_auc.toml"
    card.write_text((TOP / "tasks" / "digits.toml").read_text().replace('"top1"', '"roc_auc"'))
    said = command("run", "-m", PIXELS, "-m", "majority", "-t", f"./{card.name}", "-p", protocol, "--seeds", "0")
    assert said.code == 0, said.err
    for row in lines(said.out):
        record = Results(Path("results")).get(row[-1])
        samples = Results(Path("results")).read_samples(record)
        areas = [roc_auc_score(samples["target"] == label, samples["scores"][:, label]) for label in range(10)]
        assert record.task.metric == "roc_auc"
        assert record.headline.value == pytest.approx(np.mean(areas), abs=1e-6)
        assert record.headline.value == (0.5 if row[0] == "majority" else pytest.approx(0.97, abs=0.03))


def test_a_metric_that_a_protocol_cannot_serve(command: Command, tmp_path: Path) -> None:
    """A task that asks for calibration cannot be answered by votes, which are no probabilities: one line, no record."""
    card = tmp_path / "digits_ece.toml"
    card.write_text((TOP / "tasks" / "digits.toml").read_text().replace('"top1"', '"ece"'))
    said = command("run", "-m", PIXELS, "-t", f"./{card.name}", "-p", "knn")
    assert said.code == 2
    assert "the metric 'ece' needs more than this protocol says of a sample" in said.err
    assert not list(Path("results").rglob("*.json"))


@pytest.mark.parametrize(
    ("protocol", "says"),
    [
        ("few_shot_ridge,shots=200", "shots=200, but class"),
        ("few_shot_logistic,shots=200", "ask for few_shot_logistic,shots="),
        ("low_shot,fraction=0.001", "less than half an image of every class"),
        ("episodic,ways=11", "need 11 classes of 20 test samples or more, and there are 10"),
    ],
)
def test_a_few_shot_question_that_the_data_cannot_answer(command: Command, protocol: str, says: str) -> None:
    """More shots, ways or parts than there are images for is one line, an exit code of 2 and no record."""
    said = command("run", "-m", PIXELS, "-t", "digits", "-p", protocol, "--seeds", "0")
    assert said.code == 2
    assert says in said.err
    assert not list(Path("results").rglob("*.json"))
