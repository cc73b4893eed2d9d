"""A remote acquirer: samples sent from another machine."""
