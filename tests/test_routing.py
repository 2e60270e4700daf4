"""One run of dbt, several sources: nothing lost, nothing doubled, one verdict; over both APIs."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest
from artifact_sets import all_sets, expected_refusal
from command import run
from hypothesis import given, settings
from hypothesis import strategies as st
from make_ingest import TOOL

from qalita_action import dbt, mapping
from qalita_action.mapping import routing
from qalita_action.model import CIContext, Gate, Policy
from qalita_action.sandbox import Quirks, running

SAMPLE = Path(__file__).resolve().parent.parent / "examples" / "airquality" / "sample-target"
POLICY = Policy(tool=TOOL)
FLOW = "model.opendata_dbt.airquality_metrics"  # skipped, because of tests on what it reads


def evidence(folder: Path):
    (found,) = dbt.locate(dbt.Places(path=str(folder)), folder.parent, {})
    return dbt.read(found, dbt.Vetting())


SETS = [SAMPLE, *(s for s in all_sets() if not expected_refusal(s))][:12]
WHOLES = {}


def whole(folder: Path):
    if folder not in WHOLES:
        read = evidence(folder)
        WHOLES[folder] = read, mapping.to_ingest(read, CIContext(), POLICY)
    return WHOLES[folder]


def divided(ingest, names: dict[str, str]):
    found = routing.Routes(by_key={key: routing.Route(name) for key, name in names.items()})
    return routing.split(
        ingest,
        found,
        POLICY,
        key_of=lambda name: f"key of {name}",
        extent_of=lambda pairs: ("complete", None),
        is_change=False,
    )


def column(row, name):
    return getattr(row, name)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_nothing_is_lost_and_nothing_doubled(data):
    _, ingest = whole(data.draw(st.sampled_from(SETS)))
    keys = [d.key for d in ingest.datasets] + [c.key for c in ingest.checks if c.dataset is None]
    names = data.draw(
        st.dictionaries(st.sampled_from(keys), st.sampled_from(["finance", "ops", "hr"]))
        if keys
        else st.just({})
    )
    parts = divided(ingest, names)
    assert Counter(c.key for p in parts for c in p.checks) == Counter(c.key for c in ingest.checks)
    assert Counter(d.key for p in parts for d in p.datasets) == Counter(d.key for d in ingest.datasets)
    assert {r.check: r for p in parts for r in p.results} == {r.check: r for r in ingest.results}
    assert len({p.source.name for p in parts}) == len({p.run.key for p in parts}) == len(parts)
    for part in parts:
        assert [r.check for r in part.results] == [c.key for c in part.checks]
        mine = {c.key for c in part.checks} | {d.key for d in part.datasets}
        for cause in part.causes:
            assert {*cause.checks, *cause.consequences} <= mine
        for kind in ("data_test", "unit_test", "freshness"):
            row = column(part.ledger, kind)
            assert row.expected == sum(c.kind == kind for c in part.checks)
            assert row.executed == row.passed + row.warned + row.failed + row.errored
            rest = row.skipped + row.reused + row.not_run + row.vanished + row.unknown
            assert row.expected == row.executed + rest
        # Whoever was skipped because of something is told what, wherever it lies.
        told = {key for cause in part.causes for key in (*cause.consequences, *cause.checks)}
        assert {r.check for r in part.results if r.status == "skipped" and r.caused_by} <= told
    for kind in ("data_test", "unit_test", "freshness"):
        for name in column(ingest.ledger, kind).__struct_fields__:
            total = sum(column(column(p.ledger, kind), name) for p in parts)
            assert total == column(column(ingest.ledger, kind), name), (kind, name)
    # What breaks is told once as such: the rest are echoes of it.
    broke = [c.key for p in parts for c in p.causes if not c.body.startswith("It broke in another source")]
    assert set(broke) == {c.key for c in ingest.causes}


@settings(max_examples=30, deadline=None)
@given(data=st.data(), fail_on=st.sampled_from(["fail", "warn", "never"]))
def test_the_verdict_is_that_of_the_whole(data, fail_on):
    _, ingest = whole(data.draw(st.sampled_from(SETS)))
    keys = [d.key for d in ingest.datasets]
    names = data.draw(
        st.dictionaries(st.sampled_from(keys), st.sampled_from(["finance", "ops"])) if keys else st.just({})
    )
    parts = divided(ingest, names)
    gate = Gate(fail_on=fail_on, require_run=("*station*", "no-such-thing"))
    together, alone = mapping.verdict(parts, gate), mapping.verdict([ingest], gate)
    assert (together.state, together.blocks) == (alone.state, alone.blocks)
    assert Counter((r.code, r.subject) for r in together.reasons) == Counter(
        (r.code, r.subject) for r in alone.reasons
    )


# ---------------------------------------------------------------- what the meta says


def routed(tmp_path, change) -> Path:
    folder = tmp_path / "target"
    shutil.copytree(SAMPLE, folder, dirs_exist_ok=True)
    manifest = json.loads((folder / "manifest.json").read_text())
    change(manifest)
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def sources(folder, context=None, **policy):
    context = context or CIContext()
    return {
        i.source.name: i for i in mapping.to_ingests(evidence(folder), context, Policy(tool=TOOL, **policy))
    }


SAYS = {"meta": {"qalita": {"source": "towns"}}}


@pytest.mark.parametrize(
    "where",
    [
        lambda m: m["nodes"][FLOW].update(SAYS),
        lambda m: m["nodes"][FLOW]["config"].update(SAYS),
        lambda m: (
            m["groups"].update(g={"name": "towns_group", **SAYS}),
            m["nodes"][FLOW].update(group="towns_group"),
        ),
        lambda m: (
            m["groups"].update(g={"name": "towns_group", "config": SAYS}),
            m["nodes"][FLOW].update(group=None),
            m["nodes"][FLOW]["config"].update(group="towns_group"),
        ),
    ],
    ids=["meta", "config.meta", "group", "group's config"],
)
def test_meta_is_read_wherever_dbt_writes_it(tmp_path, where):
    found = sources(routed(tmp_path, where), environment="prod")
    assert found.keys() == {"opendata_dbt-prod", "towns-prod"}
    assert [d.key for d in found["towns-prod"].datasets] == [FLOW]
    assert {c.dataset for c in found["towns-prod"].checks} == {FLOW}


def test_a_nodes_own_word_goes_before_its_groups(tmp_path):
    def say(m):
        m["groups"].update(g={"name": "towns_group", "meta": {"qalita": {"source": "other"}}})
        m["nodes"][FLOW].update(group="towns_group", **SAYS)

    assert "towns-default" in sources(routed(tmp_path, say))


def test_an_exact_name_is_taken_as_it_is_but_never_by_a_change(tmp_path):
    def say(m):
        m["nodes"][FLOW]["config"]["meta"] = {"qalita": {"source": {"name": "Finance DWH"}}}

    folder = routed(tmp_path, say)
    assert sources(folder, environment="prod").keys() == {"opendata_dbt-prod", "Finance DWH"}
    change = sources(folder, CIContext(is_change=True), environment="prod")
    assert change.keys() == {"opendata_dbt-ci", "Finance DWH-ci"}


def test_a_meta_that_names_nothing_is_said_and_not_guessed(tmp_path):
    def say(m):
        m["nodes"][FLOW]["config"]["meta"] = {"qalita": {"source": 7}}

    (main,) = sources(routed(tmp_path, say)).values()
    assert [w.text for w in main.run.warnings if w.code == "route-unread"] == [
        f"meta.qalita.source is neither a name nor {{name: ...}}, and was not followed: {FLOW}"
    ]


def test_the_run_key_is_stable_and_differs_by_source_and_environment(tmp_path):
    folder = routed(tmp_path, lambda m: m["nodes"][FLOW].update(SAYS))
    first, again = sources(folder, environment="prod"), sources(folder, environment="prod")
    assert first == again
    dev = sources(folder, environment="dev")
    keys = [i.run.key for found in (first, dev) for i in found.values()]
    assert len(set(keys)) == 4
    # The main document keeps the key that the run has without any routing.
    plain = sources(routed(tmp_path / "plain", lambda m: None), environment="prod")
    assert plain["opendata_dbt-prod"].run.key == first["opendata_dbt-prod"].run.key


def test_what_was_skipped_because_of_another_source_names_it(tmp_path):
    found = sources(routed(tmp_path, lambda m: m["nodes"][FLOW].update(SAYS)))
    part = found["towns-default"]
    assert part.datasets[0].run.status == "skipped"
    echoes = {c.title: c for c in part.causes}
    assert any(title.startswith("unit_is_known failed") for title in echoes)
    for cause in echoes.values():
        assert cause.body.startswith("It broke in another source.")
        assert FLOW in cause.consequences


# ---------------------------------------------------------------- over both APIs


@pytest.mark.parametrize("ingestion", [200, 404], ids=["ingestion", "results"])
def test_two_sources_on_the_platform_from_one_run_and_once(tmp_path, ingestion):
    folder = routed(tmp_path, lambda m: m["nodes"][FLOW].update(SAYS))
    expected = sources(folder, environment="prod")
    with running(tmp_path / "db.sqlite", quirks=Quirks(ingestion=ingestion)) as platform:
        env = {"QALITA_WORKER_TOKEN": platform.token, "QALITA_WORKER_ENDPOINT": platform.url}
        done = run("dbt", str(folder), "--env", "prod", "--fail-on", "never", cwd=tmp_path, env=env)
        assert done.returncode == 0, done.stdout + done.stderr
        with closing(sqlite3.connect(platform.database)) as database, database:
            names = {n for (n,) in database.execute("select name from sources")}
        assert names == {"opendata_dbt-prod", "towns-prod"}
        if ingestion == 200:
            for ingest in expected.values():
                stored = platform.stored(ingest.run.key)
                assert stored["state"] == "complete"
                assert {c["key"] for c in stored["checks"]} == {c.key for c in ingest.checks}
        else:
            with closing(sqlite3.connect(platform.database)) as database, database:
                totals = dict(
                    database.execute(
                        "select s.name, m.value from metrics m join sources s on s.id = m.source_id"
                        " where m.key = 'tests_total' and m.scope like '%\"dataset\"%' and m.scope not like '%parent%'"
                    )
                )
            assert totals == {name: str(len(i.checks)) for name, i in expected.items()}
        again = run("dbt", str(folder), "--env", "prod", "--fail-on", "never", cwd=tmp_path, env=env)
        assert again.stdout.count("already recorded") >= 1
        document = (tmp_path / "qalita-report" / "ingest.json").read_text().splitlines()
        assert len(document) == 2


def test_a_source_by_its_id_takes_one_document(tmp_path):
    folder = routed(tmp_path, lambda m: m["nodes"][FLOW].update(SAYS))
    env = {"QALITA_WORKER_TOKEN": "a.b.c", "QALITA_WORKER_ENDPOINT": "http://127.0.0.1:9"}
    done = run("dbt", str(folder), "--source-id", "7", cwd=tmp_path, env=env)
    assert (done.returncode, "[source-id-several]" in done.stderr) == (2, True), done.stderr
