"""500 models x 60 tasks on 64 GPUs, simulated from measured costs: makespan against its lower bound, and what moves it.

Run: python benchmarks/cluster_simulation.py    (a minute; no torch, no GPU)

Measured: the networks and the start of a process (`results/cluster_costs.json`), decoding, logistic regression and
neighbours (`results/input_pipeline.txt`, `logistic_regression.txt`, `knn.txt`). From the shelf: the sizes and classes
of the tasks, and how large the zoo's models are. Assumed, and varied where it matters: a GPU passes images 1,000 times
as fast as a core; a node has eight GPUs and, for each, eight cores that decode and two pairs that make probes, as they
were measured on two threads; it reads at 1 GB/s from shared storage; a lost one is back after ten minutes. What is
larger than ViT-H counts as ViT-H, and namesakes of tasks share their images.
"""

from __future__ import annotations

import dataclasses
import heapq
import itertools
import random
from collections import defaultdict, deque

from cluster_work import BLOCK, COSTS, GPUS, MODELS, NETWORKS, NODES, PROBERS, STORAGE, TASKS, Job, Way, bounds, work


class Pool:
    """Workers of one kind, and the jobs that wait for them: in order, or before others those at hand of the long ones
    and then of the rest, by model or by features."""

    def __init__(self, way: Way, workers: int, probes: bool) -> None:
        self.way, self.probes = way, probes
        self.per_node = workers // NODES
        self.free = list(range(workers))
        self.tiers: tuple[dict[int, deque[Job]], dict[int, deque[Job]]] = ({}, {})
        """Long ones, and the rest: model to its jobs."""
        self.held: list[int | None] = [None] * workers
        """Model of each worker."""

    def __len__(self) -> int:
        return sum(map(len, self.tiers))

    def add(self, job: Job) -> None:
        self.tiers[not job.first].setdefault(job.model, deque()).append(job)

    def take(self, worker: int, features: dict[int, set[int]]) -> Job:
        waiting = self.tiers[not self.tiers[0]]
        model = self._nearest(waiting, worker, features) if self.way.near else next(iter(waiting))
        job = waiting[model].popleft()
        if not waiting[model]:
            del waiting[model]
        return job

    def _nearest(self, waiting: dict[int, deque[Job]], worker: int, features: dict[int, set[int]]) -> int:
        """Return the model whose job a worker takes: of the oldest, one that is at hand, or that no other one holds."""
        oldest = list(itertools.islice(waiting, GPUS))
        if self.probes:
            return next((model for model in oldest if model in features[worker // self.per_node]), oldest[0])
        if (held := self.held[worker]) in waiting:
            return held
        others = set(self.held)
        return next((model for model in oldest if model not in others), oldest[0])


class Cluster:
    """Nodes at work: events in the order of time."""

    def __init__(self, way: Way) -> None:
        self.way = way
        self.extracts, self.probes, self.models = work(way)
        self.pools = {"extract": Pool(way, GPUS, False), "probe": Pool(way, PROBERS, True)}
        self.asked = {(job.model, job.task): job for job in self.probes}
        self.features: dict[int, set[int]] = defaultdict(set)
        self.events: list[tuple[float, int, str, object]] = []
        self.count = self.lost = self.loads = 0
        self.draw = random.Random(1)
        self.running: dict[tuple[str, int], tuple[Job, float, int]] = {}
        self.down: set[int] = set()

    def run(self) -> float:
        """Return the seconds until everything is done."""
        for job in self.extracts:
            self.pools["extract"].add(job)
        for job in self.probes:
            if not job.waits:
                self.pools["probe"].add(job)
        if self.way.lost_every:
            self._at(self.draw.expovariate(1 / self.way.lost_every), "lose", None)
        left, now = len(self.extracts) + len(self.probes), 0.0
        self._hand_out(now)
        while left:
            now, _, what, data = heapq.heappop(self.events)
            if what == "end":
                left -= self._end(*data)  # type: ignore[misc]
            elif what == "lose":
                self._lose(now, self.draw.randrange(NODES))
            elif what == "back":
                self.down.discard(data)  # type: ignore[arg-type]
            else:
                self.pools[what].add(data)  # type: ignore[arg-type]
            self._hand_out(now)
        return now

    def _at(self, when: float, what: str, data: object) -> None:
        self.count += 1
        heapq.heappush(self.events, (when, self.count, what, data))

    def _hand_out(self, now: float) -> None:
        for kind, pool in self.pools.items():
            up = [worker for worker in pool.free if worker // pool.per_node not in self.down]
            for worker in up:
                if not len(pool):
                    break
                pool.free.remove(worker)
                job = pool.take(worker, self.features)
                seconds = self._overhead(kind, pool, worker, job) + job.seconds
                self.count += 1
                self.running[kind, worker] = (job, now, self.count)
                self._at(now + seconds, "end", (kind, worker, self.count))

    def _overhead(self, kind: str, pool: Pool, worker: int, job: Job) -> float:
        """Return what a job costs beside its work: the process, the model, features that lie elsewhere."""
        node, network = worker // pool.per_node, NETWORKS[self.models[job.model]]
        start = COSTS["start_seconds"] if not self.way.keeps or pool.held[worker] is None else 0.0
        if kind == "probe":
            pool.held[worker] = job.model
            return start + (0.0 if job.model in self.features[node] else job.read / (STORAGE / pool.per_node))
        fresh = not self.way.keeps or pool.held[worker] != job.model
        pool.held[worker] = job.model
        self.loads += fresh
        self.features[node].add(job.model)
        return start + fresh * (network["load_seconds"] + network["weights_mb"] * 1e6 / (STORAGE / pool.per_node))

    def _end(self, kind: str, worker: int, ticket: int) -> int:
        """Take note of a job's end, unless it was lost before; return how many have ended."""
        if (kind, worker) not in self.running or self.running[kind, worker][2] != ticket:
            return 0
        job, _, _ = self.running.pop((kind, worker))
        self.pools[kind].free.append(worker)
        if kind == "extract":
            probe = self.asked[job.model, job.task]
            probe.waits -= 1
            if not probe.waits:
                self.pools["probe"].add(probe)
        return 1

    def _lose(self, now: float, node: int) -> None:
        self.down.add(node)
        self.features[node].clear()
        self._at(now + 600, "back", node)
        self._at(now + self.draw.expovariate(1 / self.way.lost_every), "lose", None)
        for kind, worker in [key for key in self.running if key[1] // self.pools[key[0]].per_node == node]:
            job, since, _ = self.running.pop((kind, worker))
            self.lost += 1
            kept = max(0.0, now - since - BLOCK) if kind == "extract" and self.way.blocks else 0.0
            job.seconds -= min(kept, 0.95 * job.seconds)
            self._at(now + self.way.delay, kind, job)
            self.pools[kind].free.append(worker)
            self.pools[kind].held[worker] = None


HOUR = 3600.0
WAYS = {
    "shards of 50,000, workers stay": Way(),
    "no shards": Way(shard=0),
    "shards of 200,000": Way(shard=200_000),
    "shards of 10,000": Way(shard=10_000),
    "a process per job": Way(keeps=False),
    "a process per job, no shards": Way(keeps=False, shard=0),
    "a process per job, shards of 10,000": Way(keeps=False, shard=10_000),
    "near: model and features at hand": Way(near=True),
    "near, shards of 10,000": Way(near=True, shard=10_000),
    "long probes not first": Way(first=False),
    "long probes not first, near": Way(first=False, near=True),
    "a node lost every day": Way(lost_every=24 * HOUR),
    "a node lost every 2 hours": Way(lost_every=2 * HOUR),
    "  and begun again after 120 s": Way(lost_every=2 * HOUR, delay=120),
    "  and its blocks lost": Way(lost_every=2 * HOUR, blocks=False),
    "  and its blocks lost, no shards": Way(lost_every=2 * HOUR, blocks=False, shard=0),
    "  and its blocks lost, shards of 10,000": Way(lost_every=2 * HOUR, blocks=False, shard=10_000),
    "GPUs of 200 cores": Way(speed=200),
    "GPUs of 3,000 cores": Way(speed=3000),
    "GPUs of 3,000 cores, near": Way(speed=3000, near=True),
}


def main() -> None:
    extracts, probes, models = work(Way())
    kinds = {name: models.count(name) for name in NETWORKS}
    print(f"# {MODELS} models ({', '.join(f'{n} {name}' for name, n in kinds.items())}) x {TASKS} tasks, {GPUS} GPUs")
    print(f"# {len(extracts)} shards of up to 50,000 images, {len(probes)} probe jobs")
    for fits in (False, True):
        print(f"\n{'knn and logistic_regression' if fits else 'knn alone'}; bound: {_bounds(Way(fits=fits))}")
        print(f"{'':<40} {'bound':>8} {'makespan':>9} {'of bound':>9} {'model loads':>12} {'jobs lost':>10}")
        for name, way in WAYS.items():
            cluster = Cluster(dataclasses.replace(way, fits=fits))
            least = max(bounds(cluster.extracts, cluster.probes).values())
            whole = cluster.run()
            row = (
                f"{least / HOUR:7.2f}h {whole / HOUR:8.2f}h {whole / least:9.3f} {cluster.loads:12d} {cluster.lost:10d}"
            )
            print(f"{name:<40} {row}", flush=True)


def _bounds(way: Way) -> str:
    found = bounds(*work(way)[:2])
    return ", ".join(f"{reason} {seconds / HOUR:.2f} h" for reason, seconds in found.items())


if __name__ == "__main__":
    main()
