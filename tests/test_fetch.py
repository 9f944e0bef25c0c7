"""Fetching weights: from a hub or an address, resumed, verified, refused offline; a local server stands for the hub."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import http.server
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import ssl_bench
from ssl_bench import fetch, model_zoo, tasks
from ssl_bench.errors import MissingError, UsageError
from ssl_bench.facts import known_downloads
from ssl_bench.model_zoo import ModelCard, Weights
from ssl_bench.settings import Settings

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub(http.server.SimpleHTTPRequestHandler):
    """Answers /<org>/<name>/resolve/<revision>/<file> as the Hugging Face hub does, and plain files as they are."""

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, body: bool) -> None:
        org, name, *rest = self.path.split("?")[0].strip("/").split("/")
        parts = [org, name, *(rest[2:] if rest[:1] == ["resolve"] else rest)]
        path = Path(self.directory).joinpath(*parts)
        if not path.is_file():
            self.send_response(404)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        content = path.read_bytes()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.end_headers()
        if body:
            self.wfile.write(content)

    def log_message(self, *words: object) -> None:
        """Keep the test's output quiet."""


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[str]:
    """A local server with one weights file, timm/tiny/model.safetensors."""
    folder = tmp_path / "hub" / "timm" / "tiny"
    folder.mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(b"weights")
    handler = functools.partial(Hub, directory=str(tmp_path / "hub"))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def card(**weights: str) -> ModelCard:
    return ModelCard("tiny", "timm", weights=Weights(name="resnet18", **weights))


def test_weights_come_from_the_hub_and_are_found_afterwards(
    hub: str, own_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Weights of a hub repository are fetched into the weights folder, where the next plan finds them."""
    import huggingface_hub.constants as constants

    monkeypatch.setattr(constants, "ENDPOINT", hub)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", hub + "/{repo_id}/resolve/{revision}/{filename}")
    tiny = card(hub="timm/tiny")
    assert model_zoo.weights_state(tiny, own_settings.weight_folders).missing
    path = fetch.fetch_weights(tiny, own_settings)
    assert path is not None
    assert path.read_bytes() == b"weights"
    assert model_zoo.weights_state(tiny, own_settings.weight_folders).path == path


def test_weights_come_from_an_address_and_are_verified(hub: str, own_settings: Settings) -> None:
    """A file fetched from a URL is kept only if it has the sha256 that the card pins; how long it took is told."""
    url = f"{hub}/timm/tiny/model.safetensors"
    right = card(url=url, file="a.safetensors", sha256=hashlib.sha256(b"weights").hexdigest())
    assert fetch.fetch_weights(right, own_settings) == own_settings.weights / "a.safetensors"
    wrong = card(url=url, file="b.safetensors", sha256="0" * 64)
    with pytest.raises(UsageError, match="does not have the sha256"):
        fetch.fetch_weights(wrong, own_settings)
    assert not (own_settings.weights / "b.safetensors").exists()
    assert known_downloads(right, tasks.get("digits"), own_settings)["download_seconds"] > 0
    assert known_downloads(wrong, tasks.get("digits"), own_settings) == {}


def test_offline_never_connects(hub: str, own_settings: Settings) -> None:
    """Under `offline` nothing is fetched, and the error names the model and the place."""
    url = f"{hub}/timm/tiny/model.safetensors"
    with pytest.raises(MissingError, match="--offline forbids") as error:
        fetch.fetch_weights(card(url=url), dataclasses.replace(own_settings, offline=True))
    assert url in str(error.value)


def test_an_absent_file_or_server_is_one_line(hub: str, own_settings: Settings) -> None:
    """A 404 and a refused connection are one line that names the address, with exit code 6."""
    for url in (f"{hub}/timm/tiny/absent.safetensors", "http://127.0.0.1:9/x.safetensors"):
        with pytest.raises(MissingError) as error:
            fetch.fetch_weights(card(url=url), own_settings)
        assert url in str(error.value)
        assert "\n" not in str(error.value)
        assert error.value.exit_code == 6


def test_fetch_then_run_offline_as_whole_processes(hub: str, tmp_path: Path) -> None:
    """`fetch` gets a model's weights from the hub that HF_ENDPOINT names, and `run --offline` then needs no network."""
    import timm
    from safetensors.torch import save_file

    save_file(
        timm.create_model("resnet10t", pretrained=False).state_dict(), tmp_path / "hub/timm/tiny/model.safetensors"
    )
    (tmp_path / "model_zoo").mkdir()
    (tmp_path / "model_zoo" / "tiny.toml").write_text(
        'adapter = "timm"\n[weights]\nname = "resnet10t"\nhub = "timm/tiny"\n[input]\nsize = 32\nresize_to = 32\n'
    )
    environment = {name: value for name, value in os.environ.items() if name != "HF_HUB_OFFLINE"}
    environment |= {"HF_ENDPOINT": hub, "PYTHONPATH": str(Path(ssl_bench.__file__).parent.parent), "NO_PROXY": "*"}

    def process(*words: str) -> subprocess.CompletedProcess[str]:
        line = [sys.executable, "-m", "ssl_bench", *words, "--shelf", ".", "--cache", "cache", "--weights", "weights"]
        return subprocess.run(line, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)

    run = ("run", "-m", "tiny", "-t", "digits", "-p", "knn", "--offline", "--device", "cpu")
    before = process(*run)
    assert before.returncode == 6
    assert "ssl-bench fetch --model tiny" in before.stderr
    fetched = process("fetch", "-m", "tiny")
    assert fetched.returncode == 0, fetched.stderr
    assert "weights/timm/tiny/model.safetensors" in fetched.stdout
    after = process(*run)
    assert after.returncode == 0, after.stderr
    assert "tiny\tdigits\tknn" in after.stdout


def test_run_fetches_what_it_lacks(hub: str, tmp_path: Path) -> None:
    """`run --fetch` gets the missing weights and measures; what cannot be had is named, and exit code 6."""
    import timm
    from safetensors.torch import save_file

    file = tmp_path / "hub/timm/tiny/model.safetensors"
    save_file(timm.create_model("resnet10t", pretrained=False).state_dict(), file)
    (tmp_path / "model_zoo").mkdir()
    for name, path in (("tiny", "timm/tiny/model.safetensors"), ("gone", "timm/tiny/gone.safetensors")):
        (tmp_path / "model_zoo" / f"{name}.toml").write_text(
            f'adapter = "timm"\n[weights]\nname = "resnet10t"\nfile = "{name}.safetensors"\nurl = "{hub}/{path}"\n'
            "[input]\nsize = 32\nresize_to = 32\n"
        )
    environment = dict(os.environ) | {"PYTHONPATH": str(Path(ssl_bench.__file__).parent.parent), "NO_PROXY": "*"}

    def run(model: str) -> subprocess.CompletedProcess[str]:
        line = [sys.executable, "-m", "ssl_bench", "run", "-m", model, "-t", "digits", "-p", "knn", "--fetch"]
        line += ["--shelf", ".", "--cache", "cache", "--weights", "weights", "--device", "cpu"]
        return subprocess.run(line, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)

    done = run("tiny")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "weights/tiny.safetensors").read_bytes() == file.read_bytes()
    gone = run("gone")
    assert gone.returncode == 6
    assert "404" in gone.stderr


@pytest.mark.slow
def test_the_first_command_in_a_new_home(tmp_path: Path) -> None:
    """With an empty home and no network, the first `run --fetch` of the quick suite measures; the second has all."""
    environment = {"PATH": "", "HOME": str(tmp_path), "PYTHONPATH": str(Path(ssl_bench.__file__).parent.parent)}
    line = [sys.executable, "-m", "ssl_bench", "run", "-m", "digits_vit", "--suite", "quick", "--fetch"]
    for said in ("0 records present, 2 run", "2 records present, 0 run"):
        done = subprocess.run(line, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert said in done.stderr
