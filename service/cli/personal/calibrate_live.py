"""A calibration in the terminal: cues as text with a bell, ratings typed after each block."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mimamba.drivers.errors import UserError
from mimamba.service.cli.control import request_answer

if TYPE_CHECKING:
    from mimamba.service.client.credentials import Credentials

POLL = 0.25
"""Seconds between two looks at the calibration."""
BELL = "\a"
INSTRUCTIONS = {
    "calm": "Breathe slowly: 4 s in, 6 s out. Eyes open.",
    "strained": "Subtract {step} from {number}, again and again, silently and fast. Eyes open.",
    "pleasant": "Recall a pleasant moment of yours, as vividly as you can. Eyes closed.",
    "unpleasant": "Recall an unpleasant moment of yours, as vividly as you can. Eyes closed.",
}
"""Tasks of the states that have names of their own."""


class BadRating(UserError):
    """The typed rating is not two numbers from 0 to 100."""


@dataclass(frozen=True)
class LiveSitting:
    """A session of a running service.

    Parameters
    ----------
    url
        Address of the service.
    session
        Id of the session.
    credentials
        Token to send, and certificates to trust.
    """

    url: str
    session: str
    credentials: Credentials

    def ask(
        self, method: str, resource: str = "calibration", body: Mapping[str, object] | None = None
    ) -> dict[str, Any]:
        """Send a request about the session; raises as ``request_answer``."""
        answer = request_answer(self.url, self.session, resource, body, self.credentials, method)
        return dict(answer)

    def run(self, wanted: Mapping[str, object]) -> dict[str, Any]:
        """Go through a calibration, and return it with its verdict; Ctrl+C stops it."""
        begun = self.ask("POST", body=wanted)
        again = f", resumed at block {begun['progress']['block']}" if begun["resumed"] else ""
        _say(f"Calibration {begun['id']} of {begun['person']}{again}. Ctrl+C stops it; the same")
        _say("command goes on with it on the same day. No typing, speech or grimaces in a block.")
        _say(f"SHA-256 of the drawn order: {begun['plan_hash']}")
        try:
            return self._follow()
        except KeyboardInterrupt:
            self.ask("DELETE")
            _say("\nStopped. What is there is kept.")
            raise

    def _follow(self) -> dict[str, Any]:
        shown: tuple[object, ...] = ()
        while True:
            now = self.ask("GET")
            progress = now["progress"]
            key = (progress["phase"], progress["block"], progress["repeat"])
            if key != shown:
                _say(describe_phase(progress))
                shown = key
            if progress["phase"] in ("done", "failed", "stopped"):
                return now
            if progress["rating_due"]:
                self._rate()
            time.sleep(POLL)

    def _rate(self) -> None:
        while True:
            sys.stdout.write("valence arousal: ")
            sys.stdout.flush()
            line = sys.stdin.readline()
            if not line:
                raise KeyboardInterrupt
            try:
                self.ask("POST", "calibration/ratings", parse_rating(line))
            except BadRating as error:
                _say(str(error))
            else:
                return


def parse_rating(line: str) -> dict[str, float]:
    """Read valence and arousal, 0 to 100, from a typed line; raises BadRating."""
    try:
        valence, arousal = (float(part) for part in line.replace(",", " ").split())
    except ValueError:
        valence = arousal = -1.0
    if not (0 <= valence <= 100 and 0 <= arousal <= 100):
        raise BadRating(
            f"Expected two numbers from 0 to 100, such as 70 40, but found {line.strip()!r}. "
            "Type them again."
        )
    return {"valence": valence, "arousal": arousal}


def describe_phase(progress: Mapping[str, Any]) -> str:
    """Describe what the person does now."""
    phase, kind = progress["phase"], progress["kind"]
    place = f"{progress['block']} of {progress['of']}"
    if phase == "rest":
        return f"Rest for {progress['total']:g} s of good signal, with a soft face."
    if phase == "cue":
        task = INSTRUCTIONS.get(kind, f"Be {kind}.").format(**progress)
        again = " (again: the signal was poor)" if progress["repeat"] else ""
        return f"\n{BELL}Block {place}{again}: {kind}. {task} It begins at the next bell."
    if phase == "block":
        return f"{BELL}Begin: {kind}, {progress['total']:g} s."
    if phase == "rating":
        return f"{BELL}End. How was it? Unpleasant 0 to pleasant 100, then calm 0 to excited 100."
    words = {"pause": "Pause.", "judging": "Thank you. The blocks are judged.", "done": "Done."}
    return words.get(phase, f"The calibration has {phase}.")


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
