"""Events that a person makes on purpose and that an EEG shows: blinks, jaw clenches."""
