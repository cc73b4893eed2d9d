"""Sample numbering and clocks: lost samples by packet number and by stamps."""
