"""Where others' libraries meet this one; each module needs the package that it is named after.

``goodteacher.integrations.transformers``, ``.lightning`` (the package pytorch-lightning) and
``.keras`` each have a ``RecorderCallback`` that records every epoch through a
:class:`~goodteacher.public.recording.Recorder`.

``goodteacher.integrations.sklearn`` has :class:`~goodteacher.DistilledClassifier`.
"""
