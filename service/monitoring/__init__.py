"""The operator's log and the service's counters."""
