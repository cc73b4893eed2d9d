"""Check that the service in this container answers; exit status 1 if it does not."""

import os
import ssl
import sys
import urllib.request

SECONDS = 4

port = os.environ.get("MIMAMBA_PORT", "8765")
# Its certificate has another name than this address, and nothing secret is sent.
context = ssl.create_default_context()
context.check_hostname = False
context.verify_mode = ssl.CERT_NONE
for scheme in ("http", "https"):
    try:
        with urllib.request.urlopen(
            f"{scheme}://127.0.0.1:{port}/healthz", timeout=SECONDS / 2, context=context
        ):
            sys.exit(0)
    except OSError as error:
        print(f"{scheme}: {error}", file=sys.stderr)
sys.exit(1)
