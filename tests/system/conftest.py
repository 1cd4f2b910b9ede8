"""Exports here take as long as those of tests/export."""

from tests.export.conftest import _operators_are_read_once as _operators_are_read_once
