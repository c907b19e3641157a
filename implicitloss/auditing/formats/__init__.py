"""Formats of an audit's report, a file each.  The file's name is the format's.

Each file has `HELP`, one line for the command line, and `to_NAME(finding)`, which returns the text of a file.  The
command line finds it in this folder, and writes it for `--NAME FILE`; where the file says `APPENDS = True`, it adds to
what FILE has.  What is slow to import is imported by the function: `--help` reads these files.
"""
