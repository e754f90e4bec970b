"""A page for people that lists what the HTTP interface does, made from its OpenAPI document."""

import html
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

_METHODS: Final = ("get", "post", "put", "delete")
_HEAD: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="icon" href="/static/favicon.svg" type="image/svg+xml">
<link rel="stylesheet" href="/static/studio.css">
<link rel="stylesheet" href="/static/api.css">
<script src="/static/theme.js"></script>
</head>
<body class="api">
<main>
"""


def described(document: Mapping[str, Any]) -> str:
    """Return an OpenAPI document as a page of HTML.

    Args:
        document: as `FastAPI.openapi` makes it.
    """
    info = document["info"]
    parts = [_HEAD.format(title=_text(f"{info['title']}: HTTP interface"))]
    parts.append(f"<h1>{_text(info['title'])}: HTTP interface</h1>")
    parts += [f"<p>{_prose(each)}</p>" for each in info.get("description", "").split("\n\n")]
    parts.append('<p>For programs: <a href="/api/openapi.json">/api/openapi.json</a> (OpenAPI).')
    parts.append('Back to <a href="/">the studio</a>.</p>')
    for tag, operations in _by_tag(document).items():
        parts.append(f"<section><h2>{_text(tag.capitalize())}</h2>")
        parts += [_operation(document, *operation) for operation in operations]
        parts.append("</section>")
    schemas = document.get("components", {}).get("schemas", {})
    parts.append("<section><h2>Forms</h2>")
    parts += [_form(name, schemas[name]) for name in sorted(schemas)]
    return "\n".join([*parts, "</section>", "</main>", "</body>", "</html>", ""])


Operation = tuple[str, str, Mapping[str, Any]]


def _by_tag(document: Mapping[str, Any]) -> dict[str, list[Operation]]:
    """Sort the operations by their first tag."""
    found: dict[str, list[Operation]] = {}
    for path, item in document["paths"].items():
        for method in _METHODS:
            if method in item:
                tag = (item[method].get("tags") or ["studio"])[0]
                found.setdefault(tag, []).append((method, path, item[method]))
    return found


def _operation(document: Mapping[str, Any], method: str, path: str, item: Mapping[str, Any]) -> str:
    """Return one operation."""
    told = item.get("description") or item.get("summary", "")
    parts = [f"<article><h3><code>{method.upper()} {_text(path)}</code></h3><p>{_prose(told)}</p>"]
    rows = [
        (each["name"], each.get("schema", {}), each.get("description", ""), each.get("required"))
        for each in item.get("parameters", [])
    ]
    if rows:
        parts.append(_table(rows))
    for kind, content in item.get("requestBody", {}).get("content", {}).items():
        parts.append(f"<p>Body: {_text(kind)}{_named(content.get('schema', {}))}</p>")
        parts.append(_table(list(_fields(_resolved(document, content.get("schema", {}))))))
    for status, answer in item.get("responses", {}).items():
        if status not in {"default", "422"}:
            kinds = ", ".join(
                _text(kind) + _named(content.get("schema", {}))
                for kind, content in answer.get("content", {}).items()
            )
            parts.append(f"<p>Answer: {_text(status)} {kinds}</p>")
    return "\n".join([*parts, "</article>"])


Row = tuple[str, Mapping[str, Any], str, Any]


def _form(name: str, schema: Mapping[str, Any]) -> str:
    """Return one form of a body or an answer."""
    told = _prose(schema.get("description", ""))
    anchor = html.escape(f"form-{name}", quote=True)
    return f'<article id="{anchor}"><h3>{_text(name)}</h3><p>{told}</p>{_table(list(_fields(schema)))}</article>'


def _fields(schema: Mapping[str, Any]) -> Iterator[Row]:
    """Return the fields of a form."""
    required = schema.get("required", [])
    for name, field in schema.get("properties", {}).items():
        yield name, field, field.get("description", ""), name in required


def _resolved(document: Mapping[str, Any], schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """Follow a reference to a form."""
    name = str(schema.get("$ref", "")).rpartition("/")[2]
    found: Mapping[str, Any] = document.get("components", {}).get("schemas", {}).get(name, schema)
    return found


def _table(rows: list[Row]) -> str:
    """Return names, types and meanings as a table."""
    if not rows:
        return ""
    lines = [
        f"<tr><th scope=row><code>{_text(name)}</code></th><td>{_kind(schema)}{_default(schema)}"
        f"{', needed' if required else ''}</td><td>{_prose(told)}</td></tr>"
        for name, schema, told, required in rows
    ]
    head = "<tr><th scope=col>Name</th><th scope=col>Type</th><th scope=col>Meaning</th></tr>"
    return f"<table><thead>{head}</thead><tbody>{''.join(lines)}</tbody></table>"


def _kind(schema: Mapping[str, Any]) -> str:
    """Return the type of a value in words."""
    if "$ref" in schema:
        name = str(schema["$ref"]).rpartition("/")[2]
        return f'<a href="#{html.escape(f"form-{name}", quote=True)}">{_text(name)}</a>'
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(_kind(each) for each in schema["anyOf"]))
    if "enum" in schema:
        return ", ".join(_text(repr(each)) for each in schema["enum"])
    if schema.get("type") == "array":
        return f"list of {_kind(schema.get('items', {}))}"
    words = {"integer": "whole number", "boolean": "true or false", "string": "text"}
    name = str(schema.get("type", "any"))
    bounds = [
        f"{sign} {schema[key]:g}"
        for key, sign in (
            ("minimum", "≥"), ("exclusiveMinimum", ">"), ("maximum", "≤"), ("exclusiveMaximum", "<"),
        )
        if key in schema
    ]  # fmt: skip
    return _text(" ".join([words.get(name, name), *bounds]))


def _default(schema: Mapping[str, Any]) -> str:
    """Return the value that holds where none is given."""
    default = schema.get("default")
    return "" if default is None else f", by default {_text(repr(default))}"


def _named(schema: Mapping[str, Any]) -> str:
    """Return the name of a form with a link to it."""
    if "$ref" in schema:
        return f", {_kind(schema)}"
    if schema.get("type") == "array" and "$ref" in schema.get("items", {}):
        return f", {_kind(schema)}"
    return ""


def _prose(value: str) -> str:
    """Return what a docstring tells a caller, words between backticks as code."""
    told = re.split(r"\n\s*(?:Args|Returns|Raises):", value)[0].strip()
    return re.sub(r"`+([^`]+)`+", r"<code>\1</code>", _text(told))


def _text(value: object) -> str:
    """Return a value as text inside HTML."""
    return html.escape(str(value), quote=True)
