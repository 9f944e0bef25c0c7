"""Foreign checkpoint files: read without executing anything, and renamed by one rule file per family.

`reading.py` opens a file, with `stand_ins.py` for what lies pickled beside its tensors, `archives.py` for arrays and
`torchscript.py` for programs; `keys.py` picks and fits tensors; `families/` holds one module per family and finds them
by name. The networks that many families share are `vit.py`, `clip_vit.py`, `flax_vit.py`, `relative_vit.py` and
`resnet.py`.
"""
