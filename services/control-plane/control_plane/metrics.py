"""What the control-plane counts."""

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge


class ControlPlaneMetrics:
    def __init__(self, registry: CollectorRegistry) -> None:
        self._engines = Gauge("sage_control_plane_engines", "Engines in the registry.", ("state",), registry=registry)
        self._probes = Counter(
            "sage_control_plane_probes_total", "Probes made by this control-plane.", ("outcome",), registry=registry
        )
        self._restarts = Counter(
            "sage_control_plane_restarts_total",
            "Engines started again after they ended by themselves.",
            registry=registry,
        )
        self._leader = Gauge("sage_control_plane_leader", "1 where this control-plane probes.", registry=registry)

    def probed(self, *, answered: bool) -> None:
        self._probes.labels("answered" if answered else "missed").inc()

    def fleet(self, by_state: Mapping[str, int]) -> None:
        for state, count in by_state.items():
            self._engines.labels(state).set(count)

    def restarted(self) -> None:
        self._restarts.inc()

    def leading(self, *, leads: bool) -> None:
        self._leader.set(1 if leads else 0)
