"""Peers side by side: what other tools need for the same distillation.

`run.py` is the command, `table.py` renders its result. `tools.py` lists the tools, `worker.py`
measures one of them in a process of its own; each tool's training loop is a session in a module of
its own: `plain.py`, `keras_peer.py`, `torchdistill_peer.py`, `timm_peer.py`, `ours.py`.
"""
