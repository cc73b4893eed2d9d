"""Predictions as a table of pandas, where pandas is installed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import nan
from types import ModuleType
from typing import TYPE_CHECKING

from mimamba.drivers.errors import LibraryMissing
from mimamba.service.protocol.messages import PredictionMessage

if TYPE_CHECKING:
    from pandas import DataFrame

FACTS = ("seq", "index", "timestamp", "status", "reason")
"""Columns before those of the labels."""


def load_pandas() -> ModuleType:
    """Return pandas.

    Raises
    ------
    LibraryMissing
        If it is not installed.
    """
    try:
        import pandas
    except ImportError as error:
        raise LibraryMissing("pandas", str(error), "install it: pip install pandas") from error
    loaded: ModuleType = pandas
    return loaded


def make_table(
    predictions: Iterable[PredictionMessage], outputs: Mapping[str, Sequence[str]]
) -> DataFrame:
    """Make a table with a row for each prediction.

    Parameters
    ----------
    predictions
        In their order.
    outputs
        Labels by output: their columns are there even if no prediction has a value.

    Returns
    -------
    DataFrame
        Columns ``seq``, ``index`` (of the newest sample), ``timestamp`` (s on the LSL clock),
        ``status``, ``reason``, and one per label, such as ``valence/low``: its probability, NaN
        where the model abstains. Those of the person's own output, such as ``personal/calm``, are
        last.

    Raises
    ------
    LibraryMissing
        If pandas is not installed.
    """
    pandas = load_pandas()
    labels = {f"{output}/{label}": None for output, names in outputs.items() for label in names}
    own: dict[str, None] = {}
    rows: list[dict[str, object]] = []
    for each in predictions:
        shares = {
            f"{output}/{label}": share
            for output, by_label in (each.outputs or {}).items()
            for label, share in by_label.items()
        }
        reading = each.personal.probabilities if each.personal else None
        personal = {f"personal/{state}": share for state, share in (reading or {}).items()}
        labels |= dict.fromkeys(shares)
        own |= dict.fromkeys(personal)
        rows.append({name: getattr(each, name) for name in FACTS} | shares | personal)
    columns = [*FACTS, *labels, *own]
    made = [[row.get(name, None if name in FACTS else nan) for name in columns] for row in rows]
    return pandas.DataFrame(made, columns=columns)
