"""The page of docs/ is held to the table and to the cases: `--update-golden` writes its block anew."""

import json
from pathlib import Path

from qalita_action.ci.providers import PROVIDERS

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "ci-context.md"
CASES = ROOT / "tests" / "fixtures" / "ci"
BEGIN = "<!-- <systems: written by tests/test_ci_docs.py --update-golden> -->\n"
END = "<!-- </systems> -->\n"


def block() -> str:
    lines = ["", "| system | cases | published values | unverified |", "|---|---|---|---|"]
    without = []
    for row in PROVIDERS:
        cases = [
            json.loads(path.read_text(encoding="utf-8")) for path in sorted((CASES / row.name).glob("*.json"))
        ]
        published = [case for case in cases if case.get("values") == "published"]
        without += [] if published else [row.title]
        doubts = ", ".join(
            doubt if " " in doubt or "`" in doubt else f"`{doubt}`" for doubt in row.unverified
        )
        shown = str(len(published)) if published else "none: unverified"
        lines.append(f"| [{row.title}]({row.docs}) | {len(cases)} | {shown} | {doubts or '–'} |")
    known = len(PROVIDERS) - len(without)
    lines += [
        "",
        f"{known} of {len(PROVIDERS)} systems have a case with published values; without: {', '.join(without)}.",
    ]
    return "\n".join([*lines, "", ""])


def test_the_page_counts_what_is_there(update_golden):
    head, begin, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    written, end, tail = rest.partition(END)
    assert begin
    assert end
    if update_golden:
        PAGE.write_text(head + begin + block() + end + tail, encoding="utf-8")
        written = block()
    assert written == block(), "python -m pytest tests/test_ci_docs.py --update-golden"


def test_every_system_of_the_table_is_on_the_page_in_its_order():
    page = PAGE.read_text(encoding="utf-8")
    places = [page.index(f"| [{row.title}](") for row in PROVIDERS]
    assert places == sorted(places)
