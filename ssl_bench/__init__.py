"""Standardized transfer evaluation of pretrained vision backbones."""

__version__ = "0.1.0"
