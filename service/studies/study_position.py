"""The place in a study at which another service can go on with it."""

from __future__ import annotations

from dataclasses import dataclass

from mimamba.drivers.lsl.markers import ReceivedMarker
from mimamba.service.feedback.live_feedback import Assignment
from mimamba.service.protocol.study_progress import StudyProgress
from mimamba.service.studies.protocol_file import StudyProtocol


@dataclass(frozen=True)
class GivenFeedback:
    """Feedback of a step.

    Parameters
    ----------
    id
        Of its run, which is noted before it begins: whoever goes on looks for it.
    logged_in
        Name of the recording that has its log; None until it is certain that it has begun.
    """

    id: str
    logged_in: str | None = None


@dataclass(frozen=True)
class StudyPosition:
    """A place in a study at which another service can go on.

    Parameters
    ----------
    id
        Of the run.
    protocol, progress
        The protocol, and the step that goes on.
    began
        Begin of the step, s on the session's clock.
    marker
        The newest marker, which may not be set yet; None before the first one.
    ending
        Whether only its end is left.
    assignment
        Whose values its feedback shows; None for a study without. No client is told.
    given
        The feedback of the step; None if it has begun none.
    shown
        Seconds of a sham that the steps before have shown.
    """

    id: str
    protocol: StudyProtocol
    progress: StudyProgress
    began: float
    marker: ReceivedMarker | None = None
    ending: bool = False
    assignment: Assignment | None = None
    given: GivenFeedback | None = None
    shown: float = 0.0
