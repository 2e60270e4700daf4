"""The pages: every error has its anchor, every link its target, every example its syntax."""

from __future__ import annotations

import ast
import json
import re
import shlex
from pathlib import Path

import jsonschema
import pytest
import yaml

from qalita_action.errors import DOCS, ExitCode
from qalita_action.knobs import KNOBS
from qalita_action.settings import ENV_NAMES

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "qalita_action"
PAGES = sorted(
    [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").glob("*/*.md")],
)
CODE = re.compile(r"[a-z]+(-[a-z0-9]+)*")


def trees() -> dict[Path, ast.Module]:
    return {path: ast.parse(path.read_text("utf-8")) for path in sorted(PACKAGE.rglob("*.py"))}


def error_classes(modules: dict[Path, ast.Module]) -> set[str]:
    """Names of IngestError's subclasses, by reading class statements until nothing new is found."""
    classes = [n for tree in modules.values() for n in ast.walk(tree) if isinstance(n, ast.ClassDef)]
    names = {"IngestError"}
    while (
        more := {c.name for c in classes if {ast.unparse(b).split(".")[-1] for b in c.bases} & names} - names
    ):
        names |= more
    return names


def raised_codes() -> set[str]:
    """First arguments of every error that is made. Where it is no literal, the codes stand in a table of the same
    module: the first word of each tuple.
    """
    modules = trees()
    names = error_classes(modules)
    codes: set[str] = set()
    for path, tree in modules.items():
        if path.name == "errors.py":
            continue
        calls = [n for n in ast.walk(tree) if isinstance(n, ast.Call)]
        said = [k.value for call in calls for k in call.keywords if k.arg == "error_code"]  # a receipt's own
        codes |= {value.value for value in said if isinstance(value, ast.Constant) and value.value}
        for call in (call for call in calls if call.args):
            if ast.unparse(call.func).split(".")[-1] not in names:
                continue
            first = call.args[0]
            literals = [first.body, first.orelse] if isinstance(first, ast.IfExp) else [first]
            if all(isinstance(literal, ast.Constant) for literal in literals):
                codes |= {literal.value for literal in literals}
            elif ast.unparse(first) == "error.code":
                continue  # an error that is made again with more to say: its code stands where it was made
            else:
                found = {
                    t.elts[0].value
                    for t in ast.walk(tree)
                    if isinstance(t, ast.Tuple)
                    and len(t.elts) > 1
                    and isinstance(t.elts[0], ast.Constant)
                    and isinstance(t.elts[0].value, str)
                    and CODE.fullmatch(t.elts[0].value)
                    and "-" in t.elts[0].value
                }
                assert found, f"{path.name}:{call.lineno} makes an error whose code cannot be seen"
                codes |= found
    return codes


def test_every_code_that_is_raised_has_its_anchor_and_every_anchor_its_code():
    page = (ROOT / "docs/errors.md").read_text("utf-8")
    anchors = re.findall(r"^### ([a-z0-9-]+)$", page, re.MULTILINE)
    assert len(anchors) == len(set(anchors)) == page.count("\n### ")
    assert set(anchors) == raised_codes()


def test_the_codes_were_really_collected():
    """The collector above must not be the reason why nothing is missing."""
    codes = raised_codes()
    assert {"artifacts-not-found", "nothing-executed", "artifacts-stale", "token-expired", "timeout"} <= codes
    assert all(CODE.fullmatch(code) for code in codes)


def test_the_link_in_an_error_leads_to_the_page():
    assert DOCS.endswith("/blob/main/docs/errors.md")


@pytest.mark.parametrize("name", ["README.md", "docs/errors.md"])
def test_the_exit_codes_are_told(name):
    page = (ROOT / name).read_text("utf-8")
    told = {
        int(n) for row in re.findall(r"^\| (\d+(?:, \d+)*) \|", page, re.MULTILINE) for n in row.split(", ")
    }
    codes = {int(code) for code in ExitCode}
    signals = {int(ExitCode.INTERRUPTED), int(ExitCode.TERMINATED)}
    assert codes - signals <= told <= codes


# ---------------------------------------------------------------- links


def slug(heading: str) -> str:
    """GitHub's anchor of a heading."""
    words = re.sub(r"<[^>]+>", "", heading).lower()
    return re.sub(r"[^\w\- ]", "", words).strip().replace(" ", "-")


def anchors_of(path: Path) -> set[str]:
    page = re.sub(r"```.*?```", "", path.read_text("utf-8"), flags=re.DOTALL)
    headings = re.findall(r"^#+ (.+)$", page, re.MULTILINE)
    return {slug(h) for h in headings} | set(re.findall(r'<a id="([^"]+)">', page))


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_link_inside_the_repository_leads_somewhere(page):
    prose = re.sub(r"```.*?```|`[^`]*`", "", page.read_text("utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", prose):
        if "://" in target or target.startswith("mailto:"):
            continue
        name, _, anchor = target.partition("#")
        path = (page.parent / name).resolve() if name else page
        assert path.exists(), target
        assert not anchor or anchor in anchors_of(path), target


# ---------------------------------------------------------------- examples


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text("utf-8"), re.DOTALL | re.MULTILINE)


def test_the_first_workflow_needs_no_account_and_runs_after_a_red_build():
    workflow = yaml.safe_load(blocks(ROOT / "README.md", "yaml")[0])
    *_, dbt, ours = workflow["jobs"]["dbt"]["steps"]
    assert dbt == {"run": "dbt build", "id": "dbt", "continue-on-error": True}
    assert ours["uses"].startswith("qalita/dbt-ingest@")
    assert ours["if"] == "${{ !cancelled() }}"
    assert ours["with"] == {"dbt-outcome": "${{ steps.dbt.outcome }}", "publish": "never"}
    assert workflow["permissions"] == {"contents": "read", "pull-requests": "write"}


def test_the_lines_for_an_account_are_inputs():
    lines = yaml.safe_load(blocks(ROOT / "README.md", "yaml")[1])
    assert lines.keys() == {"endpoint", "token"}
    assert all("${{ " in value for value in lines.values())


def uses(value: object) -> list[dict]:
    """Every step that uses this Action, wherever it stands in a piece of YAML."""
    if isinstance(value, list):
        return [step for part in value for step in uses(part)]
    if not isinstance(value, dict):
        return []
    mine = [value] if str(value.get("uses", "")).startswith("qalita/dbt-ingest@") else []
    return mine + [step for part in value.values() for step in uses(part)]


def test_every_example_gives_inputs_that_exist():
    names = {name.replace("_", "-") for name in KNOBS}
    steps = [step for page in PAGES for block in blocks(page, "yaml") for step in uses(yaml.safe_load(block))]
    assert len(steps) > 3
    for step in steps:
        assert step["with"].keys() <= names


def test_the_settings_file_that_is_shown_fits_the_schema():
    shown = [b for page in PAGES for b in blocks(page, "yaml") if b.startswith("# qalita.yml")]
    schema = json.loads((ROOT / "docs/qalita.schema.json").read_text("utf-8"))
    assert shown
    for block in shown:
        jsonschema.validate(yaml.safe_load(block), schema)


def test_the_gitlab_example_extends_what_the_template_has():
    example = yaml.safe_load(blocks(ROOT / "README.md", "yaml")[2])
    template = yaml.safe_load((ROOT / "gitlab-ci-template.yml").read_text("utf-8"))
    assert example["dbt-build"]["extends"] in template
    assert example["include"][0]["remote"].endswith("/gitlab-ci-template.yml")


RECIPES = blocks(ROOT / "docs/recipes.md", "yaml")


def test_every_recipe_is_of_a_kind_that_make_files_completes_and_reads():
    kinds = {"# .gitlab-ci.yml": 0, "# qalita.yml": 0, "jobs": 0, "steps": 0}
    for block in RECIPES:
        content = yaml.safe_load(block)
        comment = block.split("\n")[0].split(",")[0]
        kind = comment if comment in kinds else "jobs" if "jobs" in content else "steps"
        assert kind != "steps" or {"uses", "run"} & content[0].keys(), block
        kinds[kind] += 1
    assert all(kinds.values())


def test_the_first_recipe_is_the_step_as_it_is_meant():
    dbt, ours = yaml.safe_load(RECIPES[0])
    assert dbt == {"run": "dbt build", "id": "dbt", "continue-on-error": True}
    assert ours["if"] == "${{ !cancelled() }}"
    assert ours["with"] == {"dbt-outcome": "${{ steps.dbt.outcome }}"}


def scripts(value: object) -> list[str]:
    """What the steps of a recipe run."""
    if isinstance(value, list):
        return [line for part in value for line in scripts(part)]
    if not isinstance(value, dict):
        return []
    own = [str(value["run"])] if "run" in value else []
    return own + [line for part in value.values() for line in scripts(part)]


def test_no_recipe_runs_after_it_was_cancelled_or_pastes_into_a_shell():
    found = [line for block in RECIPES for line in scripts(yaml.safe_load(block))]
    assert len(found) > 8
    assert not any("${{" in line for line in found)
    assert not any("if: always()" in block for block in RECIPES)


def test_the_gitlab_recipes_use_what_the_template_and_the_component_have():
    template = yaml.safe_load((ROOT / "gitlab-ci-template.yml").read_text("utf-8"))
    spec, jobs = yaml.safe_load_all((ROOT / "templates/dbt-ingest/template.yml").read_text("utf-8"))
    pipelines = [yaml.safe_load(b) for b in RECIPES if b.startswith("# .gitlab-ci.yml")]
    assert {key for p in pipelines for key in p["include"][0]} == {"remote", "component", "inputs"}
    for pipeline in pipelines:
        include = pipeline["include"][0]
        known = jobs if "component" in include else template
        assert include.get("inputs", {}).keys() <= spec["spec"]["inputs"].keys()
        assert pipeline["dbt-build"]["extends"] in known


TEMPLATES = sorted(
    path
    for path in (ROOT / "templates").rglob("*")
    if path.is_file() and not path.name.startswith(".") and path.parent.name != "dbt-ingest"
)


def test_a_template_that_was_not_executed_says_so_first_and_in_both_tables():
    support, readme = ((ROOT / name).read_text("utf-8") for name in ("docs/support.md", "README.md"))
    assert len(TEMPLATES) > 5
    for path in TEMPLATES:
        name = path.relative_to(ROOT).as_posix()
        assert path.read_text("utf-8").splitlines()[0].lstrip("#/ ").startswith("untested: "), name
        for page in (support, readme):
            (row,) = [line for line in page.splitlines() if line.startswith("|") and f"{name})" in line]
            assert "untested" in row


def test_no_template_but_the_component_can_be_taken_for_one():
    """GitLab takes each YAML file right under templates/, and each template.yml below it, for a component."""
    folder = ROOT / "templates"
    assert [p.name for p in folder.glob("*.yml") if not p.name.startswith(".")] == []
    assert [p.parent.name for p in folder.rglob("template.yml")] == ["dbt-ingest"]


def test_templates_name_no_variable_that_nothing_reads():
    known = {v for n in KNOBS for v in ENV_NAMES.get(n, ("QALITA_" + n.upper(),))}
    for path in [*TEMPLATES, ROOT / "docs/run-the-container.md"]:
        named = set(re.findall(r"\bQALITA_[A-Z_]+", path.read_text("utf-8")))
        assert named
        assert named <= known, path


def test_the_python_that_is_shown_is_python_and_says_what_was_tried():
    shown = blocks(ROOT / "docs/run-the-container.md", "python")
    assert len(shown) == 3
    for block in shown:
        ast.parse(block)
        assert block.startswith("# untested: ")


def test_the_commands_of_the_readme_use_flags_that_exist():
    flags = {"--" + name.replace("_", "-") for name in KNOBS}
    commands = [
        line[2:]
        for block in blocks(ROOT / "README.md", "console")
        for line in block.splitlines()
        if line[:2] == "$ "
    ]
    ours = [shlex.split(c) for c in commands if c.startswith("qalita")]
    assert ours
    for words in ours:
        assert {w for w in words if w.startswith("--")} <= flags


def test_the_dependencies_are_each_accounted_for():
    project = (ROOT / "pyproject.toml").read_text("utf-8")
    needed = project[project.index("\ndependencies = [") :].split("]", 1)[0]
    told = re.findall(
        r"^\| ([a-z-]+) \|", (ROOT / "docs/adr/0001-dependencies.md").read_text("utf-8"), re.MULTILINE
    )
    assert set(told) - {"package"} == set(re.findall(r'"([a-z-]+)[>=]', needed))
