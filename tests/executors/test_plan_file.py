"""The plan as a file: whole by itself, and refused where it is none."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ssl_bench import cards, protocols
from ssl_bench.errors import UsageError
from ssl_bench.executors.queues import Queue
from ssl_bench.jobs import Request, expand
from ssl_bench.model_zoo import names
from ssl_bench.plans import plan_file
from ssl_bench.plans.planner import Planned, Planner
from ssl_bench.settings import Settings
from tests.executors.conftest import PIXELS, VIT, Make

RECIPES = [*protocols.names(), "knn,k=1,distance=euclidean,also=3+5", "fine_tune,recipe=mae,epochs=20,batch=64"]


@pytest.mark.parametrize("text", RECIPES)
def test_every_recipe_is_the_same_behind_a_file(text: str) -> None:
    """A protocol with its fields, written as JSON and read again, is equal to what it was."""
    name = text.partition(",")[0]
    protocol = protocols.get(text)
    fields = json.loads(json.dumps(cards.plain(protocol)))
    assert protocols.from_recipe(name, fields, "here") == protocol


def test_a_plan_asks_behind_a_file_what_was_asked(make: Make, own_settings: Settings) -> None:
    """The jobs of a plan that was read have the labels, questions and cards of those that were asked for."""
    asked = ("knn", "logistic_regression,c_steps=3")
    work = make(VIT, PIXELS, protocols=asked).work
    read = [job for one in work.plan.jobs if one.kind == "probe" for job in work.plan.asked(one)]
    wanted = expand(Request((VIT, PIXELS), tasks=("digits",), protocols=asked), own_settings)
    assert [job.label for job in read] == [job.label for job in wanted]
    for found, job in zip(read, wanted, strict=True):
        assert (found.model.digest, found.requested) == (job.model.digest, job.requested)
        assert (found.task, found.protocol, found.seed, found.limit) == (job.task, job.protocol, job.seed, job.limit)


def test_every_model_card_is_the_same_behind_a_file(own_settings: Settings) -> None:
    """Every card of the model zoo is in a plan by value: read again, it has the same digest and facts."""
    few = sorted(names())[::9]
    jobs = expand(Request(tuple(few), tasks=("digits",), protocols=("knn",)), own_settings)
    job = plan_file.PlanJob("probe", few[0], "digits", ((0, 0),))
    plan = plan_file.build([job], jobs, [("knn", jobs[0].protocol)], own_settings)
    for one in jobs:
        card = plan.model(one.model.name)
        assert card.digest == one.model.digest
        assert (card.about, card.published, card.title) == (one.model.about, one.model.published, one.model.title)


def test_places_are_found_from_any_folder(make: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Folders in a plan are whole paths, whatever they were when it was made; flags stand over them."""
    monkeypatch.chdir(tmp_path)
    work = make(cache=Path("near"), results="s3://bucket/records").work
    settings = work.plan.settings({"results": None, "batch_size": 7})
    assert settings.cache == tmp_path / "near"
    assert (settings.results, settings.batch_size) == ("s3://bucket/records", 7)
    assert work.plan.settings({"data": Path("/elsewhere")}).data == Path("/elsewhere")


def test_one_plan_has_one_identity(make: Make) -> None:
    """The same question under the same settings gives the same bytes, and another gives others."""
    first, second = make().work, make(name="here").work
    assert first.plan.identity == second.plan.identity
    assert make(protocols=("knn,k=1",)).work.plan.identity != first.plan.identity


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "is no plan"),
        ("[]", "its format is 'list'"),
        ('{"format": "ssl-bench.plan/99"}', "not 'ssl-bench.plan/1'"),
        (None, "cannot read the plan"),
    ],
)
def test_what_is_no_plan_is_refused(text: str | None, words: str, tmp_path: Path) -> None:
    """A file that is no plan of this version is named, with what is wrong with it."""
    if text is not None:
        (tmp_path / "plan.json").write_text(text)
    with pytest.raises(UsageError, match=words) as error:
        plan_file.read(tmp_path / "plan.json")
    assert "plan.json" in str(error.value)


def test_a_number_beyond_the_last_job_is_refused(make: Make) -> None:
    """A job that the plan has not is answered with the numbers that it has."""
    with pytest.raises(UsageError, match="has the jobs 0 to 1, and no 2"):
        make().work.plan.job(2)


def test_done_jobs_are_in_no_plan(make: Make) -> None:
    """A plan holds what is left to do; where nothing is, that is said in place of a plan."""
    planned = make(VIT, protocols=("knn", "knn,k=1"))
    assert [report["errors"] for report in planned.do()] == [[], []]
    more = make(VIT, protocols=("knn", "knn,k=1", "knn,k=3"))
    [job] = more.work.plan.jobs
    assert job.kind == "probe"
    assert [one.protocol_name for one in more.work.plan.asked(job)] == ["knn"]
    with pytest.raises(UsageError, match="nothing is left to do"):
        make(VIT, protocols=("knn",))


def test_what_trains_goes_alone_and_after_the_first_seed(own_settings: Settings) -> None:
    """What trains the network is a job of the plan by itself; its other seeds come after seed 0, which chooses."""
    from ssl_bench.plans import dividing

    planner = Planner(own_settings)
    request = Request(
        (VIT,), tasks=("digits",), protocols=("knn", "fine_tune,recipe=mae,epochs=20,batch=64"), seeds=(0, 1)
    )
    plan = dividing.divide(planner.plan(expand(request, own_settings)), planner, own_settings)
    assert [(job.kind, len(job.asked), job.after) for job in plan.jobs] == [
        ("extract", 1, ()),
        ("probe", 1, (0,)),
        ("probe", 1, ()),
        ("probe", 1, (2,)),
    ]
    assert [job.light for job in plan.jobs] == [False, True, False, False]


def test_tasks_with_long_probes_go_first(own_settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of every model what rests on many samples and classes comes before all else, the longest before the long."""
    from ssl_bench.plans import dividing

    planner = Planner(own_settings)
    monkeypatch.setattr(planner, "samples", lambda card: dict(card.source.samples))  # as where the data lie
    request = Request((VIT, "pixels"), tasks=("digits", "places365", "imagenet1k", "cifar10"), protocols=("knn",))
    planned = [Planned(job, "extract") for job in expand(request, own_settings)]
    plan = dividing.divide(planned, planner, own_settings, 10**7)
    probes = [job for job in plan.jobs if job.kind == "probe"]
    assert [(job.model, job.task, job.first) for job in probes] == [
        (VIT, "imagenet1k", True),
        ("pixels", "imagenet1k", True),
        (VIT, "places365", True),
        ("pixels", "places365", True),
        (VIT, "digits", False),
        (VIT, "cifar10", False),
        ("pixels", "digits", False),
        ("pixels", "cifar10", False),
    ]
    queue = Queue(plan)
    queue.add(range(len(plan.jobs)))
    taken = [queue.take(False, model="pixels") for _ in range(8)]
    assert [(plan.job(index or 0).task, plan.job(index or 0).model) for index in taken][:6] == [
        ("imagenet1k", "pixels"),
        ("places365", "pixels"),
        ("imagenet1k", VIT),
        ("places365", VIT),
        ("digits", "pixels"),
        ("cifar10", "pixels"),
    ]
