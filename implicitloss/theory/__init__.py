"""Closed forms, with the equation that each comes from."""
