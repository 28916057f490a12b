"""The search for the teacher and recipe that make the best student."""
