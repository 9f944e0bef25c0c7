"""`torchrun … -m ssl_bench run`: several processes of one job write one record, as one process does."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ssl_bench.results.store import Results

JOB = "-m digits_vit -t digits -p knn -p fine_tune,steps=3,warmup=0,batch=10,rate=0.001 --seeds 0 --limit 40"


def _run(folder: Path, *before: str) -> subprocess.CompletedProcess[str]:
    """Run the job with cache and results of its own."""
    places = f"--device cpu --workers 0 --progress plain --cache {folder}/cache --results {folder}/results"
    words = [sys.executable, *before, "-m", "ssl_bench", "run", *JOB.split(), *places.split()]
    done = subprocess.run(
        words,
        capture_output=True,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        cwd=Path(__file__).parents[2],
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done


@pytest.mark.slow
def test_two_processes_write_the_record_of_one(tmp_path: Path) -> None:
    """Two processes write each record once, under one process's identity and with its predictions; one of them speaks;
    no image passes twice; and a second run finds everything done."""
    _run(tmp_path / "one")
    torchrun = ("-m", "torch.distributed.run", "--nproc-per-node", "2", "--standalone")
    said = _run(tmp_path / "two", *torchrun)
    one, two = ({r.record_id: r for r in Results(tmp_path / name / "results").records()} for name in ("one", "two"))
    assert set(one) == set(two)
    assert len(one) == 2
    for identity, record in one.items():
        assert two[identity].headline.value == record.headline.value
        pairs = zip(two[identity].protocol.curve, record.protocol.curve, strict=True)
        assert all(other["train_loss"] == pytest.approx(row["train_loss"], rel=1e-4) for other, row in pairs)
    knn = next(record for record in two.values() if record.protocol.name == "knn")
    assert knn.timing["images_extracted"] == 80
    assert said.stderr.count("2 jobs: 0 records present, 2 run") == 1
    assert said.stderr.count("fine_tune run: 3 steps") == 1
    assert not list((tmp_path / "two/cache/training").rglob("*.pt"))
    again = _run(tmp_path / "two", *torchrun)
    assert again.stderr.count("2 jobs: 2 records present, 0 run") == 1
