"""Names → jobs, and what is known of each before anything is computed; without torch and without a network.

A record's identity rests on digests of weights and images. Both are remembered, under what stands for their content,
when they are first computed; a plan reads only what is remembered, and says "unknown" where nothing is.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fnmatch
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ssl_bench import cards, datasets, model_zoo, own_data, protocols, subsets, tasks
from ssl_bench.datasets import index
from ssl_bench.datasets.index import Index
from ssl_bench.errors import MissingError, SslBenchError, UsageError
from ssl_bench.extraction import DENSE, PRECISION, PRECISIONS, Spec
from ssl_bench.facts import ModelFacts, known_facts, known_speed
from ssl_bench.features import FeatureStore
from ssl_bench.files import digest_json, megabytes
from ssl_bench.images import InputCard
from ssl_bench.model_zoo import ModelCard
from ssl_bench.protocols.base import Protocol
from ssl_bench.results.record import record_id
from ssl_bench.results.store import Results
from ssl_bench.settings import Settings
from ssl_bench.tasks import SuiteCard, TaskCard

DEFAULT_PROTOCOLS = ("knn", "logistic_regression")
State = Literal["done", "probe", "extract", "missing", "skip"]


@dataclasses.dataclass(frozen=True)
class Request:
    """What a user asked for, in words."""

    models: tuple[str | ModelCard, ...]
    """Names, globs over names, paths to cards, or `adapter:name,key=value`; or cards."""
    suite: str = ""
    tasks: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    protocols: tuple[str, ...] = ()
    """Empty: the suite's own, or `DEFAULT_PROTOCOLS` for single tasks."""
    seeds: tuple[int, ...] = ()
    """Empty: each protocol's own."""
    pooled: str = "default"
    input: str = ""
    """What is prescribed of every model's input, as "resize=squash,size=224"; empty: what the suite prescribes."""
    precision: str = PRECISION
    """Of the arithmetic inside the network, one of `extraction.PRECISIONS`."""
    limit: int = 0


@dataclasses.dataclass(frozen=True, eq=False)
class Job:
    """The unit of work and of record."""

    model: ModelCard
    task: TaskCard
    protocol_name: str
    protocol: Protocol
    seed: int
    pooled: str = "default"
    input: InputCard = InputCard()
    """What the suite prescribes of the input; it is in the model's card already."""
    precision: str = PRECISION
    limit: int = 0

    @property
    def requested(self) -> dict[str, Any]:
        """The record's account of the features that were asked for, of any model alike."""
        prescribed = self.input.stated()
        lower = {"precision": self.precision} if self.precision != PRECISION else {}
        words = {"class_names": self.task.class_names, "prompts": self.task.prompts}
        spoken = {"words": digest_json(cards.plain(words))} if self.protocol.reads_words else {}
        return {"pooled": self.pooled} | ({"input": prescribed} if prescribed else {}) | lower | spoken

    @property
    def label(self) -> str:
        return f"{self.model.name} × {self.task.name} × {self.protocol_name}" + (
            f" seed {self.seed}" if self.seed else ""
        )


@dataclasses.dataclass(frozen=True, eq=False)
class Planned:
    """A job and what is known of it."""

    job: Job
    state: State
    """`done`: its record is there; `probe`: all features are cached; `extract`: images must pass the network first;
    `missing`: weights or data are not on this machine; `skip`: the task cannot be asked so, `reason` says why."""
    images: int | None = None
    """Images still to pass the network; None where that is not known yet."""
    seconds: float | None = None
    """Estimate for the extraction from measured throughput; None where nothing was measured."""
    record_id: str = ""
    """Identity of the job's record, where it is known."""
    reason: str = ""
    """Why the job is skipped."""
    lacks: tuple[str, ...] = ()
    """What is missing, a line each: what, how large, and the command or step that gets it."""


def expand(request: Request, settings: Settings) -> list[Job]:
    """Return the jobs of a request, models outermost; raise UsageError that lists every wrong name at once."""
    problems: list[str] = []
    models = _gather(
        problems,
        _model_names(request.models, settings),
        lambda named: model_zoo.get(named, settings.shelves) if isinstance(named, str) else named,
    )
    suite: SuiteCard | None = None
    with _collected(problems):
        suite = tasks.get_suite(request.suite, settings.shelves) if request.suite else None
    names = [*(suite.tasks if suite else ()), *request.tasks]
    unknown = [name for name in request.exclude if name not in names]
    if unknown and suite:
        problems.append(f"--exclude {unknown[0]!r}: the suite has no such task; it has {', '.join(names)}")
    names = [name for name in dict.fromkeys(names) if name not in request.exclude]
    task_cards = _gather(problems, names, lambda name: own_data.get(name, settings.shelves))
    texts = request.protocols or (suite.all_protocols if suite else DEFAULT_PROTOCOLS)
    recipes = _gather(problems, texts, lambda text: (text.partition(",")[0], protocols.get(text)))
    prescribed = suite.input if suite else InputCard()
    with _collected(problems):
        prescribed = parse_input(request.input) if request.input else prescribed
    if request.precision not in PRECISIONS:
        problems.append(f"--precision {request.precision!r} is not one of {', '.join(PRECISIONS)}")
    if not models and not problems:
        problems.append("no model is named; give --model NAME")
    if not names and not problems:
        problems.append("no task is named; give --suite NAME, --task NAME or --data FOLDER of images")
    problems += [
        f"{name} cannot ask the task {task.name!r}, which is of the kind {task.kind!r}: it asks "
        f"{' and '.join(protocol.kinds)}"
        for name, protocol in recipes
        for task in task_cards
        if _asks(suite, name, task.name) and task.kind not in protocol.kinds
    ]
    problems += [
        f"--limit: the retrieval task {task.name!r} cannot be cut, since its judgements name the whole gallery"
        for task in task_cards
        if task.kind == "retrieval" and request.limit
    ]
    if problems:
        raise UsageError("\n".join(problems))
    return [
        Job(model, task, name, protocol, seed, request.pooled, prescribed, request.precision, request.limit)
        for model in (dataclasses.replace(model, input=prescribed.over(model.input)) for model in models)
        for task in task_cards
        for name, protocol in recipes
        if _asks(suite, name, task.name)
        for seed in _seeds(request, protocol)
    ]


def _asks(suite: SuiteCard | None, protocol: str, task: str) -> bool:
    """Tell whether a protocol is to ask a task: the suite may say that it asks some of its groups alone."""
    return suite is None or task not in suite.tasks or any(task in names for names in suite.asks(protocol).values())


def _seeds(request: Request, protocol: Protocol) -> tuple[int, ...]:
    seeds = request.seeds or protocol.seeds
    return seeds[:1] if protocol.deterministic else seeds


def parse_input(text: str, where: str = "--input") -> InputCard:
    """Return what "resize=squash,size=224" states; raise UsageError naming `where` for what it cannot."""
    _, options = cards.parse_reference(f"{where},{text}")
    table = {key: cards.parse_word(Any, word, f"{where}: {key}") for key, word in options.items()}
    return cards.from_table(InputCard, table, where)


def _model_names(texts: Sequence[str | ModelCard], settings: Settings) -> list[str | ModelCard]:
    names: dict[str, str | ModelCard] = {}
    for text in texts:
        if isinstance(text, ModelCard):
            names[text.name] = text
            continue
        globbed = any(sign in text for sign in "*?[") and ":" not in text
        found = fnmatch.filter(model_zoo.names(settings.shelves), text) if globbed else [text]
        names |= {name: name for name in found or [text]}
    return list(names.values())


@contextlib.contextmanager
def _collected(problems: list[str]) -> Any:
    try:
        yield
    except UsageError as error:
        problems.append(str(error))


def _gather(problems: list[str], words: Sequence[Any], get: Any) -> list[Any]:
    found = []
    for word in words:
        with _collected(problems):
            found.append(get(word))
    return found


def job_record_id(job: Job, facts: ModelFacts, task_digest: str) -> str:
    """Return the identity of the record that a job writes."""
    return record_id(
        weights_digest=facts.weights_digest,
        arch=facts.arch,
        features={"requested": job.requested, "resolved": facts.spec(job.pooled, job.precision).resolved},
        task_digest=task_digest,
        protocol=cards.plain(
            {"name": job.protocol_name, "version": job.protocol.version, "recipe": protocols.recipe(job.protocol)}
        ),
        seed=job.seed,
        truncated=job.limit,
    )


def unsuited(job: Job, labels: Mapping[str, NDArray[np.int64]]) -> str:
    """Return why the job's task cannot be asked by its recipe, as far as the labels of its splits tell, or ""."""
    try:
        job.protocol.check({name: own[limited(len(own), job.limit)] for name, own in labels.items()}, job.task.classes)
    except SslBenchError as error:
        return str(error)
    return ""


def limited(size: int, limit: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Return the positions that `--limit` keeps of a split: a seeded draw, in the split's order; 0 keeps all."""
    if not limit or limit >= size:
        return np.arange(size)
    return np.sort(np.random.default_rng(0).permutation(size)[:limit])


class Planner:
    """Looks up what is known of jobs, each file once."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.results = Results(settings.results)
        self.store = FeatureStore(settings.cache)
        self._facts: dict[str, ModelFacts | None] = {}
        self._indexes: dict[str, Index | None] = {}
        self._lacks: dict[str, tuple[str, ...]] = {}

    def plan(self, jobs: Sequence[Job]) -> list[Planned]:
        """Return the jobs with what is known of each; images shared by several jobs count in the first."""
        counted: set[tuple[str, ...]] = set()
        return [self._one(job, counted) for job in jobs]

    def _one(self, job: Job, counted: set[tuple[str, ...]]) -> Planned:
        lacks = self._lacking_weights(job.model) + self._lacking_data(job.task) + self._lacking_subsets(job)
        if lacks:
            return Planned(job, "missing", lacks=lacks)
        facts, table = self._facts_of(job.model), self._index_of(job.task)
        if table is not None and (reason := unsuited(job, table.labels)):
            return Planned(job, "skip", images=0, reason=reason)
        if facts is None or table is None:
            return Planned(job, "extract", images=self._unknown_images(job, table, counted))
        identity = job_record_id(job, facts, table.task_digest)
        if self.results.has(identity):
            return Planned(job, "done", images=0, record_id=identity)
        if not facts.informative:
            return Planned(job, "probe", images=0, record_id=identity)
        every = {name: d[limited(len(d), job.limit)] for name, d in table.digests.items()}
        passes = job.protocol.passes({name: len(digests) for name, digests in every.items()})
        spec = facts.spec(job.pooled, job.precision)
        missing, images = passes.crops, passes.crops
        for view, splits in passes.kept.items():
            here = dataclasses.replace(spec, pooled=DENSE) if view == DENSE else dataclasses.replace(spec, view=view)
            digests = {name: every[name] for name in splits}
            missing += self.store.missing(here, np.concatenate(list(digests.values())))
            fresh = [found for name, found in digests.items() if (here.key, table.task_digest, name) not in counted]
            images += self.store.missing(here, np.concatenate(fresh)) if fresh else 0
            counted |= {(here.key, table.task_digest, name) for name in digests}
        if not missing:
            return Planned(job, "probe", images=0, record_id=identity)
        return Planned(job, "extract", images=images, seconds=self._estimate(spec, images), record_id=identity)

    def _unknown_images(self, job: Job, table: Index | None, counted: set[tuple[str, ...]]) -> int | None:
        """Without the model's digest every image counts, once per view; without an index none is known."""
        if table is None:
            return None
        sizes = {name: len(limited(size, job.limit)) for name, size in table.samples.items()}
        passes, images = job.protocol.passes(sizes), 0
        for view, splits in passes.kept.items():
            keys = {name: (job.model.name, table.task_digest, view, name) for name in splits}
            images += sum(sizes[name] for name, key in keys.items() if key not in counted)
            counted |= set(keys.values())
        return images + passes.crops

    def _estimate(self, spec: Spec, images: int) -> float | None:
        rate = known_speed(self.settings, spec)
        return images / rate if rate else None

    def _facts_of(self, card: ModelCard) -> ModelFacts | None:
        if card.name not in self._facts:
            self._facts[card.name] = known_facts(card, self.settings)
        return self._facts[card.name]

    def _index_of(self, card: TaskCard) -> Index | None:
        if card.name not in self._indexes:
            self._indexes[card.name] = index.lookup(card, self.settings.data, self.settings.cache)
        return self._indexes[card.name]

    def _lacking_weights(self, card: ModelCard) -> tuple[str, ...]:
        state = model_zoo.weights_state(card, self.settings.weight_folders)
        if not state.missing:
            return ()
        size = f", {megabytes(state.bytes)}" if state.bytes else ""
        return (f"weights of {card.name} ({state.source}{size}): ssl-bench fetch --model {card.name}",)

    def _lacking_subsets(self, job: Job) -> tuple[str, ...]:
        lines = (subsets.lacking(name, self.settings.data) for name in job.protocol.subsets)
        return tuple(f"{line}: ssl-bench fetch --protocol {job.protocol_name},lists=simclr" for line in lines if line)

    def _lacking_data(self, card: TaskCard) -> tuple[str, ...]:
        if card.name not in self._lacks:
            try:
                datasets.locate(card, self.settings.data)
                self._lacks[card.name] = ()
            except MissingError as error:
                self._lacks[card.name] = (f"data of {error}",)
        return self._lacks[card.name]


def missing_lines(planned: Sequence[Planned]) -> list[str]:
    """Return each thing that a plan lacks, once."""
    return list(dict.fromkeys(line for item in planned for line in item.lacks))
