"""Set a stimulus marker in a running session.

    python send_marker.py simulate-1 stimulus/left

The time is taken before the request is sent, on the clock of the service's machine (the LSL clock).
So the marker is where the stimulus was, however long the request takes. Leave ``timestamp`` out
where the program runs on another machine: the service then takes the time of arrival.
"""

import argparse
import json
import urllib.request

from pylsl import local_clock


def send_marker(url: str, session: str, label: str) -> dict[str, object]:
    """Set a marker now; the answer says at which sample it is."""
    body = {"label": label, "timestamp": local_clock()}
    request = urllib.request.Request(
        f"{url}/v1/sessions/{session}/markers",
        data=json.dumps(body).encode(),
        headers={"Content-Type": "application/json"},
        method="POST",
    )
    with urllib.request.urlopen(request) as answer:
        marker: dict[str, object] = json.load(answer)
    return marker


def main() -> None:
    """Read the options and send one marker."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("session")
    parser.add_argument("label")
    parser.add_argument("--url", default="http://127.0.0.1:8765", help="address of the service")
    options = parser.parse_args()
    print(send_marker(options.url, options.session, options.label))


if __name__ == "__main__":
    main()
