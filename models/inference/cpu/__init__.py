"""The network for live steps on a CPU: the same function with fewer, cheaper operations in place.

``network`` and ``layer`` run every model that is stepped on a CPU. ``mstb`` is for models with the
multi-scale temporal block (MSTB), the whole MS-iMamba of the paper: with the readable block of
``models.network`` most of a live step would be spent in its convolutions.
"""
