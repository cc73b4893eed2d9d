"""Bridges to other programs: LSL output, OSC output, UDP markers."""
