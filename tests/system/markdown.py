"""What the documents hold: their blocks, code spans, links, headings, and tables of options."""

from __future__ import annotations

import re
from pathlib import Path

from tests.conftest import ROOT

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
"""What a user reads and types from."""
ALL = [*PAGES, ROOT / "CHANGELOG.md", ROOT / "BENCHMARKS.md", ROOT / "EXPERIMENTS.md", ROOT / "models/MODEL_CARD.md"]


def blocks(page: Path, language: str) -> list[str]:
    """The fenced blocks of one language, in their order."""
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)


def spans(page: Path) -> list[str]:
    """The code spans of running text and tables, each once."""
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    return list(dict.fromkeys(re.findall(r"`([^`\n]+)`", text)))


def inline_commands(page: Path) -> list[str]:
    """The code spans that are a command of ours, of make or of pip, with an argument."""
    return [span for span in spans(page) if re.match(r"(gan-(train|eval|export|batch)|make|pip) \S", span)]


def links(page: Path) -> list[str]:
    """What the page links to or shows, without addresses of the web."""
    return [link for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()) if "://" not in link]


def anchors(page: Path) -> list[str]:
    """The names that links may lead to: each heading in lower case, with hyphens, as Markdown viewers make them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return [re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings]


def option_tables() -> dict[str, dict[str, dict[str, str]]]:
    """Of each command with a section `Options of …`: its options, and the cells of each by the table's head.

    An option that may be switched off is named with both spellings: `--augment`, `--no-augment`.
    """
    found: dict[str, dict[str, dict[str, str]]] = {}
    for page in PAGES:
        sections = re.split(r"^#+ (.+)\n", page.read_text(), flags=re.MULTILINE)
        for heading, body in zip(sections[1::2], sections[2::2], strict=True):
            if match := re.fullmatch(r"Options of `(.+)`", heading):
                assert match[1] not in found, f"two sections of {match[1]}"
                found[match[1]] = _options(body)
    return found


def _options(body: str) -> dict[str, dict[str, str]]:
    options: dict[str, dict[str, str]] = {}
    head: list[str] = []
    for line in body.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        if line.startswith("| option |"):
            head = cells
        elif line.startswith("| `--"):
            name = cells[0].replace("`", "")
            assert name not in options, name
            options[name] = dict(zip(head, cells, strict=True))
    return options
