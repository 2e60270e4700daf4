"""Any bytes in place of any artifact: a seeded slice of scripts/fuzz.py, and the memory of large hostile files."""

from __future__ import annotations

import json
import random
import sys
from collections import Counter
from pathlib import Path

import msgspec
import pytest

from qalita_action.dbt import weight
from qalita_action.dbt.mend import mend
from qalita_action.dbt.shapes import Catalog, Manifest, RunResults, Sources
from tests.artifact_sets import all_sets, load, name_of

ROOT = Path(__file__).parents[1]
SEED, SECONDS = 20261123, 15
# One of each way in which memory was lost, or could be; `python scripts/fuzz_memory.py` tries them all.
LARGE = (
    "nested arrays in meta", "one string of surrogates", "one string never closed", "tiny nodes",
    "nodes of another type", "nodes with an odd field", "tests of the least weight", "rows", "huge int",
    "ints in arguments", "keys in meta", "parents",
)  # fmt: skip


def script(name: str):
    sys.path.insert(0, str(ROOT / "scripts"))
    try:
        return __import__(name)
    finally:
        sys.path.remove(str(ROOT / "scripts"))


def test_no_case_of_the_slice_ends_in_a_traceback_or_a_false_pass():
    fuzz = script("fuzz")
    found = list(fuzz.outcomes(SEED, SECONDS))
    failed = [f"case {o.number} of seed {SEED}: {o.told}\n{o.problem}" for o in found if o.problem]
    assert not failed, failed[0]
    words = Counter(o.word for o in found)
    assert words["document"], "some changes are survived"
    assert len(words) > 4, "and some are refused, for several reasons"


def test_a_case_is_the_same_again(tmp_path):
    fuzz = script("fuzz")
    corpus = fuzz.corpus_of(fuzz.SEEDS[:2])
    one, two = (fuzz.case(random.Random("7:3"), corpus) for _ in range(2))
    assert one == two
    assert fuzz.case(random.Random("7:4"), corpus) != one


def test_the_slice_would_notice_a_false_pass():
    """The oracle itself: how many passes the files can account for."""
    fuzz = script("fuzz")
    assert (
        fuzz.passes_in({"run_results.json": b'{"status": "pass"}, {"status": "Pass"}, {"status": "fail"}'})
        == 2
    )


@pytest.mark.parametrize("name", LARGE)
def test_memory_stays_in_proportion_to_the_file(name):
    (peak,) = script("fuzz_memory").peaks(12, (name,))
    assert peak.is_fine, peak


# ---------------------------------------------------------------- mend


@pytest.mark.parametrize(
    ("text", "mended"),
    [
        (b'{"a": NaN, "b": -Infinity, "c": [Infinity,NaN]}', {"a": None, "b": None, "c": [None, None]}),
        (b'{"NaN": "NaN, Infinity", "b": NaN}', {"NaN": "NaN, Infinity", "b": None}),
        (rb'{"a": "\"NaN\"", "b": NaN, "c": "\\", "d": NaN, "e": "NaN"}',
         {"a": '"NaN"', "b": None, "c": "\\", "d": None, "e": "NaN"}),
        (rb'{"a": "\\\"", "b": NaN}', {"a": '\\"', "b": None}),
        (rb'{"a": "x\ud800y", "b": "\udc00", "c": "\ud83d\ude00"}', {"a": "x\ufffdy", "b": "\ufffd", "c": "\U0001f600"}),
        (b'\xef\xbb\xbf{"a": 1}', {"a": 1}),
        (b'{"a": "x\x01\x00y\tz"}', None),
        (b'{"a": "x\xff\xfey"}', {"a": "x\ufffd\ufffdy"}),
        (b'{"a": 1}', {"a": 1}),
    ],
    ids=range(9),
)  # fmt: skip
def test_mended_text_means_what_it_meant(text, mended):
    found = mend(text)
    if mended is None:  # a tab may stay: the reader refuses it, no other control does
        assert b"\x00" not in found
        assert b"\x01" not in found
        return
    assert json.loads(found) == mended


def test_mending_does_not_depend_on_where_chunks_end():
    """Characters and escapes of several bytes across every boundary near the first megabyte."""
    value = 'é\U0001f600\\"NaN\\' * 40
    for shift in range(8):
        text = json.dumps({"pad": "x" * ((1 << 20) - 60 + shift), "a": value}, ensure_ascii=False)
        data = text.encode().replace(b'"pad"', b'"n": NaN, "pad"')
        assert json.loads(mend(data))["a"] == value


# ---------------------------------------------------------------- weight

KINDS = {"manifest": Manifest, "run_results": RunResults, "sources": Sources, "catalog": Catalog}


def dense(kind: type, data: bytes) -> str | None:
    """Judged as if it were large: the same content many times over has the same weight."""
    return weight.too_light(data, kind, 0) or weight.too_many(
        msgspec.json.decode(data, type=kind), len(data), 0
    )


@pytest.mark.parametrize("folder", all_sets(), ids=name_of)
def test_no_file_of_a_real_dbt_is_too_light(folder):
    for path in folder.glob("*.json.gz"):
        kind = KINDS[path.name.partition(".")[0]]
        for separators in ((", ", ": "), (",", ":")):  # as dbt 1.x writes it, and as 2.x does
            data = json.dumps(load(path), separators=separators).encode()
            assert dense(kind, data) is None, path


def test_commas_and_braces_of_text_weigh_nothing():
    sql = "select " + ",{}" * 200_000
    nodes = {f"model.a.{n}": {"resource_type": "model", "raw_code": sql} for n in range(3)}
    assert weight.too_light(json.dumps({"nodes": nodes}).encode(), Manifest) is None
    escaped = {"nodes": {"model.a.b": {"raw_code": '\\",{' * 300_000}}}
    assert weight.too_light(json.dumps(escaped).encode(), Manifest) is None


def test_what_dbt_never_wrote_is_said_with_its_numbers():
    data = json.dumps({"nodes": {f"test.a.{n}": {} for n in range(30_000)}}).encode()
    assert weight.too_light(data, Manifest) == f"30,002 objects in {len(data):,} bytes"
    numbers = json.dumps({"nodes": {"test.a.b": {"tags": list(range(200_000))}}}).encode()
    assert weight.too_light(numbers, Manifest) == f"199,999 values in {len(numbers):,} bytes"
