"""Where goodteacher meets other tools: each file needs at most the packages of its own extra."""
