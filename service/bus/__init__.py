"""The bus between acquirers, workers and gateways: a log of messages by subject."""
