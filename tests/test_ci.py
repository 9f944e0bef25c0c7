"""The action and the workflows of `docs/ci.md`, run step by step as GitHub runs them, in repositories of a user."""

from __future__ import annotations

import re
import stat
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

import ssl_bench
from tests.comparison.factory import answers, flipped, put_classes

TOP = Path(ssl_bench.__file__).parent.parent
ACTION = yaml.safe_load((TOP / "action.yml").read_text()) if (TOP / "action.yml").is_file() else {}
WORKFLOWS = [
    yaml.safe_load(text)
    for text in re.findall(r"```yaml\n(name:.*?)```", (TOP / "docs" / "ci.md").read_text(), flags=re.DOTALL)
]
MARKER = "<!-- ssl-bench: compare -->"


class Runner:
    """A machine that runs steps with bash, as GitHub's does: a fresh shell each, files for outputs and summary."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.tools = folder / "tools"
        self.repo = folder / "repo"
        for path in (self.tools, self.repo):
            path.mkdir(parents=True)
        self.tool("ssl-bench", f'exec "{sys.executable}" -m ssl_bench "$@"')
        self.tool("pip", "exit 0")
        self.github = {
            "event_name": "pull_request",
            "repository": "a/b",
            "event.pull_request.number": "7",
            "token": "t",
        }
        self.environment = {
            "PATH": f"{self.tools}:/usr/bin:/bin",
            "HOME": str(folder),
            "RUNNER_TEMP": str(folder / "temp"),
            "PYTHONPATH": f"{TOP}:{self.repo}",
            "SSL_BENCH_DEVICE": "cpu",
            "SSL_BENCH_WORKERS": "0",
            "SSL_BENCH_PROGRESS": "none",
            "OMP_NUM_THREADS": "1",
            "GITHUB_SHA": "0" * 40,
            **{f"GIT_{who}_{what}": "a@b.c" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
        }
        for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY"):
            (folder / name).touch()
            self.environment[name] = str(folder / name)

    def tool(self, name: str, script: str) -> None:
        """Put a command on the machine's path."""
        path = self.tools / name
        path.write_text(f"#!/bin/bash\n{script}\n")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)

    def git(self, *words: str) -> str:
        return subprocess.run(
            ["git", *words], cwd=self.repo, env=self.environment, check=True, capture_output=True, text=True
        ).stdout

    def commit(self, branch: str, **files: str) -> None:
        """Commit files on a new branch off the first one."""
        if (self.repo / ".git").is_dir():
            self.git("checkout", "-q", "-b", branch, "main")
        else:
            self.git("init", "-q", "-b", branch)
        for name, text in files.items():
            path = self.repo / name.replace("__", "/").replace("_dot_", ".")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        self.git("add", "-A")
        self.git("commit", "-q", "-m", branch)

    def shell(self, script: str, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script],
            cwd=self.repo,
            env=self.environment | dict(environment),
            check=False,
            capture_output=True,
            text=True,
        )

    def action(self, **given: str) -> tuple[int, str]:
        """Run the action's steps; return the exit code of the first that fails, and everything printed."""
        inputs = {name: str(one.get("default", "")) for name, one in ACTION["inputs"].items()} | given
        said, code = "", 0
        for step in ACTION["runs"]["steps"]:
            condition = str(step.get("if", "success()"))
            if code and "always()" not in condition:
                continue
            if not self._holds(condition, inputs):
                continue
            values = {name: self._filled(text, inputs) for name, text in step.get("env", {}).items()}
            done = self.shell(step["run"], values)
            said += done.stdout + done.stderr
            code = code or done.returncode
        return code, said

    def _value(self, name: str, inputs: Mapping[str, str]) -> str:
        room, _, key = name.strip().partition(".")
        return {"inputs": inputs, "github": self.github}[room][key]

    def _filled(self, text: str, inputs: Mapping[str, str]) -> str:
        for _ in range(2):  # a default may hold an expression
            text = re.sub(r"\$\{\{(.*?)\}\}", lambda found: self._value(found[1], inputs), text)
        return text

    def _holds(self, condition: str, inputs: Mapping[str, str]) -> bool:
        parts = [part.strip() for part in condition.split("&&")]
        for part in parts:
            if found := re.fullmatch(r"(\S+) (==|!=) '(.*)'", part):
                if (self._value(found[1], inputs) == found[3]) != (found[2] == "=="):
                    return False
            else:
                assert part in ("always()", "success()")
        return True

    @property
    def outputs(self) -> dict[str, str]:
        lines = Path(self.environment["GITHUB_OUTPUT"]).read_text().splitlines()
        return dict(line.split("=", 1) for line in lines)


@pytest.fixture
def runner(tmp_path: Path) -> Runner:
    """A machine of its own."""
    return Runner(tmp_path / "machine")


@pytest.fixture
def records(runner: Runner) -> Runner:
    """A repository whose main holds records of two tasks, and in whose branch `pr` svhn regressed."""
    for branch, losses in (("main", 0), ("pr", 300), ("harmless", 5)):
        results = runner.folder / branch
        for task in ("svhn", "dtd"):
            pred = answers(task, 10_000)
            put_classes(results, task, flipped(task, pred, losses, 5) if task == "svhn" and losses else pred)
        loose = {
            f"results__{path.relative_to(results)}".replace("/", "__").replace(".", "_dot_"): path.read_text()
            for path in results.glob("*/*/*.json")
        }
        for path in (runner.repo / "results").rglob("*.json"):
            path.unlink()
        runner.commit(branch, **loose)
    return runner


def samples(runner: Runner) -> str:
    return " ".join(f"--samples-from {runner.folder / name}" for name in ("main", "pr", "harmless"))


def test_a_regression_between_two_refs(records: Runner) -> None:
    """A pull request that lost 2.95 points on svhn fails with 1, and its report, summary and outputs say so."""
    code, said = records.action(base="git:main:results", cand="git:pr:results", args=samples(records))
    assert code == 1, said
    assert "::error title=svhn · knn regressed::" in said
    report = (records.repo / "ssl-bench-compare" / "compare.md").read_text()
    assert report.startswith(f"{MARKER}\n### ssl-bench: dinov2\\_vits14 · knn · 2 tasks — ❌ 1 regressed")
    assert re.search(r"\| svhn · knn \| 10,000 \| [\d.]+ \| [\d.]+ \| −2\.95 \[.*\] \| 300/5 \|", report)
    assert Path(records.environment["GITHUB_STEP_SUMMARY"]).read_text().startswith(report[:200])
    assert records.outputs["verdict"] == "regressed"
    assert records.outputs["report"] == "ssl-bench-compare/compare.md"
    assert {path.name for path in (records.repo / "ssl-bench-compare").iterdir()} == {
        "compare.md",
        "compare.xml",
        "compare.html",
    }


def test_a_harmless_change_between_two_refs(records: Runner) -> None:
    """A pull request that lost five samples and won five passes, also under --strict."""
    code, said = records.action(
        base="git:main:results", cand="git:harmless:results", args=f"--strict {samples(records)}"
    )
    assert code == 0, said
    assert records.outputs["verdict"] == "non-inferior"


def test_without_predictions(records: Runner) -> None:
    """Without any per-sample file the verdict is inconclusive: 0, and 4 under --strict."""
    sides = {"base": "git:main:results", "cand": "git:pr:results"}
    assert records.action(**sides)[0] == 0
    assert records.outputs["verdict"] == "inconclusive"
    code, said = records.action(**sides, args="--strict")
    assert code == 4
    assert "unpaired" in said


@pytest.mark.parametrize("there", [False, True])
def test_one_comment_that_is_updated(there: bool, records: Runner) -> None:
    """The comment is posted once, found again by its marker, and updated; a failed comparison comments too."""
    log = records.folder / "gh.log"
    records.tool("gh", f'echo "$@" >> {log}\ncase "$*" in *--paginate*) echo "{"41" if there else ""}";; esac')
    code, said = records.action(
        base="git:main:results", cand="git:pr:results", args=samples(records), comment="true", token="secret"
    )
    assert code == 1, said
    listed, sent = log.read_text().splitlines()
    assert f'startswith("{MARKER}")' in listed
    where = "--method PATCH repos/a/b/issues/comments/41" if there else "--method POST repos/a/b/issues/7/comments"
    assert sent == f"api {where} --field body=@ssl-bench-compare/compare.md"


def test_inputs_are_never_script(records: Runner) -> None:
    """No input is put into a script's text; words of a shell in one do nothing."""
    for step in ACTION["runs"]["steps"]:
        assert "${{" not in step["run"]
    code, _ = records.action(base="git:main:results; touch hacked", cand="$(touch hacked)", args="`touch hacked`")
    assert code == 2 or code == 6
    assert not (records.repo / "hacked").exists()


def test_the_workflows_name_what_the_action_knows() -> None:
    """The documented workflows parse, and use inputs that the action has; every output comes from a step."""
    assert len(WORKFLOWS) == 2
    uses = [step for flow in WORKFLOWS for job in flow["jobs"].values() for step in job["steps"]]
    (ours,) = [step for step in uses if str(step.get("uses", "")).startswith("ssl-bench/ssl-bench@")]
    assert set(ours["with"]) <= set(ACTION["inputs"])
    assert {name for name, one in ACTION["inputs"].items() if one.get("required")} <= set(ours["with"])
    assert all("steps.compare.outputs." in one["value"] for one in ACTION["outputs"].values())


NET = """
import torch


class Edges(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("scale", torch.ones(1))

    def forward(self, images):
        {line}
        return (images * self.scale).flatten(1)


def make():
    return Edges()
"""
CARD = """
title   = "Edges"
adapter = "module"

[weights]
name = "edges:make"

[input]
size = 8
resize = "squash"
"""


def workflow(runner: Runner, flow: dict[str, Any]) -> tuple[int, str]:
    """Run a documented workflow in the checked-out tree, on a network of the user's own."""
    code, said = 0, ""
    for step in flow["jobs"]["bench"]["steps"]:
        if code:
            break
        if "run" in step:
            script = (
                step["run"].replace("--model digits_vit", "--model ./edges.toml").replace("\ngit push", "\n: git push")
            )
            done = runner.shell(script, {})
            code, said = done.returncode, said + done.stdout + done.stderr
        elif step["uses"].startswith("ssl-bench/"):
            code, printed = runner.action(**step["with"] | {"comment": "false"})
            said += printed
    return code, said


@pytest.mark.slow
def test_the_documented_workflows_on_a_users_own_network(runner: Runner) -> None:
    """On real digits: the baseline of main is set; a branch that rewrites a line passes, one that blanks three of four
    columns of every image fails with 1. Each branch is measured anew."""
    pulls, pushes = WORKFLOWS
    card = {"edges_dot_toml": CARD, "_dot_gitignore": "cand\nbaselines\nssl-bench-compare\n__pycache__\n"}
    runner.commit("main", edges_dot_py=NET.format(line="pass"), **card)
    runner.git("remote", "add", "origin", str(runner.repo))
    code, said = workflow(runner, pushes)
    assert code == 0, said
    assert "Baseline main: " in runner.git("log", "--format=%s", "ssl-bench-baselines")
    results = {}
    for branch, line in (
        ("harmless", "images = images + 0.0"),
        ("broken", "images = images * (torch.arange(8) % 4 == 0)"),
    ):
        runner.commit(branch, edges_dot_py=NET.format(line=line))
        subprocess.run(["rm", "-rf", "cand", "baselines", str(runner.folder / "temp")], cwd=runner.repo, check=True)
        code, said = workflow(runner, pulls)
        results[branch] = code, runner.outputs["verdict"]
        assert code in (0, 1), said
    assert results == {"harmless": (0, "non-inferior"), "broken": (1, "regressed")}, said
    report = (runner.repo / "ssl-bench-compare" / "compare.md").read_text()
    assert re.search(r"\| digits · knn \| 360 \|.*\| \*\*regressed\*\* \|", report)
