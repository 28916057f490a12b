"""Watchers of long work that remember what they were told."""

from goodteacher.studies.progress import Silent


class Noting(Silent):
    """Remembers notes, and counts units of work."""

    def __init__(self):
        self.notes, self.units = [], 0.0

    def advance(self, units, stage=None):
        self.units += units

    def note(self, text):
        self.notes.append(text)
