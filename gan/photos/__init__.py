"""The photos: which files they are, whether they are fit to train on, how they are split."""
