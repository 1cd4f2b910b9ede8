"""Public names that are imported on first use."""

from __future__ import annotations

import sys

import pytest

from models.lazy import lazy_names


def test_a_name_is_that_of_its_module() -> None:
    assert lazy_names({"duration": "models.progress"})("duration") is sys.modules["models.progress"].duration


def test_a_name_that_is_not_there_is_no_attribute() -> None:
    with pytest.raises(AttributeError, match="nothing"):
        lazy_names({"duration": "models.progress"})("nothing")


def test_a_module_is_not_imported_before_its_name_is_asked_for() -> None:
    lazy_names({"name": "models.there_is_no_such_module"})


def test_a_module_that_cannot_be_imported_says_so_and_is_not_taken_for_a_missing_name() -> None:
    with pytest.raises(ModuleNotFoundError, match="there_is_no_such_module"):
        lazy_names({"name": "models.there_is_no_such_module"})("name")
