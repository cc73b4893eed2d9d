"""Values of a quantity in a recording."""

from __future__ import annotations

from xml.etree.ElementTree import fromstring

import numpy as np

from mimamba.drivers.formats.xdf.reader import XDFStream
from mimamba.drivers.formats.xdf.sample_index import PERSONAL_TOPIC
from mimamba.service.rules.recorded_values import recorded_values
from mimamba.service.rules.rule_file import Watched


def stream(labels: str, stamps: list[float], *values: list[float]) -> XDFStream:
    channels = "".join(f"<channel><label>{each}</label></channel>" for each in labels.split())
    header = fromstring(f"<info><desc><channels>{channels}</channels></desc></info>")
    return XDFStream(header, np.array(stamps), np.array(values).T)


def test_the_streams_of_all_heads_are_joined() -> None:
    heads = [
        stream("calm tense", [3.0, 4.0], [0.3, 0.4], [0.7, 0.6]),
        stream("calm tense", [1.0, 2.0], [0.1, np.nan], [0.9, np.nan]),
        stream("glad", [5.0], [0.5]),
    ]
    found = recorded_values(Watched("personal", "", "calm"), {PERSONAL_TOPIC: heads})
    assert found is not None
    assert found[0].tolist() == [1, 2, 3, 4]
    np.testing.assert_array_equal(found[1], [0.1, np.nan, 0.3, 0.4])
    assert recorded_values(Watched("personal", "", "sad"), {PERSONAL_TOPIC: heads}) is None
