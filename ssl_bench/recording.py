"""What a job found, as a record."""

from __future__ import annotations

import dataclasses
import datetime
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ssl_bench import cards, protocols
from ssl_bench.backbones.base import Backbone
from ssl_bench.environment import code_version
from ssl_bench.extraction import Spec
from ssl_bench.facts import ModelFacts
from ssl_bench.files import digest_json
from ssl_bench.jobs import Job
from ssl_bench.meters import flops_per_image
from ssl_bench.predictions import Judgements, Truth
from ssl_bench.protocols.base import Answer
from ssl_bench.results.record import FeaturesBlock, LabelMap, Model, ProtocolBlock, Record, Samples, Task
from ssl_bench.results.samples import Table
from ssl_bench.scoring import definitions, headline, judged, score, scored_by, settled
from ssl_bench.tasks import MOST_CLASSES, TaskCard
from ssl_bench.trials import Data

MOST_NAMES = 100
"""Classes whose names a record holds; of more it holds the digest alone, unless it has a figure of each."""


@dataclasses.dataclass(frozen=True, eq=False)
class Loaded:
    """A model in memory."""

    backbone: Backbone
    facts: ModelFacts
    source: str
    device: str

    @functools.cached_property
    def flops(self) -> float | None:
        """Operations of one image's forward pass, where they can be counted.

        The first count of a process takes a second or two, so what makes no record does not ask.
        """
        return flops_per_image(self.backbone, self.device)


def make_record(
    job: Job,
    loaded: Loaded,
    data: Data,
    spec: Spec,
    answer: Answer,
    *,
    truth: Truth,
    embed_dim: int,
    keep: Callable[[Table], Samples],
    environment: Mapping[str, Any],
    timing: Mapping[str, float],
) -> Record:
    """Score a protocol's answer and return the job's record; `keep` puts the per-sample predictions away."""
    first = headline(job.task, job.protocol)
    answer = settled(judged(answer, truth), job.protocol, truth, first)
    scored = scored_by(answer, truth, first)
    sizes = {role: len(split) for role, split in data.splits.items()}
    return Record(
        model=_model(job, loaded, embed_dim),
        features=FeaturesBlock(requested=job.requested, resolved=spec.resolved),
        task=Task(
            name=job.task.name,
            title=job.task.title,
            version=job.task.version,
            kind=job.task.kind,
            classes=job.task.classes,
            digest=data.task_digest,
            samples=sizes,
            metric=scored[0].name,
            metrics=definitions(scored, job.task.classes, job.task.ceiling),
            source=cards.plain(job.task.source),
            truncated=job.limit,
            ids=data.id_digests,
            labels=label_map(truth.class_names, MOST_CLASSES if job.task.kind == "segmentation" else MOST_NAMES),
        ),
        protocol=ProtocolBlock(
            name=job.protocol_name,
            version=job.protocol.version,
            recipe=protocols.recipe(job.protocol),
            deterministic=not job.protocol.seed_matters(sizes),
            selected=answer.selected,
            curve=answer.curve,
            converged=answer.converged,
            at_grid_edge=answer.at_grid_edge,
        ),
        seed=job.seed,
        metrics=score(answer, truth, scored),
        samples=keep(answer.predictions.table(data.splits["test"].ids, truth)),
        environment=environment,
        code=code_version(),
        timing=timing,
        created=datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    )


def _model(job: Job, loaded: Loaded, embed_dim: int) -> Model:
    facts = loaded.facts
    return Model(
        name=job.model.name,
        title=job.model.title or job.model.name,
        adapter=job.model.adapter,
        weights_digest=facts.weights_digest,
        arch=facts.arch,
        parameters=facts.parameters,
        embed_dim=embed_dim,
        source=loaded.source,
        file_sha256=facts.file_sha256,
        library=facts.library,
        about=cards.plain(job.model.about),
    )


def label_map(names: Sequence[str], most: int = MOST_NAMES) -> LabelMap | None:
    """Return what labels mean, where the classes have names: all of them, where they are `most` or fewer."""
    if not names:
        return None
    return LabelMap(digest_json(list(names)), tuple(names) if len(names) <= most else ())


def truth_of(card: TaskCard, data: Data, judgements: Judgements | None) -> Truth:
    """Return what scoring knows and no protocol does."""
    return Truth(
        {role: split.labels for role, split in data.splits.items()},
        card.classes,
        {role: split.ids for role, split in data.splits.items()},
        {name: shift.normaliser for name, shift in card.shifts.items() if shift.normaliser},
        judgements,
        data.splits["test"].targets,
        card.class_names or data.splits["test"].class_names,
    )
