"""The one training loop: a network, its parameter groups, batches and resolved numbers in, a trained network out."""

from ssl_bench.training.base import Batches, Group, History, Loss, Mix, Settings
from ssl_bench.training.loop import train

__all__ = ["Batches", "Group", "History", "Loss", "Mix", "Settings", "train"]
