"""Prediction sets: labels among which the true one is nine times in ten.

A label is in the set if 1 minus its probability is at most a threshold. The threshold begins as the
quantile of people held out of the training (split conformal prediction; Vovk et al., "Algorithmic
Learning in a Random World", 2005). Once true labels come, it follows this person. After each it
rises by 0.9 ``STEP`` if the set missed the label, and falls by 0.1 ``STEP`` if not, so that

    share of misses - 0.1 = (threshold now - threshold at first) / (STEP * number of labels)

for any sequence whatever, without an assumption about the signal or the model. The threshold stays
between -0.1 ``STEP`` and 1 + 0.9 ``STEP``. Source: quantile tracking, in Angelopoulos, Candès and
Tibshirani, "Conformal PID Control for Time Series Prediction" (arXiv 2307.16895), after Gibbs and
Candès, "Adaptive Conformal Inference Under Distribution Shift" (arXiv 2106.00263).

A set may be empty: the model has been right more often than nine times in ten, and is less certain
of this hop than it usually is.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mimamba.models.prediction import LabelSet, Outputs, Prediction

TARGET = 0.9
"""Share of the hops whose set is to hold the true label."""
STEP = 0.05
"""Strength of the adaptation."""
RECENT = 200
"""Newest labelled hops whose share of hits is shown."""
EVERYTHING = 1.0
"""Threshold at which all labels are in the set."""
ONCE = ", once"
"""End of the text of a label that holds for one hop."""


def start_threshold(scores: NDArray[np.float64]) -> float:
    """Return the threshold for hops of people held out.

    Parameters
    ----------
    scores
        (n_hops,) 1 minus the probability of the true label.

    Returns
    -------
    Their quantile with the correction for a finite number, or 1 if there are too few of them.
    """
    place = math.ceil((len(scores) + 1) * TARGET)
    return float(np.sort(scores)[place - 1]) if place <= len(scores) else EVERYTHING


def next_threshold(threshold: float, hit: bool) -> float:
    """Return the threshold after a labelled hop."""
    return threshold + STEP * (float(not hit) - (1 - TARGET))


def track(scores: NDArray[np.float64], threshold: float) -> NDArray[np.float64]:
    """Return the threshold (n_hops,) at each hop of a stream, all of whose hops are labelled.

    ``scores`` are as for ``start_threshold``; ``threshold`` is that of the first hop.
    """
    used = np.empty(len(scores))
    for n, score in enumerate(scores.tolist()):
        used[n] = threshold
        threshold = next_threshold(threshold, score <= threshold)
    return used


@dataclass(frozen=True)
class TrueLabel:
    """True label of an output, from a marker or a rating.

    ``label`` is None if it is not known any more. With ``once`` it holds for one hop.
    """

    output: str
    label: str | None
    once: bool = False

    def __str__(self) -> str:
        return f"{self.output}={self.label or ''}{ONCE if self.once else ''}"


@dataclass(frozen=True)
class OutputSets:
    """State of one output's sets.

    Parameters
    ----------
    threshold
        The threshold; None before there is one.
    hits
        A digit for each of the newest labelled hops, 1 if the set had the label.
    label
        The label that is true until another one comes; None if it is not known.
    """

    threshold: float | None = None
    hits: str = ""
    label: str | None = None

    def set_of(self, shares: Mapping[str, float]) -> LabelSet | None:
        """Return the set for probabilities by label; None before there is a threshold."""
        if self.threshold is None:
            return None
        labels = tuple(label for label, share in shares.items() if 1 - share <= self.threshold)
        n = len(self.hits)
        return LabelSet(labels, self.hits.count("1") / n if n else None, n)

    def learn(self, shares: Mapping[str, float], label: str) -> OutputSets:
        """Return the state after a hop with these probabilities and this true label."""
        threshold = EVERYTHING if self.threshold is None else self.threshold
        hit = 1 - shares[label] <= threshold
        hits = f"{self.hits}{int(hit)}"[-RECENT:]
        return replace(self, threshold=next_threshold(threshold, hit), hits=hits)


class LabelSets:
    """Makes the sets of one stream's predictions, and learns from true labels.

    What is learnt from a hop holds from the next one on. So a set depends only on the predictions
    and on the labels that came before.

    Parameters
    ----------
    outputs
        Labels by output.
    thresholds
        Thresholds by output, of people held out. An output without one has no set until a true
        label has come.
    """

    def __init__(
        self, outputs: Mapping[str, Sequence[str]], thresholds: Mapping[str, float]
    ) -> None:
        self._outputs = outputs
        self._states = {output: OutputSets(thresholds.get(output)) for output in outputs}
        self._come: deque[tuple[int, TrueLabel]] = deque()
        self._waiting: list[tuple[int, TrueLabel]] = []
        self._once: dict[str, str] = {}

    @property
    def state(self) -> tuple[OutputSets, ...]:
        """State of each output, in order; set it to continue from there."""
        return tuple(self._states.values())

    @state.setter
    def state(self, state: Sequence[OutputSets]) -> None:
        self._states = dict(zip(self._outputs, state, strict=True))

    def parse(self, text: str) -> TrueLabel | None:
        """Read ``OUTPUT=LABEL``, or ``OUTPUT=`` if the label is not known any more.

        Text about something else is None.
        """
        output, equals, label = text.removesuffix(ONCE).partition("=")
        if not equals or output not in self._outputs:
            return None
        if label and label not in self._outputs[output]:
            return None
        return TrueLabel(output, label or None, text.endswith(ONCE))

    def put(self, index: int, text: str) -> None:
        """Use a label from the first hop at or after a sample on; text of something else is left.

        May be called in any thread.
        """
        found = self.parse(text)
        if found is not None:
            self._come.append((index, found))

    def use(self, label: TrueLabel) -> None:
        """Use a label from the next hop on."""
        if label.once:
            if label.label is not None:
                self._once[label.output] = label.label
        else:
            self._states[label.output] = replace(self._states[label.output], label=label.label)

    def begin_epoch(self) -> None:
        """Forget the true labels, as the stream starts over; keep the thresholds."""
        self._come.clear()
        self._waiting.clear()
        self._once.clear()
        self._states = {name: replace(each, label=None) for name, each in self._states.items()}

    def use_due(self, prediction: Prediction) -> list[TrueLabel]:
        """Use the labels that hold from a hop on, and return them: the newest of each output.

        A label for one hop waits for one with probabilities.
        """
        if not self._come and not self._waiting:
            return []
        while self._come:
            self._waiting.append(self._come.popleft())
        self._waiting.sort(key=lambda each: each[0])
        due: dict[tuple[str, bool], TrueLabel] = {}
        later = []
        for index, label in self._waiting:
            if index <= prediction.index and (prediction.outputs or not label.once):
                due[label.output, label.once] = label
            else:
                later.append((index, label))
        self._waiting = later
        for label in due.values():
            self.use(label)
        return [*due.values()]

    def add_to(self, prediction: Prediction) -> Prediction:
        """Return the prediction with its sets, and learn from the true labels of its hop."""
        if not prediction.outputs:
            return prediction
        sets = self._sets(prediction.outputs)
        for output, shares in prediction.outputs.items():
            label = self._once.pop(output, None) or self._states[output].label
            if label is not None:
                self._states[output] = self._states[output].learn(shares, label)
        if not sets:
            return prediction
        made = prediction  # to copy it field by field takes a quarter of the time of ``replace``
        return Prediction(made.index, made.timestamp, made.status, made.reason, made.outputs, sets)

    def _sets(self, outputs: Outputs) -> dict[str, LabelSet]:
        found = {output: self._states[output].set_of(shares) for output, shares in outputs.items()}
        return {output: each for output, each in found.items() if each is not None}
