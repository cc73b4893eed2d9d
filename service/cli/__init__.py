"""The command line, `mimamba`."""
