"""Tables with a sample index: our CSV and Parquet files."""
