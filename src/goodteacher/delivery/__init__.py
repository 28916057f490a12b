"""Students that leave: written to a folder, and read from one."""
