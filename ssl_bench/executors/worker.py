"""A process that does jobs of a plan as it is told: `python -m ssl_bench.executors.worker PLAN [key=value …]`.

Numbers of jobs come on its input, a line each; each is answered on its output when the job has ended. It ends with its
input. What it is to do otherwise than the plan says is stated as settings behind the plan's name.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path


def main() -> None:
    """Do jobs until there are no more."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # whatever else is printed goes where errors go
    from ssl_bench.plans import plan_file
    from ssl_bench.plans.plan_job import Doer

    path = Path(sys.argv[1])
    plan = plan_file.read(path)
    doer = Doer(plan, plan.settings(dict(word.split("=", 1) for word in sys.argv[2:])), path.parent)
    for line in sys.stdin:
        doer.do(int(line))
        print(line.strip(), file=answers, flush=True)


if __name__ == "__main__":
    main()
