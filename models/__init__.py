"""MS-iMamba: from samples to predictions, training, evaluation."""
