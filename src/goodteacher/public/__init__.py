"""The public functions: search, distill, verify, score, doctor, and the study that they make."""
