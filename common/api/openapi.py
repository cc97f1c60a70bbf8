"""The API's contract as an OpenAPI 3.1 document, made of the rows and models that validate."""

from collections.abc import Sequence
from typing import Any

from pydantic.json_schema import JsonSchemaMode, models_json_schema

from common.api.operations import AnyOperation, Model, NoBody
from common.api.problems import Problem

_REF = "#/components/schemas/{model}"


def openapi_document(operations: Sequence[AnyOperation], version: str) -> dict[str, Any]:
    answered: JsonSchemaMode = "serialization"
    asked: JsonSchemaMode = "validation"
    answers: list[Model] = [Problem, *(operation.answers for operation in operations)]
    bodies: list[Model] = [operation.body for operation in operations]
    models = [(model, answered) for model in dict.fromkeys(answers)]
    models += [(model, asked) for model in dict.fromkeys(bodies)]
    refs, schemas = models_json_schema(models, ref_template=_REF)
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        answer = _content("The answer", "application/json", refs[operation.answers, answered])
        if operation.text is not None:
            answer["content"][operation.text] = {"schema": {"type": "string"}}
        problem = _content("A problem", "application/problem+json", refs[Problem, answered])
        statuses = [operation.status, *([201] if operation.makes else [])]
        described = {
            "operationId": operation.id,
            "summary": operation.summary,
            "parameters": _parameters(operation),
            "responses": {**{str(status): answer for status in statuses}, "default": problem},
            "security": [] if operation.is_open else [{"identity": []}],
        }
        if operation.method in {"POST", "PUT"}:
            described["requestBody"] = {
                "required": operation.body is not NoBody,
                "content": {"application/json": {"schema": refs[operation.body, asked]}},
            }
        paths.setdefault(operation.address, {})[operation.method.lower()] = described
    return {
        "openapi": "3.1.0",
        "info": {"title": "Open Cloud Ops", "version": version},
        "paths": paths,
        "components": {
            "schemas": schemas["$defs"],
            "securitySchemes": {
                "identity": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "an identity token with an email; not needed on a laptop",
                }
            },
        },
    }


def _parameters(operation: AnyOperation) -> list[dict[str, Any]]:
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in operation.parameters
    ]
    schema = operation.query.model_json_schema(ref_template=_REF)
    for name, described in schema.get("properties", {}).items():
        description = described.pop("description", None)
        parameter = {
            "name": name,
            "in": "query",
            "required": name in schema.get("required", ()),
            "schema": described,
        }
        parameters.append(parameter | ({"description": description} if description else {}))
    if operation.takes_if_match:
        parameters.append(
            _header(
                "If-Match", "the version that was read, as in ETag", required=not operation.makes
            )
        )
    if operation.makes:
        parameters.append(_header("If-None-Match", "`*` in place of If-Match: make it"))
    if operation.takes_idempotency_key:
        parameters.append(
            _header("Idempotency-Key", "the same key gives the same answer for 24 hours")
        )
    return parameters


def _header(name: str, description: str, *, required: bool = False) -> dict[str, Any]:
    return {
        "name": name,
        "in": "header",
        "required": required,
        "schema": {"type": "string"},
        "description": description,
    }


def _content(description: str, media_type: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": description, "content": {media_type: {"schema": schema}}}
