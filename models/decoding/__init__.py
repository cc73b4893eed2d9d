"""Decoding of one stream: from its chunks to predictions, and the decoder's saved state."""
