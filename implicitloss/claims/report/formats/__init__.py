"""Formats of a report on claims, a file each.  The file's name is the format's.

Each file has `HELP`, one line for the command line, and `to_NAME(report)`, which returns the text of a file.  The
command line finds it in this folder, and writes it for `--NAME FILE`.
"""
