"""Training scorers by this package's own sampled losses."""
