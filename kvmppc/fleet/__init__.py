"""Many hosts: their records read, counted and shown."""
