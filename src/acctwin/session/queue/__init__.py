"""Plans that wait for their turn: bluesky-queueserver on the devices of a session."""
