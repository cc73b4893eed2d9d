"""One module per file format.

Each has ``recognises(head)``, which judges a file's first bytes, and
``read(path, choice, stream)``, which gives a ``drivers.recording.Recording``.
"""
