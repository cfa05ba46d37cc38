"""Run by test_badger.py in a process of its own: Badger's window, without a screen."""

from __future__ import annotations

import json
import multiprocessing
import os
import sys
import warnings

warnings.simplefilter("ignore")

from badger.settings import init_settings

init_settings(os.environ["BADGER_CONFIG_PATH"])

from badger.gui.components.env_cbox import BadgerEnvBox
from badger.gui.windows.main_window import BadgerMainWindow
from PyQt5.QtWidgets import QApplication

app = QApplication(sys.argv)
window = BadgerMainWindow()
window.show()
app.processEvents()
(box,) = window.findChildren(BadgerEnvBox)
items = [box.cb.itemText(i) for i in range(box.cb.count())]
box.cb.setCurrentIndex(items.index("acctwin_fodo"))
app.processEvents()
json.dump(
    {
        "title": window.windowTitle(),
        "environments": items,
        "variables": [next(iter(v)) for v in box.var_table.all_variables],
        "reserve": [child.pid for child in multiprocessing.active_children()],
    },
    sys.stdout,
)
sys.stdout.flush()
os._exit(0)
