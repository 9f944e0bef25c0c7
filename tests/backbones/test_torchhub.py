"""The adapter for repositories with a hubconf.py, on one written here."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from ssl_bench import backbones, model_zoo
from ssl_bench.backbones.base import Backbone, LoadContext
from ssl_bench.errors import MissingError, UsageError

HUBCONF = """
from pathlib import Path
from torch import hub, nn
Path(__file__).with_name("ran").touch()
def tiny(width=4):
    return nn.Conv2d(3, width, 2, stride=2)
def text():
    return "no network"
def weights():
    return hub.load_state_dict_from_url("https://nowhere.invalid/weights.pth")
"""


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "repository"
    folder.mkdir()
    (folder / "hubconf.py").write_text(HUBCONF)
    return folder


def load(name: str, **context: bool) -> Backbone:
    return backbones.load(model_zoo.get(f"torchhub:{name}"), LoadContext(**context))  # type: ignore[arg-type]


def test_foreign_code_runs_only_where_it_is_trusted(repository: Path) -> None:
    """Without `trust = true` nothing of a repository is imported, and the error says what trusting means."""
    for option in ("", ",trust=false", ",trust=1"):
        with pytest.raises(UsageError, match="with your rights. If you trust it".replace(".", r"\.")):
            load(f"{repository}#tiny{option}")
        assert not (repository / "ran").exists()
    load(f"{repository}#tiny,trust=true")
    assert (repository / "ran").exists()


def test_the_output_is_the_feature(repository: Path) -> None:
    """A map is averaged and kept, [arch] are the entry's arguments, and changed code is another network."""
    backbone = load(f"{repository}#tiny,trust=true,width=6,size=8")
    seen = torch.randn(2, 3, 8, 8)
    found = backbone.forward(seen, "output")
    assert found.dense is not None
    assert found.dense.shape == (2, 6, 4, 4)
    torch.testing.assert_close(found.pooled, found.dense.mean((2, 3)))
    again = load(f"{repository}#tiny,trust=true,width=6")
    assert again.weights_digest() == backbone.weights_digest()
    assert again.arch() == backbone.arch()
    (repository / "hubconf.py").write_text(HUBCONF + "# changed\n")
    assert load(f"{repository}#tiny,trust=true,width=6").arch() != backbone.arch()


def test_what_is_absent_or_wrong_is_told(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wrong names, absent repositories and weights, and what is no network are one line each."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    for name, said in (
        (str(repository), "not ORG/REPO:COMMIT#entry"),
        (f"{repository}#tinny,trust=true", "Cannot find callable tinny"),
        (f"{repository}#text,trust=true", "returned a str, not a torch module"),
        ("org/repo#net,trust=true", "name the commit"),
    ):
        with pytest.raises(UsageError, match=said):
            load(name)
    with pytest.raises(UsageError, match="cannot be had untrained"):
        load(f"{repository}#tiny,trust=true", untrained=True)
    with pytest.raises(MissingError, match=r"no hubconf\.py in the folder"):
        load(f"{tmp_path}#tiny,trust=true")
    with pytest.raises(
        MissingError, match=r"github\.com/org/repo.*ssl-bench fetch --model torchhub:org/repo:c0ffee#net"
    ):
        load("org/repo:c0ffee#net,trust=true", offline=True)
    with pytest.raises(MissingError, match=r"nowhere\.invalid/weights\.pth is not on this machine and --offline"):
        load(f"{repository}#weights,trust=true", offline=True)


def test_a_kept_repository_needs_no_network(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What torch.hub downloaded before is taken from its own folder."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    (tmp_path / "torch/hub").mkdir(parents=True)
    repository.rename(tmp_path / "torch/hub/org_repo_c0ffee")
    backbone = load("org/repo:c0ffee#tiny,trust=true", offline=True)
    assert backbone.forward(torch.randn(1, 3, 8, 8), "output").pooled.shape == (1, 4)
