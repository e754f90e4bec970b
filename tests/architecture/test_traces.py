"""Nothing of the machine it was written on, and no unfinished marks, in what is committed."""

import re

import pytest
from tests.architecture.source import ROOT, committed_files

# Put together here so that this file does not hold what it looks for.
MACHINE = re.compile(
    "|".join(
        [
            r"(?<![\w.])/" + "work/",
            "/" + "tmp/w/",
            "/" + "root/",
            "/" + "home/" + r"[a-z]+/",
            "/" + "opt/(wheels|pypi)",
            r"\.\./" + "shared",
            "extra-index-url" + r"\s+file:",
        ]
    )
)
UNFINISHED = re.compile(r"\b(TO" + "DO|FIX" + "ME|X" + r"XX)\b")
TEXT = {".py", ".md", ".toml", ".yaml", ".yml", ".txt", ".json", ".jsonl", ".cfg", ".sh", ""}


def findings(pattern: re.Pattern[str]) -> list[str]:
    """Places in committed text files where a pattern occurs."""
    found = []
    for path in committed_files():
        if path.suffix not in TEXT:
            continue
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
        found += [
            f"{path.relative_to(ROOT)}:{number}"
            for number, line in enumerate(lines, 1)
            if pattern.search(line)
        ]
    return found


@pytest.mark.parametrize("pattern", [MACHINE, UNFINISHED], ids=["machine", "unfinished"])
def test_no_traces(pattern: re.Pattern[str]) -> None:
    assert len(committed_files()) > 50
    assert findings(pattern) == []


def test_the_patterns_see_what_they_should() -> None:
    assert MACHINE.search("open('/" + "tmp/w/x')")
    assert MACHINE.search("see ../" + "shared/data")
    assert not MACHINE.search("framework/ and /dev/null")
    assert UNFINISHED.search("# TO" + "DO later")
