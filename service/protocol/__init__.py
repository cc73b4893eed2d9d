"""Wire protocol v1: its messages and their schema."""
