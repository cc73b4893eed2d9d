"""MQTT: predictions, quality and state of all sessions for home automation and other programs."""
