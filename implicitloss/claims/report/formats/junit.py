"""The report as JUnit XML, for continuous integration."""

from __future__ import annotations

from xml.etree import ElementTree

from implicitloss.claims.report import wording
from implicitloss.claims.report.run import Run
from implicitloss.claims.verdict import Outcome
from implicitloss.formats import plain

__all__ = ["to_junit"]

HELP = "write the report to FILE as JUnit XML too; with -, print it in place of the text"


def to_junit(report: Run) -> str:
    """One test suite: a test case a claim, and one a near miss, which passes where that was refuted."""
    root = ElementTree.Element("testsuites")
    suite = ElementTree.SubElement(root, "testsuite", name=plain(report.title), time=f"{report.seconds:.3f}")
    properties = ElementTree.SubElement(suite, "properties")
    for name, value in (wording.known(report) | {"family_error": wording.small(report.family_error)}).items():
        ElementTree.SubElement(properties, "property", name=name, value=value)
    kinds = {Outcome.REFUTED: "failure", Outcome.INCONCLUSIVE: "error"}
    for verdict in report.verdicts:
        module, _, name = plain(verdict.id).rpartition(".")
        said = f"{wording.label(verdict.outcome.value)}: {plain(verdict.statement)}"
        cases = [(name, verdict.seconds, kinds.get(verdict.outcome), said, verdict.evidence)]
        for k, miss in enumerate(verdict.near_misses, 1):
            statement = plain(miss.statement)
            kind = None if miss.outcome is Outcome.REFUTED else "failure"
            said = f"{wording.miss_label(miss.outcome)}: {statement}"
            # The claim's time includes that of its near misses.
            cases.append((f"{name} near miss {k}: {statement}", 0.0, kind, said, miss.evidence))
        for title, seconds, kind, said, evidence in cases:
            about = {"classname": module or name, "name": title, "time": f"{seconds:.3f}"}
            test = ElementTree.SubElement(suite, "testcase", about)
            shown = ElementTree.SubElement(test, kind or "system-out", {"message": said} if kind else {})
            rerun = f"rerun: {plain(report.command(verdict))}"
            shown.text = "\n".join([said, *map(wording.sentence, evidence), rerun])
    for name, tag in (("tests", "testcase"), ("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        suite.set(name, str(len(suite.findall(f".//{tag}"))))
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"
