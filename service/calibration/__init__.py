"""Live calibrations: plan, state machine on hops, files beside the person, their archive."""
