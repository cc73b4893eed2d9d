"""The command line ``mimamba``; each module is named after its commands."""
