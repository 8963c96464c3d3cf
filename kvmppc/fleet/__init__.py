"""Many hosts: reading, counting and showing their records."""
