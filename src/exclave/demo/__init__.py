"""`exclave demo`: everything on one machine, from an empty L1 to paid-out matches."""
