"""The workers that make the images."""
