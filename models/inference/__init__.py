"""Live stepping of a network for many streams: devices, steppers and the pool of states."""
