"""A suite on a real Ray cluster, one node of which is killed in the middle."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.clusters import processes, ray
from tests.clusters.conftest import TOP, User, asked, check_whole, example, finish, kill_busy, need, run_alone
from tests.clusters.ray import Ray
from tests.clusters.s3 import S3


@pytest.mark.data
def test_a_suite_of_real_models_on_ray(short_path: Path, tmp_path: Path, real_data: Path, s3: S3) -> None:
    """`run --executor ray` loses no record to a killed node and doubles none, though nodes share nothing but S3."""
    need(ray.missing() or processes.cannot_separate())
    user = User(tmp_path, real_data, results="s3://shared/results", shared_cache="s3://shared/cache")
    run_alone(user, asked("ray"))
    own = {"PYTHONPATH": str(TOP), "TMPDIR": str(short_path / "tmp"), "OMP_NUM_THREADS": "1"}  # last bits rest on it
    (short_path / "tmp").mkdir()
    with Ray(short_path / "ray", environment=own, private=[tmp_path]) as cluster:
        user.reaches(cluster)
        process = user.begin(example("ray"))
        kill_busy(cluster, cluster.others[0], short_path / "tmp")
        finish(process, cluster)
    check_whole(user, asked("ray"))
    assert s3.names("cache/features/")
    assert not list((tmp_path / "cache" / "features").rglob("*.npy"))
