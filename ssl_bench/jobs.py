"""Names → jobs: what a user asked for in words, as units of work, each with the identity of the record it writes."""

from __future__ import annotations

import contextlib
import dataclasses
import fnmatch
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl_bench import cards, model_zoo, own_data, protocols, tasks
from ssl_bench.errors import SslBenchError, UsageError
from ssl_bench.extraction import PRECISION, PRECISIONS
from ssl_bench.facts import ModelFacts
from ssl_bench.files import digest_json
from ssl_bench.images import InputCard
from ssl_bench.model_zoo import ModelCard
from ssl_bench.protocols.base import Protocol
from ssl_bench.results.record import record_id
from ssl_bench.settings import Settings
from ssl_bench.tasks import SuiteCard, TaskCard

DEFAULT_PROTOCOLS = ("knn", "logistic_regression")
WITHOUT_NETWORK = ("embeddings", "onnx", "pixels")
"""Adapters whose models hold no network of torch that could be trained."""


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
        f"{' and '.join(protocol.kinds)}{_asking(task.kind)}"
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


def _asking(kind: str) -> str:
    """Return the words that name the protocols that ask tasks of a kind."""
    found = [name for name in protocols.names() if kind in protocols.get(name).kinds]
    return f". Those that can: --protocol {', '.join(found)}" if found else ""


def unsuited(job: Job, labels: Mapping[str, NDArray[np.int64]] | None) -> str:
    """Return why the job's model or task cannot be asked by its recipe, as far as card and labels tell, or "".

    `labels` None are not known.
    """
    if job.protocol.trains and job.model.adapter in WITHOUT_NETWORK:
        return f"{job.protocol_name} trains the network, and {job.model.name} ({job.model.adapter}) has none to train"
    if labels is None:
        return ""
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
