"""The tunes: read, their response, set."""
