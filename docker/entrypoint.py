"""Start mimamba in its container; refuse to serve without a token, which others must show."""

import os
import sys

arguments = sys.argv[1:]
told = os.environ.get("MIMAMBA_TOKEN") or os.environ.get("MIMAMBA_CONFIG")
if arguments[:1] == ["serve"] and not told:
    print(
        "Expected a token that clients must show, "
        "but found no MIMAMBA_TOKEN in the environment. Make "
        "one, e.g. with openssl rand -hex 24, and give it with --env MIMAMBA_TOKEN.",
        file=sys.stderr,
    )
    sys.exit(2)
os.execvp("mimamba", ["mimamba", *arguments])
