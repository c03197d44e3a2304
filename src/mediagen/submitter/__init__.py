"""Sends paid requests from a small process of its own, so that the death of the server loses no answer.

The parent (`submitter.py`, `base.py`, `routes.py`, `recovery.py`) hands signed requests over a socket pair; the process
(`__main__.py`, `exchange.py`, `answer_file.py`, `hiding.py`) sends each once and stores its answer. Both know
`frames.py` and `tickets.py`. What the process imports is kept small: only the standard library, and of that as little
as possible.

The folder of a paid call says that it is one of these, and each attempt has up to three files in it:

| file | meaning |
| --- | --- |
| ``detached`` | the call leaves through a submitter only: without a ticket nothing has left |
| ``paid-1.ticket``, empty | the process took the request; no byte of it has left |
| ``paid-1.ticket``, ``sent`` | durable before the first byte leaves |
| ``paid-1.ticket``, ``void`` | nobody sent it, and nobody can any more |
| ``paid-1.part`` | the answer on its way to the disk; told of once all of it is written |
| ``paid-1.answer`` | status, headers and body; durable before it gets this name |

The process holds ``flock`` on a ticket for as long as it works on it. A lock rather than a process id with its start
time: the system frees it with the process whatever kills it, it needs no ``/proc``, and it is right across containers
that share the folder but not their process ids.
"""
