"""XDF files (Extensible Data Format), as LabRecorder writes them."""
