"""What the worker of bluesky-queueserver runs when its environment opens.

Files beside this one are run too, in alphabetic order: put own plans into
``zz_mine.py``; ``session`` and all names are there.
"""

from acctwin.session.queue.worker import names, session_from_environment

session = session_from_environment()
globals().update(names(session))
