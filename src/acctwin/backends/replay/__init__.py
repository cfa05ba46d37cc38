"""A stored run as what stands behind devices."""
