"""Start mimamba in its container; refuse to serve without a token for clients."""

import os
import sys

arguments = sys.argv[1:]
configured = os.environ.get("MIMAMBA_TOKEN") or os.environ.get("MIMAMBA_CONFIG")
if arguments[:1] == ["serve"] and not configured:
    print(
        "Expected a token for clients in MIMAMBA_TOKEN, but found none. "
        "Make one, e.g. with openssl rand -hex 24, and pass it with --env MIMAMBA_TOKEN.",
        file=sys.stderr,
    )
    sys.exit(2)
os.execvp("mimamba", ["mimamba", *arguments])
