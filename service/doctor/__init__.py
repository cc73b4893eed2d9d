"""`mimamba doctor`: checks of this machine."""
