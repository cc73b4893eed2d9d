"""Apps on a phone: each layout that osc:// reads, with the address and port to enter."""

from __future__ import annotations

from ipaddress import ip_address

from mimamba.drivers.discovery.phone_apps import find_own_address, list_phone_apps
from mimamba.drivers.open import open_driver
from mimamba.drivers.osc.layouts import LAYOUTS


def test_each_layout_is_listed_with_what_to_set() -> None:
    apps = list_phone_apps()
    assert [app.name for app in apps] == list(LAYOUTS)
    for app in apps:
        assert app.url == f"osc://:5000?from={app.name}"
        assert open_driver(app.url).info.ch_names == ("TP9", "AF7", "AF8", "TP10")
        assert f"port {app.port}" in app.setup
        assert (app.address or "the service's computer") in app.setup


def test_the_address_is_one_that_others_may_reach() -> None:
    address = find_own_address()
    assert address is None or not ip_address(address).is_loopback
