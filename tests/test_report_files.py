"""Where reports go: streams, files, GitHub's file commands, and what happens when one of them cannot be written."""

from __future__ import annotations

import io
import json
import os

import pytest
import report_samples as samples

from qalita_action import report
from qalita_action.model import ReportOptions
from qalita_action.report.files import file_commands, output_path


def options(tmp_path, **more) -> ReportOptions:
    return ReportOptions(workspace=str(tmp_path), **more)


def render(options: ReportOptions):
    document = samples.failing()
    return report.render([document], samples.gate(document), [samples.receipt(document)], options)


def read_outputs(text: str) -> dict[str, str]:
    """GITHUB_OUTPUT as the runner reads it: `k<<D`, lines until a line that is D."""
    lines, found = iter(text.split("\n")), {}
    for line in lines:
        if "<<" in line:
            key, _, delimiter = line.partition("<<")
            value = []
            for inner in lines:
                if inner == delimiter:
                    break
                value.append(inner)
            else:
                raise AssertionError(f"no end of {key}")
            found[key] = "\n".join(value)
        else:
            assert line == ""
    return found


def test_everything_is_written(tmp_path):
    wanted = options(
        tmp_path,
        provider="github",
        is_change=True,
        summary_path=str(tmp_path / "summary"),
        outputs_path=str(tmp_path / "out"),
    )
    rendered, stdout = render(wanted), io.StringIO()
    report.write(rendered, wanted, stdout, io.StringIO())
    assert (
        json.loads((tmp_path / "qalita-report" / "ingest.json").read_text(encoding="utf-8"))["schemaVersion"]
        == "1"
    )
    assert (tmp_path / "qalita-report" / "report.html").read_bytes() == rendered.files["report.html"]
    assert sorted(p.name for p in (tmp_path / "qalita-report").iterdir()) == [
        "annotations.json",
        "codequality.json",
        "ingest.json",
        "junit.xml",
        "qalita.env",
        "report.html",
        "summary.md",
    ]
    assert (tmp_path / "summary").read_text(encoding="utf-8") == rendered.summary
    assert stdout.getvalue() == rendered.console + "".join(f"{c}\n" for c in rendered.commands)
    outputs = read_outputs((tmp_path / "out").read_text(encoding="utf-8"))
    assert outputs == rendered.outputs
    assert outputs["report-html"] == "qalita-report/report.html"


def test_json_leaves_stdout_to_the_document(tmp_path):
    wanted = options(tmp_path, output="json", provider="github", is_change=True)
    documents = [samples.failing(), samples.passing()]
    rendered = report.render(documents, samples.gate(documents[0]), [], wanted)
    stdout, stderr = io.StringIO(), io.StringIO()
    report.write(rendered, wanted, stdout, stderr)
    assert [json.loads(line)["source"]["environment"] for line in stdout.getvalue().splitlines()] == [
        "ci",
        "prod",
    ]
    assert "2 projects" in stderr.getvalue()
    assert "::error" in stderr.getvalue()


def test_a_report_that_cannot_be_written_is_told_and_named_nowhere(tmp_path):
    (tmp_path / "qalita-report").write_text("a file stands where the folder should be")
    wanted = options(
        tmp_path, outputs_path=str(tmp_path / "out"), summary_path=str(tmp_path / "no" / "summary")
    )
    stdout = io.StringIO()
    report.write(render(wanted), wanted, stdout, io.StringIO())
    told = stdout.getvalue()
    assert "report.html was not written" in told
    assert "ingest.json was not written" in told
    assert "the job summary was not written" in told
    outputs = read_outputs((tmp_path / "out").read_text(encoding="utf-8"))
    assert (outputs["report"], outputs["report-html"], outputs["verdict"]) == ("", "", "failed")


def test_file_commands_are_appended_on_a_line_of_their_own(tmp_path):
    out, summary = tmp_path / "out", tmp_path / "summary"
    out.write_text("earlier=1")
    summary.write_text("# earlier")
    wanted = options(tmp_path, outputs_path=str(out), summary_path=str(summary))
    report.write(render(wanted), wanted, io.StringIO(), io.StringIO())
    assert out.read_text(encoding="utf-8").startswith("earlier=1\nverdict<<")
    assert out.read_text(encoding="utf-8").endswith("\n")
    assert summary.read_text(encoding="utf-8").startswith("# earlier\n## ❌")


def test_no_value_closes_its_own_entry():
    first, second = file_commands({"a": "x\nEOF\nb<<EOF\ny"}), file_commands({"a": "x"})
    assert read_outputs(first) == {"a": "x\nEOF\nb<<EOF\ny"}
    assert first.split("\n")[0] != second.split("\n")[0]


@pytest.mark.parametrize("already", [0, 1, 400_000, 1024 * 1024 - 3000, 1024 * 1024 - 2, 1024 * 1024])
def test_the_summary_of_the_step_never_passes_one_mebibyte(tmp_path, already):
    path = tmp_path / "summary"
    path.write_bytes(b"x" * already)
    wanted = options(tmp_path, summary_path=str(path))
    document = samples.large(2500, 2500)
    report.write(
        report.render([document], samples.gate(document), [], wanted), wanted, io.StringIO(), io.StringIO()
    )
    content = path.read_bytes()
    assert len(content) <= 1024 * 1024
    assert content.startswith(b"x" * already)
    content.decode("utf-8")
    if already < 1024 * 1024 - 2:
        assert "2,500 of 2,500 checks failed" in content.decode()


def test_a_summary_that_filled_up_meanwhile_is_left_alone(tmp_path):
    path = tmp_path / "summary"
    wanted = options(tmp_path, summary_path=str(path))
    rendered, stdout = render(wanted), io.StringIO()
    path.write_bytes(b"x" * (1024 * 1024))
    report.write(rendered, wanted, stdout, io.StringIO())
    assert path.stat().st_size == 1024 * 1024
    assert "the job summary was not written" in stdout.getvalue()


def test_a_console_of_another_encoding_gets_what_it_can_show(tmp_path):
    raw = io.BytesIO()
    stdout = io.TextIOWrapper(raw, encoding="ascii")
    report.write(render(options(tmp_path)), options(tmp_path), stdout, io.StringIO())
    assert b"3 of 24 checks failed" in raw.getvalue()


def test_a_link_put_there_by_a_change_request_is_replaced_not_followed(tmp_path):
    target = tmp_path / "elsewhere"
    target.write_text("precious")
    (tmp_path / "qalita-report").mkdir()
    (tmp_path / "qalita-report" / "report.html").symlink_to(target)
    report.write(render(options(tmp_path)), options(tmp_path), io.StringIO(), io.StringIO())
    assert target.read_text() == "precious"
    assert not (tmp_path / "qalita-report" / "report.html").is_symlink()


def test_files_belong_to_the_owner_of_the_workspace(tmp_path):
    if os.geteuid() == 0:
        os.chown(tmp_path, 1234, 2345)
    report.write(
        render(options(tmp_path, directory="a/b")),
        options(tmp_path, directory="a/b"),
        io.StringIO(),
        io.StringIO(),
    )
    owner = (tmp_path.stat().st_uid, tmp_path.stat().st_gid)
    for path in (tmp_path / "a", tmp_path / "a" / "b", tmp_path / "a" / "b" / "report.html"):
        assert (path.stat().st_uid, path.stat().st_gid) == owner


def test_outputs_name_files_as_later_steps_find_them(tmp_path):
    assert output_path(options(tmp_path), "x") == "qalita-report/x"
    assert output_path(options(tmp_path, directory=str(tmp_path / "deep")), "x") == "deep/x"
    assert output_path(options(tmp_path / "w", directory=str(tmp_path / "else")), "x") == str(
        tmp_path / "else" / "x"
    )
    assert output_path(ReportOptions(), "x") == "qalita-report/x"
