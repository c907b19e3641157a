"""The commands of `implicitloss`, a file each.  The file's name is the command's; `cli.main` finds it in this folder.

Each file has `HELP`, one line for `implicitloss --help`; `add_arguments(parser)`; and `run(args)`, which does the work
and returns the exit code.  Arguments that name files have the type `Input` or `Output` (see `cli.files`): `cli.main`
then checks, before `run`, that no output is an input.
"""
