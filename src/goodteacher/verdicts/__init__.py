"""Knowledge or regularization: the rule, the verification and the evidence."""
