"""Four independent ways to know a number: derive, integrate, exhaust, simulate.  None imports another."""
