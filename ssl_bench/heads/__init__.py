"""Torch modules that are trained on maps of an image, one published head per module."""
