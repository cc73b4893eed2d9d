"""The acquirer: sends a source's samples to a service on another machine."""
