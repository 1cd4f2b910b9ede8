"""Where a run lands."""
