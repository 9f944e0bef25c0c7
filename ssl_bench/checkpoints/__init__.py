"""Foreign checkpoint files: read without executing anything, and renamed by one rule file per family.

`reading.py` opens a file, with `stand_ins.py` for what lies pickled beside its tensors, `archives.py` for arrays and
`torchscript.py` for programs; `keys.py` picks and fits tensors, `families.py` finds a family by its module's name. The
networks that many families share are `vit.py`, `relative_vit.py` and `resnet.py`. Every other module here is a family,
in the shape that `families.Family` describes; the twentieth is written by copying the nearest, with a layout of its
files in `tests/checkpoints/test_published_families.py`.
"""
