"""Feedback for studies: on the wearer's own values or, as a sham, on those of another recording."""
