"""Sets of labels that hold the true one nine times in ten."""
