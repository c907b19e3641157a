"""Numbers: logarithms of sums, concentration bounds, seeds, moments.  No theory."""
