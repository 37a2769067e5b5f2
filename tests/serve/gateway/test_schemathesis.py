"""Requests made from the gateway's own OpenAPI document, fitting it and not: none fails the gateway, and every
answer is one that the document has."""

from __future__ import annotations

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]


def statuses(operation, mode) -> set[int]:
    """What came for requests of one kind; all were checked."""
    found = set()
    cases = operation.as_strategy(generation_mode=mode)

    @settings(
        max_examples=12,
        deadline=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.data())
    def ask(data):
        case = data.draw(cases)
        if isinstance(case.body, dict) and "model" in case.body:
            case.body["model"] = "echo"  # most names are of no model, and not worth many requests
        found.add(case.call_and_validate(checks=CHECKS, timeout=10).status_code)

    ask()
    return found


def test_every_operation_answers_as_the_document_says(serving, echo, tmp_path):
    with serving(echo, state_dir=tmp_path) as served:
        document = httpx.get(served.url + "/openapi.json").raise_for_status().json()
        schema = schemathesis.openapi.from_dict(document)
        schema.config.update(base_url=served.url)
        seen = {}
        for result in schema.get_all_operations():
            operation = result.ok()
            found = seen[operation.label] = statuses(
                operation, schemathesis.GenerationMode.POSITIVE
            )
            if operation.method == "post":
                found |= statuses(operation, schemathesis.GenerationMode.NEGATIVE)
        assert set(seen) == {
            f"{method.upper()} {path}"
            for path, methods in document["paths"].items()
            for method in methods
        }
        assert any(200 in found for label, found in seen.items() if label.startswith("POST"))
        assert 200 in seen["GET /v1/models"]
        assert httpx.get(served.url + "/healthz").status_code == 200


@pytest.mark.parametrize("method", ["POST", "DELETE"])
def test_the_document_is_only_read(serving, echo, method):
    with serving(echo) as served:
        assert httpx.request(method, served.url + "/openapi.json").status_code == 405
