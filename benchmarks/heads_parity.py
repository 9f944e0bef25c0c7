"""Train our heads and the authors' own code on the same batches from the same weights, and compare what they become.

    python -m benchmarks.heads_parity FOLDER

FOLDER holds clones of facebookresearch's dinov2, mae and capi. Only the functions and classes named below are taken
from their files, so that none of their packages need be installed. The features are real: scikit-learn's digits.
"""

from __future__ import annotations

import argparse
import ast
import math
import types
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

from ssl_bench.protocols.attentive_probe import Protocol as Attentive
from ssl_bench.protocols.linear_mae import NormalisedHead
from ssl_bench.protocols.linear_mae import Protocol as Mae
from ssl_bench.protocols.linear_sweep import RATES
from ssl_bench.solvers.adamw import AdamW
from ssl_bench.solvers.attentive_heads import AttentiveHeads
from ssl_bench.solvers.lars import Lars
from ssl_bench.solvers.linear_heads import LinearHeads

STEPS, BATCH, CLASSES = 500, 128, 10


def taken(path: Path, names: set[str], **given: Any) -> types.SimpleNamespace:
    """Return some of the top-level definitions of an authors' file, run with torch and what is `given`."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    chosen = [node for node in tree.body if getattr(node, "name", "") in names]
    space: dict[str, Any] = {"torch": torch, "nn": nn, "F": F, "math": math, **given}
    exec(compile(ast.Module(chosen, []), str(path), "exec"), space)  # noqa: S102 - running the authors' code is the point
    return types.SimpleNamespace(**{name: space[name] for name in names})


def batches() -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Return the batches: pixels (batch, 64) of 0 … 1 and labels."""
    x, y = load_digits(return_X_y=True)
    draw = np.random.default_rng(0)
    rows = [draw.integers(0, len(y), BATCH) for _ in range(STEPS)]
    return [(torch.tensor(x[row] / 16, dtype=torch.float32), torch.tensor(y[row])) for row in rows]


def largest(*pairs: tuple[torch.Tensor, torch.Tensor]) -> float:
    """Return the largest absolute difference of several pairs."""
    return max(float((one - other).detach().abs().max()) for one, other in pairs)


def sweep(folder: Path) -> float:
    """DINOv2's classifiers, its scaled rates, torch's SGD and cosine: 13 heads on one feature."""
    names = {"create_linear_input", "LinearClassifier", "AllClassifiers", "scale_lr"}
    world = types.SimpleNamespace(get_global_size=lambda: 1)
    theirs = taken(folder / "dinov2/dinov2/eval/linear.py", names, distributed=world)
    made = {str(i): theirs.LinearClassifier(64, 1, False, CLASSES) for i in range(len(RATES))}
    every = theirs.AllClassifiers(made)
    scaled = [theirs.scale_lr(rate, BATCH) for rate in RATES]
    ours = LinearHeads(
        64, CLASSES, scaled, momentum=0.9, deviation=0.01, generator=torch.Generator().manual_seed(0), device="cpu"
    )
    for i, one in enumerate(made.values()):
        one.linear.weight.data.copy_(ours.weights[:, i].T)
    groups = [{"params": one.parameters(), "lr": lr} for one, lr in zip(made.values(), scaled, strict=True)]
    optimizer = torch.optim.SGD(groups, momentum=0.9, weight_decay=0)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS, eta_min=0)
    for step, (x, y) in enumerate(batches()):
        outputs = every([(x[:, None], x)])
        loss = sum(nn.CrossEntropyLoss()(one, y) for one in outputs.values())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        scheduler.step()
        ours.step(x, y, (1 + math.cos(math.pi * step / STEPS)) / 2)
    return largest(
        *((ours.weights[:, i].T, one.linear.weight) for i, one in enumerate(made.values())),
        *((ours.biases[i], one.linear.bias) for i, one in enumerate(made.values())),
    )


def mae(folder: Path) -> float:
    """MAE's LARS and schedule on a BatchNorm1d and a Linear, at the rate 6.4, 10 steps per epoch."""
    lars = taken(folder / "mae/util/lars.py", {"LARS"}).LARS
    adjust = taken(folder / "mae/util/lr_sched.py", {"adjust_learning_rate"}).adjust_learning_rate
    head = nn.Sequential(nn.BatchNorm1d(64, affine=False, eps=1e-6), nn.Linear(64, CLASSES))
    weights = torch.randn(64, CLASSES, generator=torch.Generator().manual_seed(0)) * 0.01
    biases = torch.zeros(CLASSES)
    head[1].weight.data.copy_(weights.T)
    head[1].bias.data.zero_()
    ours = NormalisedHead(weights, biases, Lars((weights, biases)))
    recipe = Mae(epochs=STEPS // 10, warmup=10)
    arguments = types.SimpleNamespace(lr=6.4, min_lr=0.0, warmup_epochs=10, epochs=STEPS // 10)
    optimizer = lars(head.parameters(), lr=6.4, weight_decay=0)
    for step, (x, y) in enumerate(batches()):
        adjust(optimizer, step / 10, arguments)
        optimizer.zero_grad()
        nn.CrossEntropyLoss()(head(x), y).backward()
        optimizer.step()
        ours.step(x, y, 6.4 * recipe.share(step / 10))
    return largest((weights.T, head[1].weight), (biases, head[1].bias), (ours.mean, head[0].running_mean))


def attentive(folder: Path) -> tuple[float, float]:
    """CAPI's attention pool: logits of equal weights, and those after 100 steps of AdamW at the rates 1e-3 and 1e-2."""
    pool = taken(folder / "capi/eval_classification.py", {"AttnPoolClassifier"}, Tensor=torch.Tensor).AttnPoolClassifier
    rates, decays = (1e-3, 1e-2), (5e-4, 5e-2)
    ours = AttentiveHeads(128, CLASSES, 2, generator=torch.Generator().manual_seed(0), device="cpu")
    made = [pool(128, CLASSES) for _ in rates]
    for i, one in enumerate(made):
        one.query_token.data.copy_(ours.query[i].detach())
        one.kv.weight.data.copy_(torch.cat([ours.keys[i], ours.values[i]]).detach())
        one.linear.weight.data.copy_(ours.weights[i].detach())
    lift = torch.randn(8, 128, generator=torch.Generator().manual_seed(1))
    rows = [(x.view(BATCH, 8, 8) @ lift, y) for x, y in batches()[:100]]  # (batch, tokens, dim)
    start = largest((ours.logits(rows[0][0]), torch.stack([one(rows[0][0]) for one in made], 1)))
    groups = [
        {"params": value, "base_lr": rate, "weight_decay": 0.0 if "bias" in name else decay}
        for one, rate, decay in zip(made, rates, decays, strict=True)
        for name, value in one.named_parameters()
    ]
    optimizer = torch.optim.AdamW(groups, lr=0.0, weight_decay=0.0, betas=(0.9, 0.95))
    warmup, decay = np.linspace(0, 1, 10), (np.cos(np.linspace(0, np.pi, 90)) + 1) / 2
    schedule = np.concatenate([warmup, decay])
    recipe = Attentive(iterations=100, warmup=10, batch=BATCH)
    applied = [torch.tensor(decays)] * 4 + [torch.zeros(2)] * 2
    solver = AdamW(ours.parameters, applied, torch.tensor(rates), betas=(0.9, 0.95))
    for step, (x, y) in enumerate(rows):
        for group in optimizer.param_groups:
            group["lr"] = schedule[step] * group["base_lr"]
        said = torch.stack([one(x) for one in made], dim=-1)
        optimizer.zero_grad()
        F.cross_entropy(said, y.unsqueeze(-1).expand(-1, 2)).backward()
        optimizer.step()
        torch.autograd.backward(recipe.loss(ours, x, y))
        solver.step(recipe.share(step))
    end = largest((ours.logits(rows[0][0]), torch.stack([one(rows[0][0]) for one in made], 1)))
    return start, end


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    torch.manual_seed(0)
    print(f"torch {torch.__version__}, digits, batches of {BATCH}; largest absolute differences")
    print(f"linear_sweep    weights of 13 heads after {STEPS} steps   {sweep(folder):.1e}")
    print(f"linear_mae      weights and means after {STEPS} steps     {mae(folder):.1e}")
    start, end = attentive(folder)
    print(f"attentive_probe logits of equal weights           {start:.1e}")
    print(f"attentive_probe logits after 100 steps of AdamW   {end:.1e}")


if __name__ == "__main__":
    main()
