"""Live calibrations: the plan, the state machine on hops, files beside the person, all of theirs."""
