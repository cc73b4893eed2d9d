"""The list of makers and models: each once, with ways that can be opened."""

from __future__ import annotations

import sys
from collections import Counter

import pytest

from mimamba.drivers.brainflow.boards import UNSUPPORTED, find_board, known_boards
from mimamba.drivers.discovery.headset_models import OTHERS, HeadsetModel, list_headset_models
from mimamba.drivers.errors import BadSource
from mimamba.drivers.open import open_driver

MODELS = list_headset_models()


def test_each_model_is_there_once_and_muses_come_first() -> None:
    names = [(each.maker, each.model) for each in MODELS]
    assert max(Counter(names).values()) == 1
    assert [model for _, model in names[:4]] == ["Muse 2016", "Muse 2", "Muse S", "Muse S Athena"]
    urls = [way.url for each in MODELS for way in each.ways]
    assert {url for url, n in Counter(urls).items() if n > 1} == {"muse://"}
    ways = {(each.model): [(way.way, way.url) for way in each.ways] for each in MODELS}
    assert ways["Muse 2"] == [
        ("bluetooth", "muse://"),
        ("dongle", "brainflow://muse_2_bled?serial_port=.."),
    ]
    assert ways["Ganglion"][0] == ("bluetooth", "brainflow://ganglion_native")
    assert [way for way, _ in ways["Cyton"]] == ["dongle", "wifi"]


def test_every_board_with_eeg_is_listed_and_no_other() -> None:
    assert [each for each in MODELS if each.maker == OTHERS] == []
    listed = {way.url.partition("://")[2].partition("?")[0] for each in MODELS for way in each.ways}
    assert not listed & {"synthetic", "playback_file", "streaming", "emotibit", "gforce_pro"}
    assert {board.name for board in known_boards() if board.name.startswith("ant")} - listed == {
        "ant_neuro_ee_410"  # it has no EEG
    }


@pytest.mark.parametrize("model", MODELS, ids=lambda each: f"{each.maker} {each.model}")
def test_each_way_opens_a_driver_with_these_electrodes(model: HeadsetModel) -> None:
    for way in model.ways:
        names = open_driver(way.url.replace("ip_port=..", "ip_port=6677")).info.ch_names
        assert len(names) == model.n_channels
        assert model.electrodes in {(), names}


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="facts about Linux")
@pytest.mark.parametrize("number", sorted(UNSUPPORTED["linux"] - {10, 11, 16, 19}))
def test_a_board_that_the_build_does_not_support_says_so(number: int) -> None:
    (board,) = [each for each in known_boards() if each.number == number]
    assert find_board(board.name) == board
    driver = open_driver(f"brainflow://{board.name}")
    with pytest.raises(BadSource, match="this build of BrainFlow supports"):
        driver.__enter__()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="facts about Linux")
def test_the_list_says_so_too() -> None:
    problems = {each.model: each.problem for each in MODELS}
    assert "does not support it on this computer" in str(problems["Callibri EEG"])
    # BrainBit's Bluetooth is not supported, but its dongle is.
    assert problems["BrainBit"] is None
    assert problems["Cyton"] is None
