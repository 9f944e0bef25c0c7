"""The workflows of `docs/submitting.md`, run step by step as GitHub runs them: a pull request is data, never code."""

from __future__ import annotations

import contextlib
import json
import re
import shlex
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

import ssl_bench
from ssl_bench.cli import LazyGroup
from tests.submission.factory import make_bundle, written

TOP = Path(ssl_bench.__file__).parent.parent
TEXT = (TOP / "docs" / "submitting.md").read_text() if (TOP / "docs").is_dir() else ""
WORKFLOWS = [yaml.safe_load(text) for text in re.findall(r"```yaml\n(name:.*?)```", TEXT, flags=re.DOTALL)]
GIT = {f"GIT_{who}_{what}": "a@b.c" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}


class Machine:
    """A repository with a pull request 7, cloned where a job of the base branch runs."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.origin, self.clone = folder, folder / "origin", folder / "clone"
        self.temp, self.tools = folder / "temp", folder / "tools"
        for path in (self.origin, self.temp, self.tools):
            path.mkdir(parents=True)
        self.environment = {"PATH": f"{self.tools}:/usr/bin:/bin", "HOME": str(folder), "RUNNER_TEMP": str(self.temp)}
        self.environment |= {**GIT, "PYTHONPATH": str(TOP), "OMP_NUM_THREADS": "1"}
        self.tool("ssl-bench", f'exec "{sys.executable}" -m ssl_bench "$@"')
        self.git("init", "-q", "-b", "main")
        (self.origin / "results").mkdir()
        (self.origin / "results" / "README").write_text("records\n")
        self.commit("base")
        self.base = self.git("rev-parse", "HEAD").strip()

    def tool(self, name: str, script: str) -> None:
        path = self.tools / name
        path.write_text(f"#!/bin/bash\n{script}\n")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)

    def git(self, *words: str) -> str:
        done = subprocess.run(["git", *words], cwd=self.origin, env=self.environment, check=True, capture_output=True)
        return done.stdout.decode()

    def commit(self, message: str) -> None:
        self.git("add", "-A")
        self.git("commit", "-q", "-m", message)

    def propose(self) -> None:
        """Make what lies in the origin's folder the pull request, and clone the base as the checkout action does."""
        self.git("checkout", "-q", "-b", "proposed")
        self.commit("submission")
        self.git("update-ref", "refs/pull/7/head", "HEAD")
        self.git("checkout", "-q", "main")
        words = ["git", "clone", "-q", f"file://{self.origin}", str(self.clone)]
        subprocess.run(words, env=self.environment, check=True)

    def step(self, workflow: dict[str, Any], name: str, **values: str) -> subprocess.CompletedProcess[str]:
        """Run a step's script by its name, with the values that the expressions of its environment would have."""
        (job,) = workflow["jobs"].values()
        (step,) = [one for one in job["steps"] if one.get("name") == name]
        assert "${{" not in step["run"], "an expression in a script is a stranger's text in a shell"
        assert {*step["env"]} == {*values}
        return subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
            cwd=self.clone if self.clone.is_dir() else self.folder,
            env=self.environment | values,
            check=False,
            capture_output=True,
            text=True,
        )

    def take(self) -> subprocess.CompletedProcess[str]:
        return self.step(WORKFLOWS[0], "take", BASE=self.base, NUMBER="7")


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A machine of its own."""
    return Machine(tmp_path / "machine")


def proposed(machine: Machine, name: str = "submissions/model.tar") -> Path:
    path = machine.origin / name
    path.parent.mkdir(parents=True, exist_ok=True)
    return written(path, make_bundle())


def test_the_first_workflow_has_no_rights_and_the_second_no_code() -> None:
    """What touches a pull request's files can only read and runs the base's code; what may write runs none of them."""
    judge, comment = WORKFLOWS
    assert {*judge[True]} == {"pull_request"}
    assert judge["permissions"] == {"contents": "read"}
    checkout = judge["jobs"]["validate"]["steps"][0]
    assert "base.sha" in checkout["with"]["ref"]
    assert checkout["with"]["persist-credentials"] is False
    assert {*comment[True]} == {"workflow_run"}
    assert comment[True]["workflow_run"]["workflows"] == [judge["name"]]
    assert not any("checkout" in step.get("uses", "") for step in comment["jobs"]["comment"]["steps"])
    assert "secrets." not in TEXT


def test_every_command_of_the_docs_has_its_options() -> None:
    """Every command that docs and policies name is one, with options that it has."""
    texts = [TEXT, (TOP / "leaderboard" / "POLICIES.md").read_text()]
    blocks = re.findall(r"```(?:bash|yaml)\n(.*?)```|`(ssl-bench [^`]+)`", "".join(texts), flags=re.DOTALL)
    lines = [line.strip() for block in blocks for part in block for line in part.splitlines()]
    lines = [part.strip() for line in lines for part in line.split("&&")]
    commands = [shlex.split(line, comments=True) for line in lines if line.startswith("ssl-bench ")]
    assert len(commands) > 12
    for _, name, *words in commands:
        command = LazyGroup().get_command(click.Context(LazyGroup()), name)
        assert command is not None, name
        while isinstance(command, click.Group) and words:
            command = command.get_command(click.Context(command), words.pop(0))
            assert command is not None, (name, words)
        with contextlib.suppress(click.MissingParameter):  # a sentence may name a command without its words
            command.make_context(name, words)


def test_a_bundle_is_taken_out_of_a_pull_request_and_judged(machine: Machine) -> None:
    """One file under submissions/ is taken as it is and judged; reports and number are there for the comment."""
    sent = proposed(machine).read_bytes()
    machine.propose()
    done = machine.take()
    assert done.returncode == 0, done.stderr
    assert (machine.temp / "bundle.tar").read_bytes() == sent
    assert not (machine.clone / "submissions").exists()
    done = machine.step(WORKFLOWS[0], "judge", NUMBER="7")
    assert done.returncode == 2, done.stderr
    assert "no suite is called 'small'" in done.stderr
    assert (machine.temp / "report" / "number").read_text() == "7\n"
    report = json.loads((machine.temp / "report" / "report.json").read_text())
    assert [finding["name"] for finding in report["findings"]] == ["unreadable"]


def _two(origin: Path) -> None:
    (origin / "submissions" / "second.tar").write_bytes(b"x")


def _code(origin: Path) -> None:
    (origin / "conftest.py").write_text("import os; os.system('touch pwned')")


def _link(origin: Path) -> None:
    (origin / "submissions" / "model.tar").unlink()
    (origin / "submissions" / "model.tar").symlink_to("/etc/passwd")


def _name(origin: Path) -> None:
    (origin / "submissions" / "model.tar").rename(origin / "submissions" / "$(touch pwned).tar")


def _newline(origin: Path) -> None:
    (origin / "submissions" / "model.tar").rename(origin / "submissions" / "a.tar\nsubmissions")


def _elsewhere(origin: Path) -> None:
    (origin / "submissions" / "model.tar").rename(origin / "model.tar")


@pytest.mark.parametrize("change", [_two, _code, _link, _name, _newline, _elsewhere])
def test_pull_requests_that_are_more_than_one_bundle_are_refused(machine: Machine, change: Any) -> None:
    """Further files, code, links and names that a shell could take for more are refused, and nothing is executed."""
    proposed(machine)
    change(machine.origin)
    machine.propose()
    done = machine.take()
    assert done.returncode == 1, done.stdout
    assert "::error::" in done.stdout
    assert not (machine.temp / "bundle.tar").exists()
    assert not list(machine.folder.rglob("pwned"))


@pytest.mark.parametrize(
    ("number", "head", "posted"),
    [("7", "abc", True), ("7", "other", False), ("7; touch pwned", "abc", False), ("", "abc", False)],
)
def test_the_comment_goes_to_the_pull_request_that_was_judged(
    machine: Machine, number: str, head: str, posted: bool
) -> None:
    """The report is posted where the judged commit is the pull request's; a number that is none goes nowhere."""
    machine.tool("gh", f'[ "$2" = view ] && echo abc && exit 0; echo "$@" >> "{machine.folder}/gh.txt"')
    (machine.temp / "report").mkdir()
    (machine.temp / "report" / "number").write_text(f"{number}\n")
    (machine.temp / "report" / "report.md").write_text("x" * 70_000)
    done = machine.step(WORKFLOWS[1], "post", GH_TOKEN="t", GH_REPO="a/b", HEAD=head)
    said = machine.folder / "gh.txt"
    assert (done.returncode == 0, said.exists()) == (posted, posted)
    if posted:
        assert said.read_text().startswith("pr comment 7 --body-file")
        assert (machine.temp / "comment.md").stat().st_size == 65_000
    assert not list(machine.folder.rglob("pwned"))
