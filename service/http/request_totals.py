"""service/http/request_totals.py."""

from __future__ import annotations

from starlette.types import Scope

from mimamba.service.monitoring.totals import ServiceCounters


def totals_of(scope: Scope) -> ServiceCounters:
    """Where a request's fate is counted."""
    totals: ServiceCounters = scope["app"].state.running.hub.totals
    return totals
