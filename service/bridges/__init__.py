"""Other programs: LSL and OSC out, UDP markers in."""
