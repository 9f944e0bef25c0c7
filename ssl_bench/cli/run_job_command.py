"""`ssl-bench run-job`: one job of a plan, for any engine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ssl_bench.cli.options import PLACES, WORK, with_flags


@click.command(name="run-job")
@click.argument("plan", type=click.Path(path_type=Path))
@click.option("--index", "-i", "indices", type=click.IntRange(min=0), multiple=True, required=True, help="Job to do.")
@with_flags(PLACES, WORK)
def command(plan: Path, indices: tuple[int, ...], flags: dict[str, Any]) -> int:
    """Do one job of a PLAN that `ssl-bench plan … --out` wrote: extract a shard of features, or make records.

    Any engine can call it, in any order and more than once: what is there already is not done again. Settings are the
    plan's; flags are for a machine on which data lies elsewhere. What came of the job is in jobs/ beside the plan, and
    `ssl-bench status` reads it. Exits as `run` does.

    \b
    Examples:
      ssl-bench run-job plan.json --index 0
      ssl-bench run-job plan.json --index $SLURM_ARRAY_TASK_ID --data /scratch/data
    """
    from ssl_bench.plans import plan_file
    from ssl_bench.plans.plan_job import Doer, exit_code

    read = plan_file.read(plan)
    folder = plan if plan.is_dir() else plan.parent
    doer = Doer(read, read.settings(flags), folder)
    return max(exit_code(doer.do(index, echo=True)) for index in indices)
