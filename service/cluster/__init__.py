"""Sessions over the bus: headsets, workers and gateways in processes and machines of their own."""
