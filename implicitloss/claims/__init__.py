"""Statements as data, the checks that settle them, and the reports on what came of it."""
