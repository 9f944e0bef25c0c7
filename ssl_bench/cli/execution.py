"""`run` on an executor: the plan's folder, what is left of it, and what came of it."""

from __future__ import annotations

import functools
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from ssl_bench import executors
from ssl_bench.cli.options import Command, stacked
from ssl_bench.errors import SslBenchError, UnsuitedError, UsageError
from ssl_bench.executors import Choice
from ssl_bench.executors.base import Work
from ssl_bench.files import digest_json
from ssl_bench.jobs import Job
from ssl_bench.outcome import Failure, Outcome
from ssl_bench.plans import dividing, plan_file
from ssl_bench.plans.dispatch import dispatch
from ssl_bench.plans.plan_file import Plan
from ssl_bench.plans.planner import Planned, Planner
from ssl_bench.progress import Progress
from ssl_bench.results.store import Results
from ssl_bench.settings import Settings

OPTIONS = (
    click.option(
        "--executor",
        "name",
        envvar="SSL_BENCH_EXECUTOR",
        help="Who does the jobs: local, slurm or ray; else this process.",
    ),
    click.option("--parallel", type=click.IntRange(min=0), help="Jobs at once on the executor; 0: as many as fit."),
    click.option(
        "--executor-option", "executor_options", multiple=True, help="key=value for the executor; repeatable."
    ),
    click.option("--shard-images", type=click.IntRange(min=1), help="Images of one extract job on the executor."),
    click.option("--attempts", type=click.IntRange(min=1), help="Times that a job is begun whose machine is lost."),
    click.option("--detach", is_flag=True, help="Slurm: submit and end; the same command later prints the records."),
    click.option("--retry-failed", is_flag=True, help="Do jobs again that failed on the executor before."),
)
FIELDS = ("name", "parallel", "shard_images", "attempts")


def with_executor(function: Command) -> Command:
    """Give a command the options of executors; it receives `choice` and `retry_failed`."""

    @functools.wraps(function)
    def wrapped(executor_options: tuple[str, ...], **given: Any) -> Any:
        flags = {key: given.pop(key) for key in FIELDS}
        return function(choice=executors.choose(flags, executor_options), **given)

    return stacked(OPTIONS, wrapped)


def print_choice(choice: Choice) -> None:
    """Print who does the jobs, and how."""
    for name, value in vars(choice).items():
        shown = ", ".join(f"{key}={word}" for key, word in value.items()) if isinstance(value, Mapping) else value
        click.echo(f"executor.{name:<16} {shown}")


def run_on(
    choice: Choice,
    planned: Sequence[Planned],
    settings: Settings,
    progress: Progress,
    *,
    retry_failed: bool = False,
    fail_fast: bool = False,
    detach: bool = False,
) -> Outcome:
    """Have the jobs that are not done done by an executor, and return what came of them; with `detach`, of those that
    had ended before.

    Raises KeyboardInterrupt where Ctrl-C left some of them undone, UsageError where an executor cannot be left alone.
    """
    kind = executors.get(choice.name)
    if detach and not kind.resumes:
        raise UsageError(f"--detach: jobs of the executor {choice.name} end with this process; leave it out")
    results = Results(settings.results)
    present = [results.get(item.record_id) for item in planned if item.state == "done"]
    skipped = [Failure(item.job, UnsuitedError(item.reason)) for item in planned if item.state == "skip"]
    if all(item.state in ("done", "skip") for item in planned):
        return Outcome(present=present, skipped=skipped)
    plan, folder = prepare(planned, settings, choice)
    work = Work(plan, folder)
    indices = left(work, results, retry_failed, progress)
    if indices:
        progress.say(f"{len(indices)} jobs on {choice.name}; ssl-bench status {folder}")
        executor = kind(work, choice.parallel, choice.options)
    if indices and detach:
        executor.submit(indices)
    elif indices:
        ended = dispatch(work, executor, indices, progress, attempts=choice.attempts, fail_fast=fail_fast)
        if ended.left and not (fail_fast and ended.failed):
            raise KeyboardInterrupt
    return _outcome(work, indices, Outcome(present=present, skipped=skipped), Results(settings.results))


def prepare(planned: Sequence[Planned], settings: Settings, choice: Choice) -> tuple[Plan, Path]:
    """Return the plan and its folder: those of the same question, where they hold all that is left to do."""
    keys = [(job.label, job.model.digest, job.requested, job.limit) for job in (item.job for item in planned)]
    folder = settings.cache / "plans" / digest_json([keys, str(settings.results), choice.shard_images])[:12]
    wanted = {item.job.label for item in planned if item.state not in ("done", "skip")}
    try:
        held = plan_file.read(folder)
        if wanted <= {job.label for one in held.jobs for job in held.asked(one)}:
            return held, folder
    except UsageError:
        pass
    plan = dividing.divide(planned, Planner(settings), settings, choice.shard_images)
    shutil.rmtree(folder, ignore_errors=True)
    plan_file.write(plan, folder / plan_file.NAME)
    return plan, folder


def left(work: Work, results: Results, retry_failed: bool, progress: Progress) -> list[int]:
    """Return the jobs of a plan that are not done: they did not end well, or what they wrote is gone."""
    states = work.files.states()
    done = {index for index, state in states.items() if state.state == "done"}
    done = {i for i in done if all(results.has(record) for record in work.files.report(i).get("records", ()))}
    failed = {index for index, state in states.items() if state.state == "failed"}
    if failed and not retry_failed:
        progress.say(f"{len(failed)} jobs failed before and are left as they are; --retry-failed does them again")
        done |= failed
    return [index for index in range(len(work.plan.jobs)) if index not in done]


def _outcome(work: Work, ran: Sequence[int], outcome: Outcome, results: Results) -> Outcome:
    """Return what the jobs of a plan left, by their files, on top of what was there before."""
    now, known = set(ran), {record.record_id for record in outcome.present}
    for index, job in enumerate(work.plan.jobs):
        report = work.files.report(index)
        for record in report.get("records", ()):
            if record not in known and results.has(record):
                new = index in now and record in report["written"]
                (outcome.written if new else outcome.present).append(results.get(record))
                known.add(record)
        if job.kind == "probe" and (report.get("errors") or report.get("skipped")):
            asked = {one.label: one for one in work.plan.asked(job)}
            for which, said in ((outcome.failures, "errors"), (outcome.skipped, "skipped")):
                for error in report.get(said, ()):
                    which += [Failure(one, _error(error)) for one in _meant(asked, error["job"])]
    return outcome


def _meant(asked: Mapping[str, Job], label: str) -> list[Job]:
    return [asked[label]] if label in asked else list(asked.values())


def _error(said: Mapping[str, Any]) -> SslBenchError:
    error = SslBenchError(str(said["error"]))
    error.exit_code = int(said["exit_code"])
    return error
