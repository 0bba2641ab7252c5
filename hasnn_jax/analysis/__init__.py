"""Looking at runs and models: pictures and figures."""
