"""Numba loops: arrays in, arrays out, random numbers are arguments.  No SymPy, no strings, no theory."""
