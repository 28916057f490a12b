"""``python -m goodteacher``."""

from goodteacher.cli import main

main()
