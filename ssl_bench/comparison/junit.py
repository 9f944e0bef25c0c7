"""A comparison as JUnit XML: a case per task and per mean, for the test views of CI systems."""

from __future__ import annotations

from xml.etree import ElementTree

from ssl_bench.comparison import words
from ssl_bench.comparison.verdicts import Comparison, SuiteResult, TaskResult
from ssl_bench.errors import EXIT_INCONCLUSIVE


def junit(found: Comparison) -> str:
    """Return the XML: regressed is a failure, incomparable an error, inconclusive skipped, or a failure under
    `--strict`."""
    strict = found.exit_code == EXIT_INCONCLUSIVE or found.on_inconclusive == "fail"
    suite = ElementTree.Element("testsuite", name=_clean(f"ssl-bench compare {found.suite}".strip()))
    for one in found.results:
        _case(suite, one, strict)
    for wrong in found.mismatches:
        case = ElementTree.SubElement(suite, "testcase", classname="comparable", name=_clean(wrong.where))
        ElementTree.SubElement(case, "error", message=_clean(str(wrong)), type="incomparable")
    for tag, attribute in (("failure", "failures"), ("error", "errors"), ("skipped", "skipped")):
        suite.set(attribute, str(len(suite.findall(f"testcase/{tag}"))))
    suite.set("tests", str(len(suite)))
    ElementTree.indent(suite)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(suite, encoding="unicode") + "\n"


def _case(suite: ElementTree.Element, one: TaskResult | SuiteResult, strict: bool) -> None:
    name = f"suite-mean: {words.suite_name(one)}" if isinstance(one, SuiteResult) else f"{one.name} · {one.protocol}"
    case = ElementTree.SubElement(suite, "testcase", classname=_clean(one.model), name=_clean(name))
    unit = words.points(one.unit)
    said = f"Δ {words.delta(one)} {unit}, p (Holm) {words.probability(one.p_holm)}, {words.verdict(one)}"
    if one.verdict == "regressed" or (strict and one.verdict == "inconclusive"):
        ElementTree.SubElement(case, "failure", message=_clean(said), type=one.verdict)
    elif one.verdict == "inconclusive":
        ElementTree.SubElement(case, "skipped", message=_clean(said))
    ElementTree.SubElement(case, "system-out").text = _clean(said)


def _clean(text: str) -> str:
    """Return text without the characters that XML cannot hold."""
    return "".join(char if char.isprintable() else " " for char in text)
