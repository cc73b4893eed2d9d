"""Live calibrations: plan, state machine on hops, files beside the person, archive of all files."""
