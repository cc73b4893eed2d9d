"""Streams of the Lab Streaming Layer (LSL), in and out."""
