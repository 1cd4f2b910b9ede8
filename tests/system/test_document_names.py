"""README.md and docs/: every link leads somewhere, every option has its line, every default is that of the command."""

from __future__ import annotations

import dataclasses
import pkgutil
import re
from pathlib import Path

import click
import pytest

from gan import TrainConfig
from gan.config import RECIPES
from tests.conftest import ROOT
from tests.system.markdown import ALL, PAGES, anchors, blocks, inline_commands, links, option_tables, spans
from tests.system.options import EVERYWHERE, every_command

README = ROOT / "README.md"
NOT_OURS = {"--now", "--no-deps", "--collector", "--nproc-per-node"}
"""Options of other programs in the documents."""


def test_every_function_that_a_page_names_can_be_imported() -> None:
    named = [span for page in PAGES for span in spans(page) if re.fullmatch(r"(gan|export|jobs|models)(\.\w+)+", span)]
    named = [name for name in named if not name.endswith((".py", ".onnx"))]
    assert len(named) >= 10
    for name in named:
        assert callable(pkgutil.resolve_name(name)), name


@pytest.mark.parametrize("page", ALL, ids=lambda page: page.name)
def test_every_link_leads_to_a_file_and_its_heading(page: Path) -> None:
    for link in links(page):
        name, _, section = link.partition("#")
        target = page.parent / name if name else page
        assert target.exists(), link
        assert not section or section in anchors(target), link


def test_readme_leads_to_every_page() -> None:
    assert {f"docs/{page.name}" for page in PAGES if page != README} <= set(links(README))


def test_readme_is_short() -> None:
    assert len(README.read_text().splitlines()) <= 175


def test_every_option_of_every_command_has_a_line_and_every_line_an_option() -> None:
    assert {name: sorted(table) for name, table in option_tables().items()} == {
        name: sorted(options) for name, options in every_command().items() if options
    }
    assert set(spans(README)) >= EVERYWHERE


def test_documents_name_no_option_that_does_not_exist() -> None:
    known = {spelling for options in every_command().values() for names in options for spelling in names.split(", ")}
    for page in [*PAGES, ROOT / "models/MODEL_CARD.md"]:
        code = [*spans(page), *blocks(page, "sh"), *blocks(page, "cron"), *blocks(page, "ini")]
        named = set(re.findall(r"(?<![\w.-])--[a-z][a-z0-9-]*", "\n".join(code)))
        assert sorted(named - known - NOT_OURS - EVERYWHERE) == [], page.name


def test_commands_of_running_text_have_the_options_that_they_are_shown_with() -> None:
    known = {name: {one for names in options for one in names.split(", ")} for name, options in every_command().items()}
    for page in PAGES:
        for command in inline_commands(page):
            name = max((name for name in known if f"{command} ".startswith(f"{name} ")), key=len, default=None)
            named = set(re.findall(r"(?<= )--[a-z][a-z0-9-]*", command))
            assert name is None or named <= known[name] | EVERYWHERE, command


def shown(value: object) -> str:
    """A default as the tables have it."""
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"{value:g}" if isinstance(value, float) else str(value)


def test_tables_show_the_defaults_of_the_commands() -> None:
    tables = option_tables()
    wrong = [
        (name, spelling, tables[name][spelling]["default"], default)
        for name, options in every_command().items()
        for spelling, option in options.items()
        if "default" in tables[name][spelling] and (default := static_default(option)) is not None
        if tables[name][spelling]["default"] != default
    ]
    assert wrong == []


def static_default(option: click.Option) -> str | None:
    """The default that click knows, as the tables show it; None where it is found while the command runs."""
    value = option.to_info_dict()["default"]
    if option.is_flag and not (option.secondary_opts and value is None):
        return shown(bool(value))
    return shown(value) if value not in (None, "") else None


@pytest.mark.parametrize("recipe", RECIPES)
def test_table_of_training_shows_what_a_recipe_sets(recipe: str) -> None:
    table = {row["option"]: row for row in option_tables()["gan-train"].values() if recipe in row}
    config = dataclasses.asdict(TrainConfig.of(recipe))
    del config["masks"]  # the photos decide it; the option of this name is their folder
    for cell, row in table.items():
        value = config.pop(re.findall("`--([a-z0-9-]+)`", cell)[0].replace("-", "_"))
        assert value is None or row[recipe] == shown(value), cell
    assert {option.name for option in every_command()["gan-train"].values()}.isdisjoint(config), "a row lacks recipes"
