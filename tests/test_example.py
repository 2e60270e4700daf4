"""The air quality example tells the truth: its data are what the generator makes, its sample artifacts are one real
run's, and its README speaks of what that run found."""

from __future__ import annotations

import csv
import io
import json
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).resolve().parent.parent / "examples" / "airquality"
SAMPLE = EXAMPLE / "sample-target"
READMES = ("README.md", "README.fr.md")


def load(name):
    return json.loads((SAMPLE / name).read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def manifest():
    return load("manifest.json")


@pytest.fixture(scope="module")
def rows():
    return load("run_results.json")["results"]


def make_data(out, *args):
    script = EXAMPLE / "scripts" / "make_data.py"
    subprocess.run([sys.executable, str(script), "--out", str(out), *args], check=True, capture_output=True)
    return {p.name: p.read_bytes() for p in out.iterdir()}


def readings(content):
    return list(csv.DictReader(io.StringIO(content.decode("utf-8"))))


# ---------------------------------------------------------------- the data


def test_generator_gives_the_committed_seeds_byte_for_byte(tmp_path):
    made = make_data(tmp_path)
    assert sorted(made) == ["opendata_airquality.csv", "opendata_stations.csv"]
    for name, content in made.items():
        assert (EXAMPLE / "seeds" / name).read_bytes() == content, name


def test_another_seed_is_other_weather(tmp_path):
    made = make_data(tmp_path, "--seed", "7")
    assert made["opendata_airquality.csv"] != (EXAMPLE / "seeds" / "opendata_airquality.csv").read_bytes()


def defects(found):
    """What is wrong with the readings, counted without the project's SQL."""
    keys = Counter((r["location"], r["parameter"], r["date_utc"]) for r in found)
    last = {}
    for r in found:
        last[r["location"]] = max(last.get(r["location"], ""), r["date_utc"])
    newest = max(last.values())
    return {
        "twice": sum(1 for n in keys.values() if n > 1),
        "negative": sum(1 for r in found if float(r["value"]) < 0),
        "units": {r["unit"] for r in found},
        "nameless": sum(1 for r in found if not r["city"]),
        "silent": sorted(place for place, at in last.items() if at < newest),
    }


def test_committed_readings_hold_the_five_defects_of_the_readme():
    found = readings((EXAMPLE / "seeds" / "opendata_airquality.csv").read_bytes())
    assert list(found[0]) == ["city", "country", "location", "parameter", "value", "unit", "date_utc"]
    assert 2000 <= len(found) <= 3000
    assert defects(found) == {
        "twice": 1,
        "negative": 1,
        "units": {"µg/m³", "ppb"},
        "nameless": 3,
        "silent": ["Brumeville - Canal"],
    }


def test_clean_readings_hold_none(tmp_path):
    found = readings(make_data(tmp_path, "--clean")["opendata_airquality.csv"])
    assert defects(found) == {"twice": 0, "negative": 0, "units": {"µg/m³"}, "nameless": 0, "silent": []}


def mean(found, parameter, hours):
    values = [
        float(r["value"]) for r in found if r["parameter"] == parameter and int(r["date_utc"][11:13]) in hours
    ]
    return sum(values) / len(values)


def test_clean_readings_have_the_day_that_a_town_has(tmp_path):
    found = readings(make_data(tmp_path, "--clean")["opendata_airquality.csv"])
    assert mean(found, "no2", {6, 8}) > 1.5 * mean(found, "no2", {0, 2})
    assert mean(found, "no2", {16, 18}) > 1.5 * mean(found, "no2", {0, 2})
    assert mean(found, "o3", {12, 14}) > 1.5 * mean(found, "o3", {4, 6})
    assert mean(found, "pm25", {18, 20}) > 1.5 * mean(found, "pm25", {10, 12})


# ---------------------------------------------------------------- the sample artifacts


def test_every_result_is_of_this_manifest(manifest, rows):
    known = {*manifest["nodes"], *manifest["unit_tests"], *manifest["exposures"]}
    assert {r["unique_id"] for r in rows} <= known
    fresh = load("sources.json")["results"]
    assert [r["unique_id"] for r in fresh] == ["source.opendata_dbt.opendata.opendata_airquality"]
    assert set(manifest["sources"]) >= {r["unique_id"] for r in fresh}


def test_every_enabled_test_of_the_manifest_has_a_result(manifest, rows):
    tests = {k for k, n in manifest["nodes"].items() if n["resource_type"] == "test"} | set(
        manifest["unit_tests"]
    )
    assert tests <= {r["unique_id"] for r in rows}


def test_sample_is_what_is_left_after_build_and_freshness(manifest):
    results, fresh = load("run_results.json"), load("sources.json")
    assert results["args"]["which"] == "build"
    assert fresh["metadata"]["invocation_id"] == manifest["metadata"]["invocation_id"]
    assert results["metadata"]["generated_at"] < fresh["metadata"]["generated_at"]


def outcomes(rows, prefix):
    return Counter(r["status"] for r in rows if r["unique_id"].startswith(prefix))


def test_sample_has_every_kind_of_outcome(rows):
    assert outcomes(rows, "test.") == {"pass": 38, "warn": 1, "fail": 4, "skipped": 4}
    assert outcomes(rows, "unit_test.") == {"pass": 2, "skipped": 1}
    assert outcomes(rows, "model.") == {"success": 4, "skipped": 2}
    assert [r["status"] for r in load("sources.json")["results"]] == ["warn"]


def test_sample_fails_on_both_layers(manifest, rows):
    folders = set()
    for row in rows:
        if row["unique_id"].startswith("test.") and row["status"] == "fail":
            (model,) = (n for n in manifest["nodes"][row["unique_id"]]["depends_on"]["nodes"])
            folders.add(manifest["nodes"][model]["original_file_path"].split("/")[1])
    assert folders == {"staging", "marts"}


def test_sample_says_what_people_look_for(manifest):
    models = [n for n in manifest["nodes"].values() if n["resource_type"] == "model"]
    assert all(n["description"] and n["config"]["meta"]["owner"] and n["group"] for n in models)
    assert all(c["description"] for n in models for c in n["columns"].values())
    assert [e["name"] for e in manifest["exposures"].values()] == ["air_in_your_town"]
    assert manifest["groups"]["group.opendata_dbt.air_quality"]["owner"]["email"] == "air-quality@example.com"


@pytest.mark.parametrize("name", ["manifest.json", "run_results.json", "sources.json"])
def test_sample_tells_nothing_of_the_machine_that_made_it(name):
    text = (SAMPLE / name).read_text(encoding="utf-8")
    assert len(text) < 1_000_000
    document = json.loads(text)
    strings = list(strings_outside_sql(document))
    assert [s for s in strings if s.startswith("/") and not s.startswith("/builds/airquality")] == []
    assert not re.search(r"/(root|home|Users|tmp|var|opt|work|private|mnt)/", text)
    assert document["metadata"].get("user_id") is None
    assert document["metadata"]["env"] == {}


def strings_outside_sql(value):
    """Every string of a JSON value, but for the bodies of macros and queries."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from strings_outside_sql(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            if key not in {"macro_sql", "raw_code", "compiled_code"}:
                yield from strings_outside_sql(item)


def test_sample_was_made_from_the_committed_models_and_tests(manifest):
    for node in (*manifest["nodes"].values(), *manifest["macros"].values()):
        if node["package_name"] != "opendata_dbt" or not node["original_file_path"].endswith(".sql"):
            continue
        committed = (EXAMPLE / node["original_file_path"]).read_text(encoding="utf-8")
        assert node.get("raw_code", node.get("macro_sql")).strip() in committed


# ---------------------------------------------------------------- what is said about it


@pytest.mark.parametrize("readme", READMES)
def test_readme_names_every_test_that_did_not_pass(readme, manifest, rows):
    text = (EXAMPLE / readme).read_text(encoding="utf-8")
    loud = {manifest["nodes"][r["unique_id"]]["name"] for r in rows if r["status"] in {"fail", "warn"}}
    assert len(loud) == 5
    assert [name for name in sorted(loud) if f"`{name}`" not in text] == []
    skipped = {
        manifest["nodes"][r["unique_id"]]["name"]
        for r in rows
        if r["status"] == "skipped" and r["unique_id"].startswith("model.")
    }
    assert [name for name in sorted(skipped) if f"`{name}`" not in text] == []


@pytest.mark.parametrize("readme", READMES)
def test_readme_counts_as_the_sample_does(readme, rows):
    text = (EXAMPLE / readme).read_text(encoding="utf-8").replace("\n", " ")
    found = outcomes(rows, "test.")
    said = {
        "README.md": "{all} data tests: {pass} pass, {warn} warns, {fail} fail, {skipped} are skipped",
        "README.fr.md": "Sur {all} tests de données, {pass} passent, {warn} avertit, {fail} échouent et {skipped} sont ignorés",
    }[readme]
    assert said.format(all=sum(found.values()), **found) in text


@pytest.mark.parametrize("readme", READMES)
def test_readme_speaks_of_files_that_exist(readme):
    text = (EXAMPLE / readme).read_text(encoding="utf-8")
    paths = re.findall(r"^\| `([^`]+)`", text, flags=re.MULTILINE)
    assert "scripts/ingest_qalita.sh" in paths
    assert [p for p in paths if "/" in p and not (EXAMPLE / p).exists()] == []


# ---------------------------------------------------------------- the step after dbt


@pytest.fixture
def echo_path(tmp_path):
    """A PATH where qalita-ingest prints what it was called with, one argument a line."""
    tool = tmp_path / "bin" / "qalita-ingest"
    tool.parent.mkdir()
    tool.write_text('#!/bin/sh\nfor a in "$@"; do printf "%s\\n" "$a"; done\n', encoding="utf-8")
    tool.chmod(0o755)
    return f"{tool.parent}:/usr/bin:/bin"


def ingest(path, *args, **env):
    script = str(EXAMPLE / "scripts" / "ingest_qalita.sh")
    done = subprocess.run(
        ["sh", script, *args], check=True, capture_output=True, text=True, cwd="/", env={"PATH": path, **env}
    )
    return done.stdout.splitlines()


def test_ingest_script_is_posix_shell():
    subprocess.run(["sh", "-n", str(EXAMPLE / "scripts" / "ingest_qalita.sh")], check=True)


def test_ingest_script_hands_over_both_files_and_its_own_arguments(echo_path, tmp_path):
    target = str(tmp_path / "no freshness here")
    assert ingest(echo_path, "--note", "two words", DBT_TARGET_PATH=target) == [
        "dbt", "--manifest", f"{target}/manifest.json", "--results", f"{target}/run_results.json",
        "--project", "opendata_dbt", "--env", "dev", "--note", "two words",
    ]  # fmt: skip


def test_ingest_script_adds_freshness_where_it_is(echo_path):
    words = ingest(echo_path, DBT_TARGET_PATH="sample-target", QALITA_ENV="prod")
    assert words[words.index("--sources") + 1] == "sample-target/sources.json"
    assert words[words.index("--env") + 1] == "prod"
