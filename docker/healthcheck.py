"""Ask the service in this container whether it is alive; exit status 1 where it is not."""

import os
import ssl
import sys
import urllib.request

SECONDS = 4

port = os.environ.get("MIMAMBA_PORT", "8765")
# Its certificate bears another name than this address, and it is only asked whether it answers.
trusting = ssl.create_default_context()
trusting.check_hostname = False
trusting.verify_mode = ssl.CERT_NONE
for scheme in ("http", "https"):
    try:
        with urllib.request.urlopen(
            f"{scheme}://127.0.0.1:{port}/healthz", timeout=SECONDS / 2, context=trusting
        ):
            sys.exit(0)
    except OSError as error:
        print(f"{scheme}: {error}", file=sys.stderr)
sys.exit(1)
