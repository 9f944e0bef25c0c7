"""Which images a page may show: those whose licence is known to allow it, by name; any other licence does not."""

from __future__ import annotations

import re

ALLOWED = re.compile(
    r"MIT|BSD|BSD-[234]-CLAUSE|APACHE-2\.0|CC0|CC0-1\.0|CC-BY-(1\.0|2\.0|2\.5|3\.0|4\.0)|PDDL-1\.0|ODC-BY-1\.0|PUBLIC-DOMAIN"
)
"""Names as in the SPDX list, in capitals. Share-alike and non-commercial licences put conditions on the page as a whole
or on its use, and are left out; so is whatever names several licences, or says no more than "for research"."""


def allows_showing(licence: str) -> bool:
    """Return whether images under a licence, as a task's card names it, may be shown on a page that tells their source:
    True for "CC BY 4.0", False for "CC BY-NC 4.0" and "none stated"."""
    return bool(ALLOWED.fullmatch(re.sub(r"[\s_-]+", "-", licence.strip().upper())))
