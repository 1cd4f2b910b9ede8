"""The networks, and all that knows of a layer."""
