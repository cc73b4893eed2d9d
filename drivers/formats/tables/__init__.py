"""Tables with a sample index: mimamba's own CSV and Parquet."""
