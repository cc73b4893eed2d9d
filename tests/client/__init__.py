"""The npm client: its types, and the package."""
