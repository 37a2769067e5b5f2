from __future__ import annotations

import inspect
import json.decoder
import sys

import pytest

from tenfold.core.asset import Document
from tenfold.data.python_docs import fingerprint, library, python_docs, source_files
from tenfold.data.source import Unreadable
from tenfold.errors import InputError


@pytest.fixture(scope="module")
def documents():
    return list(python_docs())


def test_a_docstring_reads_as_help_shows_it(documents):
    """`inspect` imports the module and asks the object; we only parsed the file."""
    by_source = {document.source: document for document in documents}
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    found = by_source[f"python:{version}/lib/json/decoder.py#JSONDecoder.decode"]
    assert found.text.endswith(inspect.getdoc(json.decoder.JSONDecoder.decode))
    assert found.text.startswith("json.decoder.JSONDecoder.decode(self, s")
    assert found.licence == "PSF-2.0"


def test_topics_are_those_of_pydoc(documents):
    import pydoc_data.topics

    topics = {d.source.rpartition("/")[2]: d.text for d in documents if "/topics/" in d.source}
    assert topics == pydoc_data.topics.topics


def test_ids_are_unique_and_order_is_fixed(documents):
    assert len(documents) > 5000
    assert len({document.id for document in documents}) == len(documents)
    assert [d.id for d in python_docs()] == [d.id for d in documents]


def test_tests_and_other_peoples_packages_are_not_documentation():
    files = source_files(library())
    assert "json/decoder.py" in files
    assert not [f for f in files if {"test", "tests", "site-packages"} & set(f.split("/"))]


def test_nothing_is_imported_and_a_broken_module_is_named(tmp_path):
    (tmp_path / "abc.py").write_text('"""Docs."""\nraise SystemExit("imported!")\n')
    (tmp_path / "broken.py").write_text("x = 1\ndef f(:\n")
    (tmp_path / "twice.py").write_text(
        'if 1:\n  def f():\n    "One."\nelse:\n  def f(a, *, b=2):\n    "Other."\n'
    )
    first, broken, *twice = python_docs(tmp_path)
    assert isinstance(first, Document)
    assert first.text == "abc\n\nDocs."
    assert isinstance(broken, Unreadable)
    assert (broken.cause, broken.where) == ("syntax", "broken.py:2")
    assert [d.text for d in twice] == ["twice.f()\n\nOne.", "twice.f(a, *, b=2)\n\nOther."]
    assert len({d.source for d in twice}) == 2


def test_another_file_means_another_fingerprint(tmp_path):
    (tmp_path / "abc.py").write_text('"""Docs."""\n')
    before = fingerprint(tmp_path)
    assert fingerprint(tmp_path) == before
    (tmp_path / "new.py").write_text("x = 1\n")
    assert fingerprint(tmp_path) != before


def test_an_interpreter_without_sources_is_refused(tmp_path):
    with pytest.raises(InputError, match="without the source"):
        list(python_docs(tmp_path))
