"""EEG that an app on a phone or computer sends by OSC: Mind Monitor, Petal Metrics."""
