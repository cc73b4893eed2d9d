"""Wire protocol v1: messages and their schema."""
