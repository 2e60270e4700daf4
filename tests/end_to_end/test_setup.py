"""`qalita-ingest setup` against the stand-in, as an administrator runs it: a plan, the packs, and nothing the second
time; with each switch of what is unknown of platforms in both positions."""

from __future__ import annotations

import gzip
import io
import json
import sqlite3
import sys
import tarfile
from contextlib import closing
from pathlib import Path

import pytest
import yaml

sys.path.insert(0, str(Path(__file__).parents[1]))
from command import run
from loopback import DROP, before, serving

from qalita_action import workspace
from qalita_action.model import DIMENSIONS
from qalita_action.publish import pack_files
from qalita_action.sandbox import Quirks, running

BARE = Quirks(ingestion=404, pack=False)
SAMPLE = Path(__file__).parents[2] / "examples" / "airquality" / "sample-target"


def setup(platform, folder, *flags, token=None, url=None):
    env = {"QALITA_WORKER_TOKEN": token or platform.token, "QALITA_WORKER_ENDPOINT": url or platform.url}
    return run("setup", *flags, cwd=folder, env=env)


def table(platform, name) -> list[dict]:
    with closing(sqlite3.connect(platform.database)) as database, database:
        database.row_factory = sqlite3.Row
        return [dict(row) for row in database.execute(f"select * from {name} order by id")]


def everything(platform) -> list:
    return [table(platform, name) for name in ("packs", "pack_versions", "assets", "sources")]


def test_a_plan_first_then_the_pack_then_nothing_to_do_then_runs(tmp_path):
    with running(tmp_path / "db.sqlite", quirks=BARE) as platform:
        before_it = everything(platform)
        shown = setup(platform, tmp_path)
        assert shown.returncode == 0, shown.stderr
        assert "create  pack dbt_ingest" in shown.stdout
        assert shown.stdout.endswith("nothing was changed; add --yes\n")
        assert everything(platform) == before_it

        done = setup(platform, tmp_path, "--yes")
        assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "done: 2 of 2 changed"), done.stderr
        (pack,) = table(platform, "packs")
        assert (pack["name"], pack["type"], pack["visibility"]) == ("dbt ingest", "validity", "internal")
        assert {c["metric_key"] for c in json.loads(pack["config"])["charts"]["overview"]} >= {
            "score",
            "tests_failed",
        }
        (version,), (asset,) = table(platform, "pack_versions"), table(platform, "assets")
        assert version["asset_id"] == asset["id"]
        assert (asset["bucket"], asset["type"]) == ("packs", "pack")
        assert table(platform, "sources") == []

        first = everything(platform)
        again = setup(platform, tmp_path, "--yes")
        assert (again.returncode, again.stdout.splitlines()[-1]) == (0, "nothing to do")
        assert everything(platform) == first

        env = {"QALITA_WORKER_TOKEN": platform.token, "QALITA_WORKER_ENDPOINT": platform.url}
        published = run("dbt", str(SAMPLE), "--env", "prod", "--fail-on", "never", cwd=tmp_path, env=env)
        assert published.returncode == 0, published.stderr
        assert {m["pack_id"] for m in table(platform, "metrics")} == {pack["id"]}


def test_a_source_that_is_named_is_made_before_the_first_run(tmp_path):
    with running(tmp_path / "db.sqlite", quirks=BARE) as platform:
        flags = ("--project", "opendata_dbt", "--env", "prod", "--visibility", "public", "--yes")
        assert setup(platform, tmp_path, *flags).returncode == 0
        (source,) = table(platform, "sources")
        assert (source["name"], source["type"], source["visibility"]) == (
            "opendata_dbt-prod",
            "dbt",
            "public",
        )
        narrower = setup(platform, tmp_path, "--project", "opendata_dbt", "--env", "prod", "--yes")
        assert "visibility: public → internal" in narrower.stdout
        assert [s["visibility"] for s in table(platform, "sources")] == ["internal"]
        env = {"QALITA_WORKER_TOKEN": platform.token, "QALITA_WORKER_ENDPOINT": platform.url}
        run("dbt", str(SAMPLE), "--env", "prod", "--fail-on", "never", cwd=tmp_path, env=env)
        assert len(table(platform, "sources")) == 1
        assert table(platform, "metrics")


def test_a_pack_for_each_dimension(tmp_path):
    with running(tmp_path / "db.sqlite", quirks=BARE) as platform:
        assert setup(platform, tmp_path, "--per-dimension", "--yes").returncode == 0
        found = {(p["name"], p["type"]) for p in table(platform, "packs")}
        assert found == {("dbt ingest", "validity"), *((f"dbt ingest {d}", d) for d in DIMENSIONS)}
        assert len({a["name"] for a in table(platform, "assets")}) == len(DIMENSIONS) + 1
        again = setup(platform, tmp_path, "--per-dimension", "--yes")
        assert again.stdout.splitlines()[-1] == "nothing to do"


def test_what_differs_is_put_right_and_a_newer_pack_is_left(tmp_path):
    with running(tmp_path / "db.sqlite", quirks=BARE) as platform:
        assert setup(platform, tmp_path, "--yes").returncode == 0
        with closing(sqlite3.connect(platform.database)) as database, database:
            database.execute("update packs set type = 'accuracy'")
        done = setup(platform, tmp_path, "--yes")
        assert "type: accuracy → validity" in done.stdout
        assert [p["type"] for p in table(platform, "packs")] == ["validity"]
        assert len(table(platform, "pack_versions")) == 1
        with closing(sqlite3.connect(platform.database)) as database, database:
            database.execute(
                "insert into pack_versions (pack_id, sem_ver_id, asset_id) values (1, '99.0.0', 1)"
            )
            database.execute("update packs set type = 'accuracy'")
        left = setup(platform, tmp_path, "--yes")
        assert "99.0.0 is there, newer" in left.stdout
        assert [p["type"] for p in table(platform, "packs")] == ["accuracy"]


@pytest.mark.parametrize("empty", ["[]", "null", "204"])
def test_an_older_version_gets_the_new_one(tmp_path, empty):
    quirks = Quirks(ingestion=404, empty_list=empty)
    with running(tmp_path / "db.sqlite", quirks=quirks) as platform:
        with closing(sqlite3.connect(platform.database)) as database, database:
            database.execute("update pack_versions set sem_ver_id = '0.9.0'")
        done = setup(platform, tmp_path, "--yes")
        assert done.stdout.splitlines()[-1] == "done: 2 of 2 changed"
        assert [v["sem_ver_id"] for v in table(platform, "pack_versions")] == ["0.9.0", "1.0.0"]
        assert len(table(platform, "packs")) == 1


@pytest.mark.parametrize("repeat", ["first", "conflict"])
def test_an_attempt_that_broke_off_is_finished(tmp_path, repeat):
    """The pack and its file are there, the version is not: no second pack, and the same bytes."""
    quirks = Quirks(ingestion=404, pack=False, repeat_asset=repeat)
    with running(tmp_path / "db.sqlite", quirks=quirks) as platform:
        assert setup(platform, tmp_path, "--yes").returncode == 0
        with closing(sqlite3.connect(platform.database)) as database, database:
            database.execute("delete from pack_versions")
        assert setup(platform, tmp_path, "--yes").returncode == 0
        assert len(table(platform, "packs")) == 1
        (version,) = table(platform, "pack_versions")
        names = {a["id"]: a["name"] for a in table(platform, "assets")}
        assert len(names) == (1 if repeat == "first" else 2)
        assert names[version["asset_id"]] == max(names.values(), key=lambda n: ("-2." in n, n))


@pytest.mark.parametrize("repeat", ["append", "conflict"])
def test_a_lost_answer_makes_no_second_pack(tmp_path, repeat):
    def lose(seen, n):
        return DROP if (seen.method, n) == ("POST", 1) and "packs/publish" in seen.path else None

    quirks = Quirks(ingestion=404, pack=False, repeat_pack=repeat)
    with (
        running(tmp_path / "db.sqlite", quirks=quirks) as platform,
        serving(before(platform.url, after=lose)) as between,
    ):
        done = setup(platform, tmp_path, "--yes", url=between.url)
        assert done.returncode == 0, done.stderr
        assert between.count("POST", "packs/publish") == 1
        assert len(table(platform, "packs")) == len(table(platform, "pack_versions")) == 1


@pytest.mark.parametrize("status", [403, 404])
def test_another_authors_pack_is_said_to_be_theirs(tmp_path, status):
    with running(tmp_path / "db.sqlite", quirks=Quirks(ingestion=404, foreign_pack=status)) as platform:
        with closing(sqlite3.connect(platform.database)) as database, database:
            database.execute("update packs set owner_id = 99")
            database.execute("update pack_versions set sem_ver_id = '0.1.0'")
        done = setup(platform, tmp_path, "--yes")
        assert (done.returncode, "[pack-not-ours]" in done.stderr) == (2, True), done.stderr
        assert platform.token not in done.stderr + done.stdout


def test_without_a_registry_a_pack_cannot_be_published(tmp_path):
    with running(
        tmp_path / "db.sqlite", quirks=Quirks(ingestion=404, pack=False, registry=False)
    ) as platform:
        done = setup(platform, tmp_path, "--yes")
        assert (done.returncode, "[registry-missing]" in done.stderr) == (2, True), done.stderr


def test_a_token_without_the_right_changes_nothing(tmp_path):
    quirks = Quirks(ingestion=404, pack=False, required_scopes=("pack.create",))
    with running(tmp_path / "db.sqlite", quirks=quirks) as platform:
        done = setup(platform, tmp_path, "--yes", token=platform.token_for(1, scopes=("source.create",)))
        assert done.returncode == 2
        assert "token-refused" in done.stderr
        assert table(platform, "packs") == []


def test_each_dimension_is_filed_under_its_pack_once(tmp_path):
    """One job for each pack; the headline score of each is that dimension's, by an independent count."""
    with running(tmp_path / "db.sqlite", quirks=BARE) as platform:
        env = {"QALITA_WORKER_TOKEN": platform.token, "QALITA_WORKER_ENDPOINT": platform.url}
        words = ("dbt", str(SAMPLE), "--env", "prod", "--fail-on", "never", "--pack-per-dimension")
        assert setup(platform, tmp_path, "--yes").returncode == 0
        missing = run(*words, cwd=tmp_path, env=env)
        assert missing.returncode == 2
        assert (
            f"qalita-ingest setup --yes --per-dimension --endpoint {platform.url}"
            in missing.stderr + missing.stdout
        )
        assert table(platform, "jobs") == []

        assert setup(platform, tmp_path, "--per-dimension", "--yes").returncode == 0
        done = run(*words, cwd=tmp_path, env=env)
        assert done.returncode == 0, done.stdout + done.stderr
        document = json.loads((tmp_path / "qalita-report" / "ingest.json").read_text())
        points: dict[str, list] = {}
        statuses = {r["check"]: r["status"] for r in document["results"]}
        for check in document["checks"]:
            counts = {"passed": 1.0, "warned": 0.5, "failed": 0.0, "errored": 0.0, "skipped": 0.0}
            if check["kind"] != "unit_test" and statuses[check["key"]] in counts:
                points.setdefault(check["dimension"], []).append(counts[statuses[check["key"]]])
        packs = {p["id"]: p["name"] for p in table(platform, "packs")}
        scores = {
            packs[m["pack_id"]]: float(m["value"])
            for m in table(platform, "metrics")
            if m["key"] == "score" and "parent_scope" not in m["scope"]
        }
        expected = {f"dbt ingest {name}": sum(found) / len(found) for name, found in points.items()}
        overall = scores.pop("dbt ingest")
        assert 0 < overall < 1
        assert {k: round(v, 3) for k, v in scores.items()} == {k: round(v, 3) for k, v in expected.items()}
        jobs = [(j["status"], packs[j["pack_id"]]) for j in table(platform, "jobs") if j["kind"] == "pack"]
        assert sorted(jobs) == sorted(("succeeded", name) for name in ("dbt ingest", *expected))

        first = table(platform, "metrics")
        again = run(*words, cwd=tmp_path, env=env)
        assert "already recorded" in again.stdout
        assert table(platform, "metrics") == first


# ---------------------------------------------------------------- what is uploaded


def test_the_archive_is_the_folder_and_the_same_each_time():
    files = workspace.pack_files()
    main, *others = pack_files.packs(files, "dbt_ingest", visibility="internal", per_dimension=True)
    assert main.archive() == main.archive()
    assert len(others) == len(DIMENSIONS)
    for pack in (main, *others):
        with tarfile.open(fileobj=io.BytesIO(gzip.decompress(pack.archive()))) as tar:
            held = {m.name: (m.mode, tar.extractfile(m).read()) for m in tar.getmembers()}
        folder = f"{pack.name}_pack"
        assert held.keys() == {f"{folder}/{name}" for name in files}
        assert held[f"{folder}/run.sh"] == (0o755, files["run.sh"])
        assert held[f"{folder}/main.py"][1] == files["main.py"]
        properties = yaml.safe_load(held[f"{folder}/properties.yaml"][1])
        assert (properties["name"], properties["type"]) == (pack.name, pack.type)
        job = json.loads(held[f"{folder}/pack_conf.json"][1])["job"]
        assert job["dimension"] == (None if pack is main else pack.type)
