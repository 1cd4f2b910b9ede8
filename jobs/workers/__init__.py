"""Who makes the images."""
