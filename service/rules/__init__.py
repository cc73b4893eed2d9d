"""Rules: acts that follow when an output, a band or the link crosses a value for some seconds."""
