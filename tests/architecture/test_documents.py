"""What the pages say exists: commands and their options, make targets, links, Python that compiles."""

import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.architecture.source import ROOT, committed_files
from typer.main import get_command

from segue.cli.main import app

PAGES = [path for path in committed_files() if path.suffix == ".md"]
FENCE = re.compile(r"^ *```(\w*)\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")
# What a person reads as a command: a line of a console block, or inline code.
INLINE = re.compile(r"`((?:segue|make) [a-z][^`|…]*)`")
OTHER_PROGRAMS = {"pip", "python", "git", "export"}


def blocks(language: str) -> list[tuple[str, str]]:
    """Pairs of page and text of every block of a language."""
    return [
        (str(page.relative_to(ROOT)), match[2])
        for page in PAGES
        for match in FENCE.finditer(page.read_text(encoding="utf-8"))
        if match[1] == language
    ]


def commands() -> list[tuple[str, str, bool]]:
    """Page, command and whether it stands whole: console blocks do, inline code need not."""
    found = [
        (page, line.strip(), True)
        for page, text in blocks("console")
        for line in text.replace("\\\n", " ").splitlines()
        if line.strip()
    ]
    for page in PAGES:
        prose = FENCE.sub("", page.read_text(encoding="utf-8"))
        found += [(str(page.relative_to(ROOT)), m[1], False) for m in INLINE.finditer(prose)]
    return sorted(set(found))


def faults(line: str, *, whole: bool = False) -> list[str]:
    """What is wrong with a documented command.

    Args:
        line: the command.
        whole: whether it must run as it stands, with everything that is required.
    """
    program, *words = shlex.split(line)
    if program == "make":
        targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
        return [word for word in words if "=" not in word and word not in targets]
    if program == "segue":
        return segue_faults(words, whole=whole)
    return [] if program in OTHER_PROGRAMS else [f"unknown program {program}"]


def segue_faults(words: list[str], *, whole: bool) -> list[str]:
    """What is wrong with the words behind `segue`, by the command's own parser."""
    command: Any = get_command(app)
    while words and (members := getattr(command, "commands", None)) and words[0] in members:
        command, words = members[words[0]], words[1:]
    if hasattr(command, "commands"):
        unknown = [word for word in words if word not in {"--help", "--version"}]
        if whole and not words:
            return ["a command is missing"]
        return [f"no command {unknown[0]}"] if unknown else []
    try:
        context = command.context_class(command, info_name="segue")
        values, rest, _ = command.make_parser(context).parse_args(list(words))
    except Exception as error:  # noqa: BLE001 - each typer release has its own classes
        return [str(error)]
    missing = [
        parameter.name
        for parameter in command.params
        if whole and parameter.required and values.get(parameter.name) in (None, ())
    ]
    return [f"left over: {word}" for word in rest] + [f"missing: {name}" for name in missing]


@pytest.mark.parametrize(("page", "line", "whole"), commands())
def test_documented_commands_exist(page: str, line: str, whole: bool) -> None:
    assert faults(line, whole=whole) == [], f"{page}: {line}"


def test_there_are_documented_commands() -> None:
    assert len(commands()) > 20


@pytest.mark.parametrize(
    "line",
    [
        "segue midi inpant x.mid",
        "segue doctor --jsn",
        "make dmo",
        "segue models verfy",
        "frobnicate",
    ],
)
def test_a_wrong_command_is_found(line: str) -> None:
    assert faults(line) != []


def test_python_in_the_pages_compiles() -> None:
    found = blocks("python")
    assert found
    for page, text in found:
        compile(text, page, "exec")


def test_every_command_of_the_application_has_help() -> None:
    page = (ROOT / "docs" / "reference" / "commands.md").read_text(encoding="utf-8")
    assert page.count("\n## segue") > 8


def test_the_generated_page_is_current() -> None:
    script = ROOT / "docs" / "make_reference.py"
    result = subprocess.run(
        [sys.executable, script, "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr


def test_links_lead_somewhere() -> None:
    broken = [
        f"{page.relative_to(ROOT)}: {target}"
        for page in PAGES
        for target in LINK.findall(page.read_text(encoding="utf-8"))
        if "://" not in target and not (page.parent / target).exists()
    ]
    assert broken == []


def test_every_page_is_reached_from_the_readme() -> None:
    reached, waiting = set(), [ROOT / "README.md"]
    while waiting:
        page: Path = waiting.pop().resolve()
        if page in reached or page.suffix != ".md" or not page.is_file():
            continue
        reached.add(page)
        links = LINK.findall(page.read_text(encoding="utf-8"))
        waiting += [page.parent / target for target in links if "://" not in target]
    own = {page for page in PAGES if page.is_relative_to(ROOT / "docs")}
    assert sorted(own - reached) == []
