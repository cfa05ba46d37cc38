"""The devices of a machine: what they are, never where they are."""

from acctwin.devices.bpm import Bpm, Bpms
from acctwin.devices.current import Dcct
from acctwin.devices.emittance import EmittanceMonitor
from acctwin.devices.injection import InjectionMonitor
from acctwin.devices.lifetime import LifetimeMonitor
from acctwin.devices.magnet import Magnet, MagnetFamily
from acctwin.devices.member import ReadableMember, SettableMember
from acctwin.devices.pinger import Pinger
from acctwin.devices.rf import Rf
from acctwin.devices.ring import Machine
from acctwin.devices.selection import Selection
from acctwin.devices.supply import Supply, SupplyFamily
from acctwin.devices.tune import TuneMonitor
from acctwin.devices.turns import TurnByTurn

__all__ = [
    "Bpm",
    "Bpms",
    "Dcct",
    "EmittanceMonitor",
    "InjectionMonitor",
    "LifetimeMonitor",
    "Machine",
    "Magnet",
    "MagnetFamily",
    "Pinger",
    "ReadableMember",
    "Rf",
    "Selection",
    "SettableMember",
    "Supply",
    "SupplyFamily",
    "TuneMonitor",
    "TurnByTurn",
]
