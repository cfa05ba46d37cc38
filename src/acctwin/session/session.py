"""A session: RunEngine, machine and catalog, wired together."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import partial
from types import TracebackType
from typing import Any, Self

from bluesky.utils import FailedStatus, MsgGenerator, RunEngineInterrupted

from acctwin.backends.build import build_machine
from acctwin.backends.sim.faults import Faults
from acctwin.backends.sim.machine import SimMachine
from acctwin.data.marks import load_marks, marks_file, save_marks
from acctwin.data.references import References
from acctwin.data.replay import Callback, replay
from acctwin.data.runs import Run
from acctwin.data.store import Store
from acctwin.devices.ring import Machine
from acctwin.errors import AcctwinError, PlanError
from acctwin.model.design import Design
from acctwin.model.process import EngineProcess
from acctwin.names import FloatArray, Mode
from acctwin.plans.actuators import Units
from acctwin.plans.saving.states import Saved
from acctwin.plans.step import set_values, step
from acctwin.plans.targets import Target
from acctwin.profiles.profile import Profile
from acctwin.session import twin
from acctwin.session.dry_run import DryRun, dry_run
from acctwin.session.metadata import session_metadata
from acctwin.session.plants import Plants
from acctwin.session.replay import of_replay
from acctwin.session.run_engine import make_run_engine
from acctwin.session.verbs import Source, What, read_values

log = logging.getLogger(__name__)


class Session:
    """One machine, ready to run plans on. Made by :func:`acctwin.open_session`.

    Attributes:
        profile: The machine's profile.
        machine: Its devices.
        RE: The Bluesky RunEngine: journal, metadata, baseline and progress bars.
        store: Where runs go.
        seed: Of the simulated machine's imperfections, None for the ideal one.
    """

    def __init__(
        self,
        profile: Profile,
        store: Store,
        plants: Plants,
        model: EngineProcess,
        *,
        seed: int | None,
        operator: str | None,
        progress: bool,
    ) -> None:
        self.profile, self.store, self.seed = profile, store, seed
        self._plants, self._model, self._is_open = plants, model, True
        design, mode = Design(model), plants.mode
        self.machine: Machine = build_machine(profile, plants.links, design, store)
        self._references = References(store, profile.name, profile.operational_mode)
        self.machine.references = self._references
        self._keep_marks()
        metadata = session_metadata(
            profile,
            model.layout,
            mode=mode,
            backends=plants.backends,
            operator=operator,
            seed=self._seed_in(mode),
        )
        self.RE = make_run_engine(self.machine, store, metadata, progress=progress)
        self.RE.preprocessors.append(of_replay(plants))
        self.RE.preprocessors.append(plants.patiently)
        self.RE.on_end = partial(plants.wait_for_link, False)
        self.RE.is_stuck = plants.is_waiting
        self._say_where()
        plants.connect(self.machine, self.RE.loop)

    @property
    def mode(self) -> Mode:
        """Where the devices are: ``"physics"``, ``"hardware"`` or ``"replay"``."""
        return self._plants.mode

    @property
    def model(self) -> EngineProcess:
        """The design model, for predictions; it knows nothing of hidden errors."""
        return self._model

    @property
    def simulation(self) -> Faults:
        """Faults of the simulated machine, to practise.

        ``stick``, ``trip`` and ``repair`` supplies by name; let the machine ``drift``.

        Raises:
            PlanError: The session is on hardware, or on a stored run.
        """
        if self.mode != "physics":
            raise PlanError(
                f"this session is on {self.mode}; faults are for the simulated "
                "machine: switch_to_physics() first"
            )
        return Faults(self.profile, self._sim)

    @property
    def catalog(self) -> Any:
        """Tiled client of the runs; every run of this session that ended is there.

        Raises:
            DataError: The server cannot be reached; the message says where the
                runs are.
        """
        return self.store.catalog

    @property
    def db(self) -> Any:
        """The same runs through databroker: ``db[-1].table()``."""
        return self.store.db

    def run(self, plan: MsgGenerator[Any], *callbacks: Callback) -> Any:
        """Run a plan to its end and return its result.

        Ctrl-C ends the plan, which puts back what it moved; to pause instead, use
        ``session.RE(plan)``.

        Args:
            plan: The plan, such as ``plans.measure_orbit(machine)``.
            callbacks: Get the documents of this plan alone, such as a ``LiveTable``.

        Raises:
            KeyboardInterrupt: After Ctrl-C, when everything is restored.
            Exception: What the plan raised.
        """
        if not self._is_open:
            raise PlanError("this session is closed; open another one")
        try:
            subs: Any = list(callbacks)
            result: Any = self.RE(plan, subs)
            return result.plan_result
        except RunEngineInterrupted:
            self.RE.abort("interrupted by the user")
            raise KeyboardInterrupt from None
        except FailedStatus as error:
            if isinstance(error.__cause__, AcctwinError):
                raise error.__cause__ from error
            raise

    def replay(self, run: str | int | Run, *callbacks: Callback) -> None:
        """Feed a stored run to callbacks, document by document as it was emitted.

        Args:
            run: A run, its uid or the beginning of it, or an index: -1 is the newest.
            callbacks: What one would give to :meth:`run`: a ``LiveTable``, a plot, a
                function of name and document.

        Raises:
            UnknownName: There is no such run.
            DataError: The server cannot be reached.
        """
        key = run.uid if isinstance(run, Run) else run
        replay(self.store.documents(key), *callbacks)

    def get(
        self, name: Source, what: What = "setpoint", *, units: Units = "physics"
    ) -> Any:
        """Read a magnet, a supply, a family, or a monitor, now.

        Args:
            name: A family or a device, by its name or itself, or a selection. Bad
                members of a family are left out.
            what: ``"setpoint"`` or ``"readback"``. Monitors have readings only.
            units: ``"physics"``: strengths; ``"hardware"``: the currents of the
                supplies behind the magnets [A].

        Returns:
            A number for a device, (n_good,) for a family or a selection. The orbit
            of ``"bpms"``, x then y [m], (2, n_good); the fractional tunes and the
            synchrotron tune of ``"tune"``, (3,); the emittances of ``"emittance"``
            [m rad], (2,); the current of ``"dcct"`` [A]; the efficiency of
            ``"injection"``; the seconds of ``"lifetime"``.
        """
        return self.run(read_values(self.machine, name, what, units=units))

    def set(
        self,
        name: Target,
        value: float | Sequence[float] | FloatArray,
        *,
        units: Units = "physics",
        steps: int = 1,
        wait: bool = True,
    ) -> Any:
        """Set a magnet, a supply, the RF, or a family; see :func:`plans.set_values`.

        All values are checked before anything moves. A number goes to every good
        member of a family; an array has one value for each. It jumps, or goes there
        in equal ``steps``.
        """
        return self.run(
            set_values(self.machine, name, value, units=units, steps=steps, wait=wait)
        )

    def step(
        self,
        name: Target,
        delta: float | Sequence[float] | FloatArray,
        *,
        units: Units = "physics",
        steps: int = 1,
    ) -> Any:
        """Change a setpoint by an increment; see :func:`plans.step`."""
        return self.run(step(self.machine, name, delta, units=units, steps=steps))

    def machine_to_model(
        self, saved: Saved | None = None, *, correctors: bool = False
    ) -> tuple[str, ...]:
        """Give the design model the strengths that the machine is set to.

        Args:
            saved: A saved state in place of the present one: a result of
                ``save_machine``, the uid of a run, or ``"golden"``.
            correctors: Whether to take over correctors and skew quadrupoles too.

        Raises:
            DeviceError: A device is not where it is set to.
        """
        return twin.machine_to_model(self, saved, correctors=correctors)

    def model_to_machine(
        self, families: Sequence[str] | None = None
    ) -> tuple[str, ...]:
        """Set the machine to the strengths of the design model.

        Args:
            families: Names of families, or ``"rf"``; default: all magnets, and the RF.
        """
        return twin.model_to_machine(self, families)

    def switch_to_hardware(self) -> None:
        """Use the machine's control system from now on: the devices stay the same.

        Nothing is written. Nothing to do when it is in use.

        Raises:
            PlanError: The profile has no addresses in a control system, or a plan is
                running.
            LinkLost: Some addresses do not answer; the session stays where it is.
        """
        self._switch("hardware")

    def switch_to_physics(self) -> None:
        """Use the simulated machine from now on; nothing to do when it is in use.

        Raises:
            PlanError: A plan is running.
        """
        self._switch("physics")

    def switch_to_replay(self, run: str | int | Run) -> None:
        """Use a stored run from now on: the devices read what was recorded.

        They stand where they stood when it began. What is set changes which of the
        recorded readings are given; where nothing was recorded, a reading is an
        error that says what is the nearest.

        Args:
            run: A run, its uid or the beginning of it, or an index: -1 is the newest.

        Raises:
            PlanError: A plan is running.
            UnknownName: There is no such run.
            DataError: It is of another machine, or does not say where it stood.
        """
        self._check_idle("switching to replay")
        self._plants.switch(run if isinstance(run, Run) else self.store.run(run))
        self._say_where()

    def dry_run(
        self, plan: Callable[..., MsgGenerator[Any]], *args: Any, **options: Any
    ) -> DryRun:
        """Run a plan on the twin first; say what it would move, and by how much.

        The twin begins at the setpoints of the machine that is in use. Nothing is
        stored, and afterwards all is as before::

            print(session.dry_run(plans.correct_orbit, machine))

        Args:
            plan: The plan's function.
            args: What it is called with.
            options: The same.

        Raises:
            PlanError: A plan is running.
            Exception: What the plan raised.
        """
        self._check_idle("a dry run")
        with self._plants.twin(self.machine):
            job = partial(plan, *args, **options)
            return dry_run(self.machine, job, self.RE)

    @property
    def _sim(self) -> SimMachine:
        return self._plants.sim

    def _switch(self, mode: Mode) -> None:
        self._check_idle(f"switching to {mode}")
        if mode == self.mode:
            return
        self._plants.switch(mode)
        self._say_where()

    def _say_where(self) -> None:
        mode, backends = self.mode, list(self._plants.backends)
        self._references.mode = self._plants.reference_mode
        self._references.is_frozen = mode == "replay"
        self.RE.md.update(mode=mode, backends=backends, seed=self._seed_in(mode))

    def _check_idle(self, what: str) -> None:
        if not self._is_open:
            raise PlanError("this session is closed; open another one")
        if self.RE.state != "idle":
            raise PlanError(
                f"{what} has to wait: the RunEngine is {self.RE.state}; let the plan "
                "end, or end it with session.RE.abort()"
            )

    def _seed_in(self, mode: Mode) -> int | None:
        return self.seed if mode == "physics" else None

    def close(self) -> None:
        """Upload what is left of the runs and end the engines."""
        if not self._is_open:
            return
        self._is_open = False
        if self.RE.state == "paused":
            self.RE.abort("the session was closed")
        self.store.close()
        self._plants.close()
        self._model.close()

    def _keep_marks(self) -> None:
        """Mark devices as they were marked before, and keep what is marked now."""
        path = marks_file(self.store.folder.root, self.profile.name)
        status = self.machine.status
        for name, good in load_marks(path).items():
            if name in self.machine:
                status.mark([name], good)
            else:
                log.warning("%s marks %s, which is not in the profile", path, name)
        status.listeners.append(partial(save_marks, path))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        seed = "" if self.seed is None else f", seed={self.seed}"
        return f"<acctwin session {self.profile.name!r}, {self.mode}{seed}>"
