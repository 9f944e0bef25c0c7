"""Torch modules that are trained on maps of frozen features, one published head per module."""
