"""What tests of the studio's routes share: jobs followed to their end, errors checked for their form."""

from typing import Any

import httpx
from tests.studio_served import ended

KINDS = {
    "setting": 422, "data": 400, "not_found": 404, "too_large": 413, "busy": 503,
}  # fmt: skip


def done(client: httpx.Client, path: str, **asked: Any) -> dict[str, Any]:
    """Start a job, wait until it is done, and return it."""
    answer = client.post(path, json=asked)
    assert answer.status_code == 202, answer.text
    job = ended(client, answer.json()["id"])
    assert job["state"] == "done", job["error"]
    return job


def refused(answer: httpx.Response, kind: str) -> str:
    """Check an answer that is an error of a kind, and return its message."""
    assert answer.status_code == KINDS[kind], answer.text
    error = answer.json()["error"]
    assert error["kind"] == kind
    message: str = error["message"]
    assert message
    assert "\n" not in message
    assert len(message) < 1000
    for trace in ("Traceback", "/tmp", "site-packages", "staging", 'File "'):
        assert trace not in message
    return message
