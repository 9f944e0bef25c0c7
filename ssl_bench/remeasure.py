"""Doing again what somebody claims, with the verifier's own weights, data and code.

What is extracted and run here goes through the normal cache and a store of its own, so that a verification that was
interrupted goes on where it was.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterable

from ssl_bench import datasets, model_zoo, protocols, tasks
from ssl_bench.cards import plain
from ssl_bench.datasets import index
from ssl_bench.errors import MissingError, UsageError
from ssl_bench.extraction import PRECISION
from ssl_bench.jobs import Job, Request, expand, job_record_id
from ssl_bench.plans.planner import Planner, missing_lines
from ssl_bench.predictions import Truth
from ssl_bench.progress import Progress
from ssl_bench.results.describe import protocol_words, recipe_word
from ssl_bench.results.record import Record
from ssl_bench.results.store import Results
from ssl_bench.runner import Runner
from ssl_bench.settings import Settings
from ssl_bench.submission import drawing, sketch, verifying
from ssl_bench.submission.bundle import label
from ssl_bench.submission.claims import Claim
from ssl_bench.submission.limits import readable
from ssl_bench.submission.verifying import Own, Redone
from ssl_bench.tasks import DENSE


def own_targets(settings: Settings, progress: Progress) -> Callable[[Record], Own | None]:
    """Return what tells what the data here say of a record's task: None where the task or its data are not here. A
    task is looked at once for all its records."""
    shelf = tasks.names(settings.shelves)

    @functools.cache
    def own(task: str) -> Own | None:
        card = tasks.get(task, settings.shelves)
        try:
            known = index.tracked(card, settings.data, settings.cache, progress)
        except MissingError:
            return None
        ids = {role: samples.ids for role, samples in known.roles.items()}
        dense = datasets.load(card, settings.data)["test"].targets if card.kind in DENSE else None
        return Own(known.task_digest, ids["test"], Truth(known.labels, card.classes, ids, dense=dense))

    return lambda record: None if record.task.truncated or record.task.name not in shelf else own(record.task.name)


class Remeasure:
    """Runs the jobs of a claim again. Its words are a stranger's: only names that are on a shelf here are looked up.

    `model` names the verifier's copy of the model; without it, the card that is called as the claim's model is taken.
    Raises MissingError where there is no such card.
    """

    def __init__(self, claim: Claim, settings: Settings, progress: Progress, model: str = "") -> None:
        if not model and claim.model not in model_zoo.names(settings.shelves):
            raise MissingError(
                f"no model card here is called {readable(claim.model)!r}, which is claimed; name your own copy of the "
                f"model with --model, as a card or as adapter:name,key=value{_from(claim)}"
            )
        self.claim = claim
        self.settings = dataclasses.replace(settings, results=settings.cache / "verify" / claim.digest[:16])
        """Records of what is run again lie apart from all others."""
        self.store = Results(settings.results, settings.cache)
        """The verifier's own records: what they say of other models, and of other runs of the same jobs."""
        self._model = model or claim.model
        self._runner = Runner(self.settings, progress)
        self._jobs: dict[str, Job | str] = {}

    def check_here(self) -> None:
        """Raise MissingError, a line for each thing, where weights or data are not on this machine."""
        jobs = [job for record in self.claim.records if isinstance(job := self._job(record), Job)]
        lacking = missing_lines(Planner(self.settings).plan(jobs))
        if lacking:
            raise MissingError("\n".join(lacking))

    def _job(self, record: Record) -> Job | str:
        """Return the job that a record says it is of, or why it cannot be asked here."""
        if record.record_id not in self._jobs:
            try:
                self._jobs[record.record_id] = self._asked(record)
            except UsageError as error:
                self._jobs[record.record_id] = f"the job cannot be asked here: {error}"
        return self._jobs[record.record_id]

    def _asked(self, record: Record) -> Job:
        if record.task.name not in tasks.names(self.settings.shelves):
            raise UsageError(f"no task card is called {readable(record.task.name)!r}")
        asked = record.features.requested
        prescribed = asked.get("input") or {}
        request = Request(
            models=(self._model,),
            tasks=(record.task.name,),
            protocols=(protocol_words(record),),
            seeds=(record.seed,),
            pooled=str(asked.get("pooled", "default")),
            input=",".join(f"{key}={recipe_word(value)}" for key, value in sorted(prescribed.items())),
            precision=str(asked.get("precision", PRECISION)),
            limit=record.task.truncated,
        )
        jobs = expand(request, self.settings)
        if len(jobs) != 1:
            raise UsageError(f"its words stand for {len(jobs)} jobs")
        return jobs[0]

    def _same(self, record: Record) -> Job | str:
        """Return the job of a record, or why the job of these words is another one here."""
        job = self._job(record)
        if isinstance(job, str):
            return job
        facts, task_digest = self._runner.loaded(job.model).facts, self._runner.data(job).task_digest
        if job_record_id(job, facts, task_digest) == record.record_id:
            return job
        parts = {
            "weights": (facts.weights_digest, record.model.weights_digest),
            "architecture": (facts.arch, record.model.arch),
            "requested features": (job.requested, record.features.requested),
            "features": (facts.spec(job.pooled, job.precision).resolved, record.features.resolved),
            "task": (task_digest, record.task.digest),
            "version of the protocol": (job.protocol.version, record.protocol.version),
            "recipe": (protocols.recipe(job.protocol), record.protocol.recipe),
            "seed": (job.seed, record.seed),
        }
        differing = [name for name, (ours, theirs) in parts.items() if plain(ours) != plain(theirs)]
        return f"this is another job here: {', '.join(differing) or 'its words'} differ"

    def weights(self) -> list[Redone]:
        """Compare the weights here with those that are claimed.

        Raises MissingError where the file here is not the one that is declared, which says nothing of the claim.
        """
        record = self.claim.records[0]
        job = next((job for one in self.claim.records if isinstance(job := self._job(one), Job)), None)
        if job is None:
            return []
        facts = self._runner.loaded(job.model).facts
        wrong = sorted({one.model.weights_digest for one in self.claim.records} - {facts.weights_digest})
        said = f"the tensors here have the digest {facts.weights_digest[:12]}"
        if not wrong:
            return [Redone(self.claim.model, "weights", "agrees", said)]
        declared = self.claim.entry.sha256 if self.claim.entry else record.model.file_sha256
        if not declared or facts.file_sha256 != declared:
            raise MissingError(
                f"the weights of {self._model} here are not those that are claimed: the file's sha256 is "
                f"{facts.file_sha256 or 'unknown'}, and {declared or 'no file'} is declared; name your copy of that "
                f"file with --model{_from(self.claim)}"
            )
        found = f"{said}, in the very file that is declared; the records are of {', '.join(one[:12] for one in wrong)}"
        return [Redone(self.claim.model, "weights", "disagrees", found)]

    def features(self, nonce: str, count: int) -> list[Redone]:
        """Extract `count` drawn images of every task again and compare them with what was fixed of them."""
        by_sketch = {sketch.name(record): record for record in reversed(self.claim.records)}
        return [self._features(record, nonce, count) for _, record in sorted(by_sketch.items())]

    def _features(self, record: Record, nonce: str, count: int) -> Redone:
        handed_in = self.claim.sketch(record)
        if handed_in is None:
            return Redone(record.task.name, "features", "open", "nothing was fixed of them; a run tells")
        job = self._same(record)
        if isinstance(job, str):
            return Redone(record.task.name, "features", "disagrees", job)
        digests = self._runner.data(job).digests["test"]
        if wrong := verifying.same_images(record, handed_in, digests):
            return wrong
        positions = drawing.images(nonce, self.claim.digest, record.task.name, digests, count)
        again = self._runner.trial(job).supply.some("test", "", "", positions)
        return verifying.features(record, handed_in, positions, again)

    def runs(self, names: Iterable[str]) -> list[Redone]:
        """Run every job of some tasks again, end to end, and compare result and predictions."""
        chosen = set(names)
        records = [record for record in self.claim.records if record.task.name in chosen]
        return [redone for record in records for redone in self._run(record)]

    def _run(self, record: Record) -> list[Redone]:
        job = self._same(record)
        if isinstance(job, str):
            return [Redone(label(record), "run", "disagrees", job)]
        again, _ = self._runner.run_one(job)
        try:
            table = self.claim.table(record)
        except MissingError:
            table = {}
        allowed = verifying.tolerance(record, self._replicates(record))
        return verifying.predictions(record, table, again, Results(self.settings.results).read_samples(again), allowed)

    def _replicates(self, record: Record) -> list[float]:
        """Return the headline values of the runs of a record's job that the verifier's own store has."""
        runs = self.store.runs(record.record_id)
        return [run.headline.value for run, status, _ in runs if status != "withdrawn"]


def _from(claim: Claim) -> str:
    """Return where the submitter says the weights are."""
    return f"; they are declared to be at {readable(claim.entry.weights)}" if claim.entry else ""
