"""`ssl-bench serve` and `ssl-bench board --pages`: the pages of models and tasks as a user meets them."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
import webbrowser
from collections.abc import Iterator
from pathlib import Path

import pytest

import ssl_bench
from ssl_bench.cli.example_images import images_of
from ssl_bench.results.store import Results
from ssl_bench.settings import Settings
from tests.cli.conftest import Command
from tests.results.factory import make_grid, make_record

PIXELS = "pixels,size=8,channels=grey"


@pytest.fixture
def records(tmp_path: Path) -> Path:
    """A folder of records."""
    for record in make_grid(models=2, tasks=2):
        Results(tmp_path / "results").put(record)
    return tmp_path / "results"


@pytest.fixture
def served(records: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Give a running server and its address."""
    words = [sys.executable, "-m", "ssl_bench", "serve", "--results", records, "--port", "0", "--cache", records / "c"]
    top = Path(ssl_bench.__file__).parent.parent
    run = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=top)
    try:
        assert run.stdout
        yield run, run.stdout.readline().split()[0]
    finally:
        run.kill()
        run.wait()


def test_pages_are_served_follow_the_records_and_end_quietly(
    served: tuple[subprocess.Popen[str], str], records: Path
) -> None:
    """The board is at /, a record by its id, a new record on the next page, and Ctrl-C ends without a word of error."""
    run, url = served
    with urllib.request.urlopen(url) as answer:
        page = answer.read().decode()
    assert 'href="models/model000.html"' in page
    new = make_record("younger")
    Results(records).put(new)
    time.sleep(1.05)  # the records are looked at once a second
    with urllib.request.urlopen(f"{url}records/{new.record_id}.json") as answer:
        assert answer.read().decode() == new.to_text()
    run.send_signal(signal.SIGINT)
    _, said = run.communicate(timeout=10)
    assert (run.returncode, said) == (0, "")


def test_a_port_in_use_is_one_line_and_exit_code_2(command: Command, records: Path) -> None:
    """Another program's port is named, with one that is free."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        said = command("serve", "--results", records, "--port", port)
    assert said.code == 2
    assert re.fullmatch(rf"error: port {port} is taken by another program; --port \d+ is free\n", said.err)


def test_words_that_make_no_board_are_told_before_anything_is_served(command: Command, records: Path) -> None:
    """No records, or a suite that nobody knows, end the command."""
    said = command("serve", "--results", records / "none")
    assert said.code == 2
    assert "no record is under" in said.err
    assert command("serve", "--results", records, "--suite", "smal7").code == 2


def test_others_are_let_in_with_a_warning_and_a_browser_is_opened(
    command: Command, records: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An address that others reach is warned of; `--open` opens the board that is served."""
    opened: list[str] = []

    def look(url: str) -> None:
        opened.append(url)
        raise KeyboardInterrupt

    monkeypatch.setattr(webbrowser, "open", look)
    said = command("serve", "--results", records, "--port", 0, "--host", "0.0.0.0", "--open")
    assert said.code == 0
    assert said.err == "warning: whoever reaches 0.0.0.0 can read these pages\n"
    assert opened == [said.out.split()[0]]
    assert "warning" not in command("serve", "--results", records, "--port", 0, "--open").err


def test_a_folder_of_pages_with_examples_from_the_data(command: Command) -> None:
    """`board --pages` writes the board, models and tasks; `--examples` shows images of data that lies here."""
    command("run", "-m", PIXELS, "-t", "digits", "-p", "knn")
    assert command("board", "--pages", "site", "--examples", 4).out == "site\n"
    names = {path.relative_to("site").as_posix() for path in Path("site").rglob("*.*")}
    assert {"board.html", "board.csv", "board.md", "board.json", "tasks/digits.html"} < names
    assert len(names) == 6
    page = Path("site/tasks/digits.html").read_text()
    assert page.count('<img src="data:image/png;base64,') >= 5  # four right, and whatever pixels get wrong
    assert "seed 0:" in page
    assert command("board", "--pages", "site").code == 0
    assert "<img" not in Path("site/tasks/digits.html").read_text()


def test_images_of_other_samples_are_not_shown(command: Command) -> None:
    """A record of other samples than the data's test split shows no image of them."""
    command("run", "-m", PIXELS, "-t", "digits", "-p", "knn")
    (record,) = Results("results").records()
    images = images_of(Settings())
    ids = Results("results").read_samples(record)["sample_id"][:2]
    assert set(images(record, ids)) == set(ids)
    assert images(make_record(task="digits"), ids) == {}
    assert images(make_record(task="nowhere"), ids) == {}


def test_serving_loads_nothing_heavy(records: Path) -> None:
    """A server of records without predictions imports neither torch nor what tables and images need."""
    code = (
        "import sys\nfrom ssl_bench import cli\nfrom ssl_bench.leaderboard import folder, server\n"
        "def once(listener):\n"
        "    for page in ('board.html', 'models/model000.html', 'tasks/cifar10.html'):\n"
        "        assert listener.pages.get(page)\n"
        "server.Server.serve_forever = once\n"
        f"sys.argv = ['ssl-bench', 'serve', '--port', '0', '--results', {str(records)!r}]\n"
        "try:\n    cli.main()\nexcept SystemExit as end:\n    assert end.code == 0\n"
        "print(sorted({'torch', 'pandas', 'pyarrow', 'scipy', 'sklearn', 'rich'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.endswith("[]\n"), done.stdout + done.stderr
