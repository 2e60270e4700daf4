"""Writes every report dialect for the sample documents into a folder, for eyes and browsers.

python scripts/render_samples.py FOLDER
"""

from __future__ import annotations

import sys
from pathlib import Path

from qalita_action import report
from qalita_action.model import ReportOptions


def main(folder: Path) -> None:
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
    import report_samples as samples

    failing, broken = samples.failing(), samples.broken_model()
    cases = {
        "failing": ([failing], samples.gate(failing), [samples.receipt(failing)]),
        "passing": ([samples.passing()], samples.verdict("passed"), [samples.receipt(samples.passing())]),
        "broken": (
            [broken],
            samples.gate(broken),
            [samples.receipt(broken, "not-delivered", **samples.NOT_DELIVERED)],
        ),
        "selected": ([samples.selected()], samples.verdict("passed"), []),
        "nothing": ([samples.nothing_tested()], samples.verdict("nothing-tested", blocks=True), []),
        "monorepo": ([failing, samples.passing()], samples.gate(failing), [samples.receipt(failing)]),
        "large": ([samples.large()], samples.gate(samples.large()), []),
    }
    for name, (ingests, verdict, receipts) in cases.items():
        options = ReportOptions(
            provider="github",
            is_change=True,
            workspace=str(folder),
            directory=name,
            summary_path=str(folder / name / "summary.md"),
        )
        (folder / name).mkdir(parents=True, exist_ok=True)
        (folder / name / "summary.md").unlink(missing_ok=True)
        rendered = report.render(ingests, verdict, receipts, options)
        with (folder / name / "console.txt").open("w", encoding="utf-8") as stream:
            report.write(rendered, options, stream)
        print(folder / name)


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "report-samples").resolve())
