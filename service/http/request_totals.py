"""service/http/request_totals.py."""

from __future__ import annotations

from starlette.types import Scope

from mimamba.service.monitoring.service_counters import ServiceCounters


def totals_of(scope: Scope) -> ServiceCounters:
    """Where a request's fate is counted."""
    counters: ServiceCounters = scope["app"].state.running.hub.counters
    return counters
