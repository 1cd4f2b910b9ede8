"""Training: what a step does, and what is kept."""
