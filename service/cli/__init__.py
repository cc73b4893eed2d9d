"""The command line ``mimamba``; each module has the commands that it is named by."""
