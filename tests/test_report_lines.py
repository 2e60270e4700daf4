"""The line that a person would point at. Each YAML marks it itself: `# <- here`; none marked: the file alone."""

from __future__ import annotations

import json
import re
from pathlib import Path

import msgspec
import pytest
import report_samples as samples
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from test_report_hostile import TEXTS, ids

from qalita_action import report
from qalita_action.model import ReportOptions, Result, to_json
from qalita_action.report.build import build
from qalita_action.report.files import MOST_FILE_BYTES, Repository
from qalita_action.report.lines import locate

MARK = "# <- here"
P = samples.PROJECT


def check(
    dataset,
    kind="not_null",
    *,
    column="id",
    name="made",
    package=None,
    arguments=None,
    of="data_test",
    key=None,
):
    made = samples.check(name, dataset=dataset, kind=of, of=kind, column=column)
    return msgspec.structs.replace(
        made, key=key or made.key, namespace=package, arguments=arguments or {}, path="m/s.yml"
    )


def model(called="orders", /, **more):
    return check(f"model.{P}.{called}", **more)


def source(called="shop.raw", /, **more):
    return check(f"source.{P}.{called}", **more)


def lines_of(tmp_path: Path, files: dict[str, bytes], *checks, datasets=(), folder="", causes=()):
    for name, content in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    results = [Result(check=c.key, status="failed", failures=1) for c in checks]
    document = samples.ingest(list(datasets), list(checks), results, causes)
    return locate(document, folder, Repository(str(tmp_path)))


def marked(text: str) -> int | None:
    found = [number for number, line in enumerate(text.split("\n"), 1) if MARK in line]
    assert len(found) < 2
    return found[0] if found else None


SHAPES: dict[str, tuple[object, str]] = {
    "a plain test of a column": (
        model(),
        """
models:
  - name: customers
    columns:
      - name: id
        data_tests: [not_null]
  - name: orders
    columns:
      - name: other
        data_tests:
          - not_null
      - name: id
        data_tests:
          - unique
          - not_null  # <- here
""",
    ),
    "`tests`, the older word": (
        model(),
        """
models:
  - name: orders
    columns:
      - name: id
        tests:
        - not_null  # <- here
""",
    ),
    "both words on one column": (
        model(),
        """
models:
  - name: orders
    columns:
      - name: id
        tests:
        - unique
        data_tests:
        - not_null  # <- here
""",
    ),
    "a seed, not the model of that name": (
        check(f"seed.{P}.orders"),
        """
models:
  - name: orders
    columns: [{name: id, data_tests: [not_null]}]
seeds:
  - name: orders
    columns:
      - name: id
        data_tests: [not_null]  # <- here
""",
    ),
    "a snapshot": (
        check(f"snapshot.{P}.orders"),
        """
snapshots:
  - name: orders
    columns:
      - name: id
        data_tests:
          - not_null:  # <- here
              config: {severity: warn}
""",
    ),
    "a source's table, not another source's": (
        source(),
        """
sources:
  - name: bank
    tables:
      - name: raw
        columns:
          - name: id
            data_tests: [not_null]
  - name: shop
    tables:
      - name: raw
        columns:
          - name: id
            data_tests:
              - not_null  # <- here
""",
    ),
    "a table's own test": (
        model(kind="row_count", column=None),
        """
models:
  - name: orders
    columns:
      - name: id
        data_tests:
          - row_count
    data_tests:
      - row_count:  # <- here
          arguments: {above: 1}
""",
    ),
    "a source table's own test": (
        source(kind="row_count", column=None),
        """
sources:
  - name: shop
    tables:
      - name: raw
        data_tests:
          - row_count  # <- here
""",
    ),
    "a test of a package": (
        model(kind="unique_combination_of_columns", package="dbt_utils", column=None),
        """
models:
  - name: orders
    data_tests:
      - dbt_constraints.unique_combination_of_columns:
          arguments: {columns: [a, b]}
      - dbt_utils.unique_combination_of_columns:  # <- here
          arguments:
            columns: [a, b]
""",
    ),
    "a custom name inside": (
        model(name="id_is_there"),
        """
models:
  - name: orders
    columns:
      - name: id
        data_tests:
          - not_null
          - not_null:  # <- here
              name: id_is_there
              config: {where: "x > 1"}
""",
    ),
    "beside a custom name": (
        model(name="not_null_orders_id"),
        """
models:
  - name: orders
    columns:
      - name: id
        data_tests:
          - not_null:
              name: id_is_there
          - not_null  # <- here
""",
    ),
    "a custom name with `test_name`": (
        model(name="id_is_there"),
        """
models:
  - name: orders
    columns:
      - name: id
        data_tests:
          - name: id_is_elsewhere
            test_name: not_null
          - name: id_is_there  # <- here
            test_name: not_null
            config:
              severity: warn
""",
    ),
    "twice, told apart by the name that dbt makes": (
        model(kind="accepted_values", column="state", name="accepted_values_orders_state__b___c"),
        """
models:
  - name: orders
    columns:
      - name: state
        data_tests:
          - accepted_values:
              arguments: {values: [a]}
          - accepted_values:  # <- here
              arguments:
                values: ["b", "-c"]
""",
    ),
    "twice, arguments without `arguments:`": (
        model(kind="between", column="n", name="between_orders_n__9__1"),
        """
models:
  - name: orders
    columns:
      - name: n
        tests:
          - between: {min: 0, max: 9}
          - between:  # <- here
              min: 1
              max: 9
              severity: warn
""".replace("between_orders_n__9__1", ""),
    ),
    "twice, told apart by numbers that the document tells": (
        model(kind="between", column="n", name="renamed_by_a_future_dbt", arguments={"min": 1}),
        """
models:
  - name: orders
    columns:
      - name: n
        tests:
          - between: {min: 0}
          - between: {min: 1}  # <- here
""",
    ),
    "twice, told apart by how many literals there are": (
        model(kind="accepted_values", name="renamed", arguments={"values": {"literals": 3}}),
        """
models:
  - name: orders
    columns:
      - name: id
        tests:
          - accepted_values: {values: [a, b]}
          - accepted_values: {values: [a, b, c]}  # <- here
""",
    ),
    "twice, and nobody can tell: the column": (
        model(kind="accepted_values", name="renamed", arguments={"values": {"literals": 2}}),
        """
models:
  - name: orders
    columns:
      - name: id  # <- here
        tests:
          - accepted_values: {values: [a, b]}
          - accepted_values: {values: [c, d]}
""",
    ),
    "twice on the table, and nobody can tell: the table": (
        model(kind="compare", name="renamed", column=None, arguments={"to": {"literals": 1}}),
        """
models:
  - name: orders  # <- here
    tests:
      - compare: {to: a}
      - compare: {to: b}
""",
    ),
    "a source's test, told by its made name": (
        source(kind="accepted_values", name="source_accepted_values_shop_raw_id__y"),
        """
sources:
  - name: shop
    tables:
      - name: raw
        columns:
          - name: id
            tests:
              - accepted_values: {values: [x]}
              - accepted_values: {values: [y]}  # <- here
""",
    ),
    "a test of the table that names its column": (
        model(kind="not_null"),
        """
models:
  - name: orders
    tests:
      - not_null: {column_name: other}
      - not_null: {column_name: id}  # <- here
""",
    ),
    "a version's own column": (
        model("orders.v2"),
        """
models:
  - name: orders
    columns:
      - name: id
        data_tests: [unique]
    versions:
      - v: 1
        columns:
          - include: all
          - name: id
            data_tests: [not_null]
      - v: 2
        columns:
          - include: all
            exclude: [id]
          - name: id
            data_tests:
              - not_null  # <- here
""",
    ),
    "a version that takes the model's columns over": (
        model("orders.v2"),
        """
models:
  - name: orders
    columns:
      - name: id
        data_tests:
          - not_null  # <- here
    versions:
      - v: 1
      - v: 2
""",
    ),
    "a version that leaves the column out": (
        model("orders.v2"),
        """
models:
  - name: orders
    columns:
      - name: id
        data_tests: [not_null]
    versions:
      - v: 2
        columns:
          - include: [other]
""",
    ),
    "a version with table tests of its own": (
        model("orders.v2", kind="row_count", column=None),
        """
models:
  - name: orders
    data_tests: [row_count]
    versions:
      - v: 1
      - v: 2
        data_tests:
          - row_count  # <- here
""",
    ),
    "a unit test": (
        model(kind="unit_test", of="unit_test", name="adds_up", column=None),
        """
unit_tests:
  - name: adds_up
    model: customers
  - name: adds_up  # <- here
    model: orders
    given: []
""",
    ),
    "a unit test whose name comes last": (
        model(kind="unit_test", of="unit_test", name="adds_up", column=None),
        """
unit_tests:
  - model: orders
    name: adds_up  # <- here
""",
    ),
    "a unit test of a version": (
        model("orders.v2", kind="unit_test", of="unit_test", name="adds_up_v2", column=None),
        """
unit_tests:
  - name: adds_up  # <- here
    model: orders
""",
    ),
    "freshness of a table": (
        source(kind="freshness", of="freshness", key=f"source.{P}.shop.raw", column=None),
        """
sources:
  - name: shop
    freshness: {warn_after: {count: 1, period: day}}
    tables:
      - name: other
        freshness: null
      - name: raw
        loaded_at_field: at
        freshness:  # <- here
          warn_after: {count: 2, period: day}
""",
    ),
    "freshness in a table's config": (
        source(kind="freshness", of="freshness", key=f"source.{P}.shop.raw", column=None),
        """
sources:
  - name: shop
    tables:
      - name: raw
        config:
          loaded_at_field: at
          freshness: {warn_after: {count: 2, period: day}}  # <- here
""",
    ),
    "freshness of the whole source": (
        source(kind="freshness", of="freshness", key=f"source.{P}.shop.raw", column=None),
        """
sources:
  - name: shop
    config:
      freshness:  # <- here
        warn_after: {count: 2, period: day}
    tables:
      - name: raw
""",
    ),
    "freshness that another file sets": (
        source(kind="freshness", of="freshness", key=f"source.{P}.shop.raw", column=None),
        """
sources:
  - name: shop
    tables:
      - name: raw
""",
    ),
    "an alias: where the test is written": (
        model(),
        """
models:
  - name: customers
    columns:
      - name: id
        data_tests: &usual
          - unique
          - not_null  # <- here
  - name: orders
    columns:
      - name: id
        data_tests: *usual
""",
    ),
    "a merge key": (
        model(),
        """
anchors:
  - &column
    description: a key
    data_tests:
      - not_null  # <- here
models:
  - name: orders
    columns:
      - <<: *column
        name: id
""",
    ),
    "a merge key that is overridden": (
        model(),
        """
anchors:
  - &column {data_tests: [not_null]}
models:
  - name: orders
    columns:
      - <<: [*column]
        name: id
        data_tests:
          - not_null  # <- here
""",
    ),
    "flow style": (
        model(),
        """
{"models": [{"name": "orders",
  "columns": [
    {"name": "other", "data_tests": ["not_null"]},
    {"name": "id",
     "data_tests": ["unique",
                    "not_null"]  # <- here
}]}]}
""",
    ),
    "flow style on one line": (
        model(),
        """
models:
  - {name: orders, columns: [{name: id, data_tests: [unique, not_null]}]}  # <- here
""",
    ),
    "quoted names": (
        model("the orders", column="Id é"),
        """
models:
  - "name": 'the orders'
    "columns":
      - name: "Id \\u00e9"
        quote: true
        'data_tests':
          - "not_null"  # <- here
""",
    ),
    "a name that holds its quotes": (
        model(column="id"),
        """
models:
  - name: orders
    columns:
      - name: '"id"'
        data_tests:
          - not_null  # <- here
""",
    ),
    "a column written in other letters": (
        model(column="ID"),
        """
models:
  - name: orders
    columns:
      - name: id
        data_tests:
          - not_null  # <- here
""",
    ),
    "comments, and the test on a line of its own": (
        model(),
        """
# models: - name: orders
models:
  # - name: orders
  -
    name: orders
    columns:
      -
        name: id
        # not_null
        data_tests:
          # - not_null
          -
            not_null:  # <- here
              config:
                severity: warn
""",
    ),
    "Jinja in values": (
        model(),
        """
models:
  - name: orders
    description: "{{ doc('orders') }}"
    config:
      enabled: "{{ target.name == 'ci' }}"
    columns:
      - name: id
        description: >
          {% docs %} not_null: - name: id
        data_tests:
          - not_null:  # <- here
              config:
                where: "at > '{{ var('since') }}'"
""",
    ),
    "a custom name that only dbt can render": (
        model(name="ci_id_is_there"),
        """
models:
  - name: orders
    columns:
      - name: id
        data_tests:
          - not_null:  # <- here
              name: "{{ target.name }}_id_is_there"
""",
    ),
    "a test under another name is not this one": (
        model(name="id_is_there"),
        """
models:
  - name: orders
    columns:
      - name: id
        data_tests:
          - not_null:
              name: something_else
""",
    ),
    "a model with a dot in its name": (
        model("orders.eu"),
        """
models:
  - name: orders
    columns: [{name: id, data_tests: [not_null]}]
  - name: orders.eu
    columns:
      - name: id
        data_tests: [not_null]  # <- here
""",
    ),
    "a block of text that looks like YAML": (
        model(),
        """
models:
  - name: orders
    description: |
      - name: id
        data_tests:
          - not_null
    columns:
      - name: id
        data_tests:
          - not_null  # <- here
""",
    ),
    "several documents": (
        model(),
        """
models:
  - name: customers
---
models:
  - name: orders
    columns:
      - name: id
        data_tests: [not_null]  # <- here
""",
    ),
    "a test of no one table, by its own name": (
        check(None, column=None, name="counts_agree"),
        """
models:
  - name: orders
    data_tests:
      - not_null
      - counts:  # <- here
          name: counts_agree
""",
    ),
    "the column is elsewhere": (
        model(),
        """
models:
  - name: orders
    columns:
      - name: other
        data_tests: [not_null]
""",
    ),
    "the table is elsewhere": (model(), "models: [{name: customers}]"),
    "not YAML": (model(), "models:\n  - name: {{ x }\n\t- not_null\n"),
    "not a mapping": (model(), "- models"),
    "empty": (model(), ""),
    "a list where none can be": (
        model(),
        "models: {name: orders}\nsources: 3\nseeds: [1, [2], {name: [x]}]\n",
    ),
    "a separator that only YAML takes for a line's end": (
        model(),
        """
models:
  - name: orders
    description: "one\u2028two\u0085three"
    columns:
      - name: id
        data_tests: [not_null]  # <- here
""",
    ),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_the_line_is_the_one_that_a_person_points_at(tmp_path, shape):
    wanted, text = SHAPES[shape]
    spot = lines_of(tmp_path, {"m/s.yml": text.encode()}, wanted).checks[wanted.key]
    assert (spot.path, spot.line) == ("m/s.yml", marked(text))


def test_there_are_enough_shapes():
    assert len(SHAPES) >= 30


WRITTEN = {
    "CRLF": lambda text: text.replace("\n", "\r\n").encode(),
    "a byte order mark": lambda text: b"\xef\xbb\xbf" + text.encode(),
    "no last line feed": lambda text: text.rstrip("\n").encode(),
}


@pytest.mark.parametrize("shape", [s for s in SHAPES if marked(SHAPES[s][1])])
@pytest.mark.parametrize("written", WRITTEN)
def test_how_the_file_is_written_moves_no_line(tmp_path, shape, written):
    wanted, text = SHAPES[shape]
    found = lines_of(tmp_path, {"m/s.yml": WRITTEN[written](text)}, wanted).checks[wanted.key]
    assert found.line == marked(text)


@pytest.mark.parametrize(
    "content",
    [
        b"models:\r  - name: orders\r    columns: [{name: id, tests: [not_null]}]\r",
        b"\xff\xfem\0o\0d\0",
        b"models: [" * 50_000,
        b"- " * 50_000,
        b"#" * (MOST_FILE_BYTES + 1)
        + b"\nmodels: [{name: orders, columns: [{name: id, tests: [not_null]}]}]",
    ],
    ids=["lone returns", "UTF-16", "nested flow", "nested block", "too large"],
)
def test_what_cannot_be_read_gives_the_file_alone(tmp_path, content):
    wanted = model()
    spot = lines_of(tmp_path, {"m/s.yml": content}, wanted).checks[wanted.key]
    assert (spot.path, spot.line) == ("m/s.yml", None)


def test_shared_nodes_are_no_bomb(tmp_path):
    """Nine aliases of nine aliases of ... as arguments, and lists of sources that all hold the same tables."""
    laughs = "\n".join(f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 9)}]" for n in range(1, 30))
    sources = "".join(f"  - {{name: s{n}, tables: *t}}\n" for n in range(3000))
    tables = "t: &t [" + ", ".join(f"{{name: t{n}}}" for n in range(3000)) + "]\n"
    text = (
        f"l0: &l0 [lol]\n{laughs}\n{tables}sources:\n{sources}models:\n  - name: orders\n    columns:\n      - name: id\n"
        "        tests:\n          - accepted_values: {values: *l29}\n          - accepted_values: {values: *l28}\n"
    )
    of_model, of_source = model(kind="accepted_values"), source("s1.t1", name="other")
    spots = lines_of(tmp_path, {"m/s.yml": text.encode()}, of_model, of_source).checks
    assert spots[of_model.key].line == text[: text.index("      - name: id")].count("\n") + 1
    assert spots[of_source.key].line is None


# ---------------------------------------------------------------- files


def at(path, **more):
    return msgspec.structs.replace(model(**more), path=path)


YAML = b"\nmodels:\n  - name: orders\n    columns:\n      - name: id\n        tests: [not_null]\n"


@pytest.mark.parametrize(
    "path", ["../outside.yml", "/etc/hostname", "link.yml", "folder/s.yml", "m", "m/\0.yml", "loop.yml"]
)
def test_nothing_outside_of_the_repository_is_read(tmp_path, path):
    inside = tmp_path / "repository"
    (inside / "m").mkdir(parents=True)
    (tmp_path / "outside.yml").write_bytes(YAML)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "s.yml").write_bytes(YAML)
    (inside / "link.yml").symlink_to(tmp_path / "outside.yml")
    (inside / "folder").symlink_to(tmp_path / "elsewhere")
    (inside / "loop.yml").symlink_to(inside / "loop.yml")
    wanted = at(path)
    assert lines_of(inside, {}, wanted).checks[wanted.key].line is None


@pytest.mark.parametrize("text", TEXTS, ids=ids)
def test_any_path_is_looked_for_in_peace(tmp_path, text):
    document = samples.hostile(text)
    spots = locate(document, text, Repository(str(tmp_path)))
    # the document may know a line already: it stays
    assert {spot.line for spot in spots.checks.values()} == {3, None}
    view = build([document], samples.gate(document), spots={document.run.key: spots})
    assert all(
        not place.link or place.link.startswith("https://")
        for row in view.sections[0].rows
        if (place := row.place)
    )


def test_a_project_in_a_folder(tmp_path):
    wanted = model()
    spot = lines_of(tmp_path, {"m/s.yml": b"", "dbt/shop/m/s.yml": YAML}, wanted, folder="dbt/shop").checks[
        wanted.key
    ]
    assert (spot.path, spot.line) == ("dbt/shop/m/s.yml", 6)


def test_a_package_is_read_where_dbt_installed_it_and_linked_nowhere(tmp_path):
    wanted = check("model.shop_pkg.orders", key="test.shop_pkg.not_null_orders_id.0123456789")
    files = {"dbt/m/s.yml": b"", "dbt/dbt_packages/shop_pkg/m/s.yml": YAML}
    spot = lines_of(tmp_path, files, wanted, folder="dbt").checks[wanted.key]
    assert (spot.path, spot.line, spot.in_repository) == ("dbt/dbt_packages/shop_pkg/m/s.yml", 6, False)


def test_a_local_package_is_read_in_its_own_folder(tmp_path):
    (tmp_path / "dbt_packages").mkdir()
    (tmp_path / "dbt_packages" / "shop_pkg").symlink_to("../packages/shop")
    wanted = check("model.shop_pkg.orders", key="test.shop_pkg.not_null_orders_id.0123456789")
    spot = lines_of(tmp_path, {"packages/shop/m/s.yml": YAML}, wanted).checks[wanted.key]
    assert (spot.path, spot.line, spot.in_repository) == ("packages/shop/m/s.yml", 6, True)


def test_windows_paths(tmp_path):
    wanted = at("m\\s.yml")
    assert lines_of(tmp_path, {"m/s.yml": YAML}, wanted).checks[wanted.key].line == 6


@pytest.mark.parametrize(
    ("content", "line"), [(b"select 1\n", 1), (b"{{ config() }}\n\nselect 1", 1), (b"", None), (None, None)]
)
def test_a_singular_test_is_its_file(tmp_path, content, line):
    wanted = msgspec.structs.replace(model(kind="singular", column=None), path="tests/a.sql")
    files = {} if content is None else {"tests/a.sql": content}
    assert lines_of(tmp_path, files, wanted).checks[wanted.key].line == line


def test_what_did_not_build_has_its_line(tmp_path):
    rows = [
        samples.dataset("orders", status="errored", path="m/orders.sql"),
        samples.dataset("two", kind="snapshot", status="errored", path="m/snap.sql"),
        samples.dataset("three", kind="snapshot", status="errored", path="m/s.yml"),
        samples.dataset("gone", status="errored", path="m/gone.sql"),
    ]
    files = {
        "m/orders.sql": b"-- orders\nselect 1",
        "m/snap.sql": b"{% snapshot one %}\n{% endsnapshot %}\n\n{%- snapshot two -%}\n{% endsnapshot %}\n",
        "m/s.yml": b"snapshots:\n  - name: two\n  - name: three\n",
    }
    spots = lines_of(tmp_path, files, datasets=rows).datasets
    assert [spots[row.key].line for row in rows] == [1, 4, 3, None]


def test_every_file_is_read_once(tmp_path):
    columns = "".join(f"      - name: c{n}\n        tests:\n          - not_null\n" for n in range(5000))
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "s.yml").write_text(f"models:\n  - name: orders\n    columns:\n{columns}")
    checks = [model(column=f"c{n}", name=f"n{n}") for n in range(5000)]
    results = [Result(check=c.key, status="failed", failures=1) for c in checks]
    read: list[str] = []

    class Counting(Repository):
        def _read(self, path):
            read.append(path)
            return super()._read(path)

    spots = locate(samples.ingest([], checks, results), "", Counting(str(tmp_path)))
    assert [spots.checks[c.key].line for c in checks] == [6 + 3 * n for n in range(5000)]
    assert read == ["m/s.yml"]


# ---------------------------------------------------------------- the whole report


def test_every_dialect_has_the_line_and_the_document_does_not_change(tmp_path):
    wanted = model(name="not_null_orders_id")
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "s.yml").write_bytes(YAML)
    document = samples.ingest([], [wanted], [Result(check=wanted.key, status="failed", failures=4)])
    options = ReportOptions(
        provider="github",
        is_change=True,
        repository=str(tmp_path),
        workspace=str(tmp_path),
        summary_path=str(tmp_path / "s"),
    )
    rendered = report.render([document], samples.gate(document), [], options)
    link = f"https://github.com/acme/opendata/blob/{samples.SHA}/m/s.yml#L6"
    assert link in rendered.files["report.html"].decode() and link in rendered.summary
    assert "file=m/s.yml,line=6" in rendered.commands[0]
    assert rendered.files["ingest.json"] == to_json(document) + b"\n"
    assert json.loads(rendered.files["ingest.json"])["checks"][0]["line"] is None


EXAMPLE = Path(__file__).parent.parent / "examples" / "airquality"


def test_the_examples_failures_point_at_their_tests():
    """Every test of the example, found by hand in its manifest, stands where the line says it does."""
    manifest = json.loads((EXAMPLE / "sample-target" / "manifest.json").read_text())
    checks = []
    for key, node in manifest["nodes"].items():
        if key.startswith("test.") and node.get("test_metadata"):
            made = check(
                node["attached_node"],
                node["test_metadata"]["name"],
                column=node["column_name"],
                name=node["name"],
                key=key,
            )
            checks.append(msgspec.structs.replace(made, path=node["original_file_path"]))
    results = [Result(check=c.key, status="failed", failures=1) for c in checks]
    spots = locate(
        samples.ingest([], checks, results), "examples/airquality", Repository(str(EXAMPLE.parent.parent))
    ).checks
    assert len(checks) > 20
    for wanted in checks:
        spot = spots[wanted.key]
        lines = (EXAMPLE.parent.parent / spot.path).read_text().splitlines()
        assert spot.line and wanted.type in lines[spot.line - 1], wanted.name
        above = [
            line.split("name:")[1].strip() for line in lines[: spot.line] if re.match(r"  - name: ", line)
        ]
        assert above[-1] == wanted.dataset.split(".")[2]
        if wanted.column:
            columns = [
                line.split("name:")[1].strip()
                for line in lines[: spot.line]
                if re.match(r"      - name: ", line)
            ]
            assert columns[-1] == wanted.column


# ---------------------------------------------------------------- any schema

names = st.text("abcXYZ_019", min_size=1, max_size=6).filter(lambda text: yaml.safe_load(text) == text)
comments = st.sampled_from(["", "  # a note", "  # - not_null", "   "])


@st.composite
def schemas(draw):
    """A schema file and where each of its tests stands: the lines are counted while they are written."""
    lines: list[str] = draw(
        st.lists(st.sampled_from(["", "# models:", "version: 2"]), max_size=3, unique=True)
    )
    expected: dict[tuple[str, str, str], int] = {}
    lines.append("models:" + draw(comments))
    for table in draw(st.lists(names, min_size=1, max_size=4, unique=True)):
        lines.append(f"  - name: {table}{draw(comments)}")
        if draw(st.booleans()):
            lines += ["    description: |", "      - name: x", "        tests: [not_null]", ""]
        lines.append("    columns:")
        for column in draw(st.lists(names, min_size=1, max_size=4, unique_by=str.casefold)):
            lines.append(
                draw(
                    st.sampled_from(
                        [
                            f"      - name: {column}",
                            f'      - name: "{column}"',
                            f"      - {{name: {column}}}",
                        ]
                    )
                )
            )
            if lines[-1].endswith("}"):
                continue
            kinds = draw(
                st.lists(
                    st.sampled_from(["not_null", "unique", "pkg.odd"]), min_size=1, max_size=3, unique=True
                )
            )
            word = draw(st.sampled_from(["tests", "data_tests"]))
            if draw(st.booleans()):
                lines.append(f"        {word}: [{', '.join(kinds)}]")
                expected |= {(table, column, kind): len(lines) for kind in kinds}
                continue
            lines.append(f"        {word}:{draw(comments)}")
            for kind in kinds:
                lines += draw(st.sampled_from([[], ["          # - unique"], [""]]))
                lines.append(
                    f"          - {kind}" + draw(st.sampled_from(["", ":", ": {config: {severity: warn}}"]))
                )
                expected[table, column, kind] = len(lines)
    return "\n".join(lines), expected


@settings(max_examples=60, deadline=None)
@given(schemas())
def test_any_schema_that_is_written_by_hand(tmp_path_factory, schema):
    text, expected = schema
    checks = {
        place: model(
            place[0],
            column=place[1],
            kind=place[2].rpartition(".")[2],
            package="pkg" if "." in place[2] else None,
            name=str(n),
        )
        for n, place in enumerate(expected)
    }
    spots = lines_of(tmp_path_factory.mktemp("any"), {"m/s.yml": text.encode()}, *checks.values()).checks
    assert {place: spots[c.key].line for place, c in checks.items()} == expected
