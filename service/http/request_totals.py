"""Counters of the service that handles a request."""

from __future__ import annotations

from starlette.types import Scope

from mimamba.service.monitoring.service_counters import ServiceCounters


def totals_of(scope: Scope) -> ServiceCounters:
    """Return the counters for a request's outcome."""
    counters: ServiceCounters = scope["app"].state.running.hub.counters
    return counters
