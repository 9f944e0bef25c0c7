"""Foreign checkpoint files: read without executing anything, and renamed by one rule file per family.

`reading.py` opens a file, `keys.py` picks and fits tensors, `families.py` finds a family by its module's name; every
other module here is a family, in the shape that `families.Family` describes.
"""
