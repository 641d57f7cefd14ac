"""The command line: one program, one file a family of commands."""
