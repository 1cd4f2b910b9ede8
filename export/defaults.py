"""What a generator is exported with unless it is told otherwise; read by the command line, so nothing heavy is here."""

OPSET = 18
PRECISION = "float32"
PHOTOS = True
"""Whether the file says which photos it was trained on."""
BATCHES = (1, 2, 3, 64, 129)
"""1 and 2 catch graphs that are fixed to the size of the example, 129 those that are good for powers of two."""
SMALL_BATCHES = 3
"""Up to this they are compared however large the network's maps are."""
PORT = 8000
"""Of the server that shows a page."""
