"""The mixed-pool game of learning-aware agents: they meet naive learners with some chance, else one another."""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from scipy.special import expit

from lapg_theory.game import CD, MOST_UPDATES, Discounted, MatrixGame, check_count, check_game
from lapg_theory.game.numbers import is_rate
from lapg_theory.game.strategies import check_policy
from lapg_theory.metagame import cooperation
from lapg_theory.metagame.ascent import Basins, basins, random_pairs
from lapg_theory.metagame.atlas import Atlas, find
from lapg_theory.metagame.cooperation import Cooperation
from lapg_theory.metagame.objective import Setting, against_naive, partial, pooled
from lapg_theory.metagame.response import Response, best_response
from lapg_theory.shaping.initialisations import sobol_logits
from lapg_theory.shaping.weighting import effective_p_naive

SEARCH = (16, 128)  # learners in the two coarser stages of a search


@dataclasses.dataclass(frozen=True)
class MetaGame:
    """A pool of learning-aware agents and naive learners that play a symmetric, discounted 2x2 game.

    An agent with policy p, among agents with policy q, earns per step (with p_eff the effective share)

        U(p, q) = p_eff (1 - gamma) E_theta0 mean_m J(p, theta_m) + (1 - p_eff) (1 - gamma) J(p, q),

    theta_{m+1} = theta_m + eta (1 - gamma) dJ_learner/dtheta for m < updates, from N(0, spread^2) logits theta_0.

    Attributes:
        game: a symmetric game with R > P.
        gamma: discount, in [0, 1).
        p_naive: share of naive learners, in [0, 1].
        weighting: "mean" or "sum" over the updates + 1 inner episodes against a naive learner; a sum makes the
            effective share p (updates + 1) / (p (updates + 1) + 1 - p).
        eta: naive learning rate, on returns per step if `normalize`, else on sums.
        updates: number of naive updates.
        spread: standard deviation of the naive learners' initial logits.
        nodes, seed: of the scrambled Sobol points that stand for the initial learners.

    Raises:
        ValueError: for a game that is not symmetric or has R <= P, and for numbers out of their range.

    Example:
        >>> import lapg_theory as lt
        >>> pool = lt.MetaGame(lt.prisoners_dilemma(), gamma=0.99, p_naive=0.25, eta=1.0, updates=20, nodes=32)
        >>> round(float(pool.basin_boundary()), 2)
        0.01
    """

    game: MatrixGame
    _: dataclasses.KW_ONLY
    gamma: float | int
    p_naive: float | int
    weighting: str = "mean"
    eta: float | int = 1.0
    updates: Any = 20
    spread: float | int = 1.0
    normalize: bool = True
    nodes: Any = 1024
    seed: int = 0

    def __post_init__(self):
        check_game(self.game)
        if not self.game.is_symmetric:
            raise ValueError(
                f"{self.game.name} is not symmetric, but in a pool everyone plays either seat; choose a symmetric game, or "
                "follow learners with a seat each with lapg_theory.dynamics"
            )
        _, R, P, _ = self.game.trps
        if not R > P:
            raise ValueError(f"cooperation must be worth something: R > P, got R = {R}, P = {P}")
        Discounted(self.gamma)
        check_count("updates", self.updates, least=0, most=MOST_UPDATES)
        if not is_rate(self.eta):
            raise ValueError(f"eta must be a learning rate >= 0, got {self.eta}")
        if np.ndim(self.p_naive):
            raise ValueError(f"p_naive must be one share (phase_diagram takes several), got {self.p_naive}")
        effective_p_naive(self.p_naive, self.updates, self.weighting)
        sobol_logits(self.nodes, self.seed, self.spread)

    @property
    def share(self) -> float:
        """The effective share of naive learners."""
        return float(effective_p_naive(self.p_naive, self.updates, self.weighting))

    @property
    def tau(self) -> float:
        """Total naive learning time: learning rate on returns per step, times the number of updates."""
        return self.rate * self.updates

    @property
    def rate(self) -> float:
        """The naive learning rate on returns per step."""
        return float(self.eta if self.normalize else self.eta / (1 - self.gamma))

    def setting(self, nodes: int | None = None, scrambling: int = 0) -> Setting:
        """The numbers behind it, with `nodes` initial learners; another `scrambling` has others."""
        learners = sobol_logits(nodes or self.nodes, self.seed + 1000 * scrambling, self.spread)
        return Setting(self.game, self.gamma, self.share, self.rate, self.updates, learners)

    def _coarse(self) -> list[Setting]:
        return [self.setting(min(nodes, self.nodes)) for nodes in SEARCH]

    def _others(self, count: int) -> list[Setting]:
        return [self.setting(scrambling=k + 1) for k in range(count)]

    def _pairs(self, *policies: Any) -> tuple[Any, list[np.ndarray]]:
        arrays = np.broadcast_arrays(*(check_policy(name, p) for name, p in zip("pq", policies, strict=False)))
        return arrays[0].shape[:-1], [np.ascontiguousarray(a.reshape(-1, 5)) for a in arrays]

    def value(self, p: Any, q: Any) -> np.ndarray:
        """U(p, q), what policy p earns per step where the other agents play q; shapes [..., 5] to [...]."""
        shape, arrays = self._pairs(p, q)
        return pooled(self.setting(), *arrays)[0].reshape(shape)

    def field(self, p: Any, q: Any) -> np.ndarray:
        """F(p, q) = dU(p, q)/dp, the learning direction in the space of probabilities, [..., 5], not yet projected.

        `project` takes out what points out of the cube. Arguments are probabilities [..., 5] in the order s0, CC, CD,
        DC, DD, own view.

        Raises:
            ValueError: for a last axis other than five, or a probability outside [0, 1].
        """
        shape, arrays = self._pairs(p, q)
        return pooled(self.setting(), *arrays)[1].reshape(*shape, 5)

    def earnings(self, p: Any) -> dict[str, np.ndarray]:
        """Returns per step of policy p, [..., 5]: `self_play`, `versus_naive`, and what `naive` learners get."""
        shape, (p,) = self._pairs(p)
        own, naive = against_naive(self.setting(), p)
        found = {"self_play": partial(self.setting(), p, p)[0], "versus_naive": own, "naive": naive}
        return {name: value.reshape(shape) for name, value in found.items()}

    def fixed_points(
        self,
        *,
        starts: Any = 2,
        nash: bool = True,
        iterations: Any = 25,
        report: Callable[[str], None] = lambda text: None,
    ) -> Atlas:
        """The fixed points of projected-gradient learning in self-play, with stability and best-reply verdicts.

        Newton's method from `starts` starts on each of the 3^5 faces of the cube, and the flow from the named
        strategies and 16 more policies, with few initial learners first; what they find is settled with all `nodes`.
        The search is thorough, not exhaustive. Of a continuum of fixed points (policies that differ only where play
        never comes) the corners are listed.

        `iterations`: most Newton steps of the last stage; `report` is called with what comes now, in words.

        Raises:
            ValueError: where nothing settles; the message holds the smallest residual.
        """
        check_count("starts", starts)
        check_count("iterations", iterations)
        atlas = find([*self._coarse(), self.setting()], starts, self._others(4) if nash else [], iterations, report)
        if not atlas.points:
            smallest = min((residual for _, residual in atlas.unsettled), default=np.nan)
            raise ValueError(
                f"no fixed point settled within {iterations} iterations (smallest residual {smallest:.2g}, wanted 1e-8); "
                "try more iterations, more starts, more nodes, or a smaller eta"
            )
        return atlas

    def best_response(self, q: Any, *, starts: Any = 7) -> Response:
        """The best memory-one reply in a pool whose other agents play q, [5], by ascent from `starts` of 65.

        Raises:
            ValueError: for anything but five probabilities, or starts that are no integer >= 1.
        """
        check_count("starts", starts)
        _, (q,) = self._pairs(q)
        if len(q) != 1:
            raise ValueError(f"best_response takes one policy of shape (5,), got {len(q)} policies")
        return best_response([self.setting(), *self._others(4)], self._coarse()[1], q[0], starts)

    def basins(
        self, starts: Any = 32, *, steps: Any = 1500, rate: float | int = 0.02, nodes: Any = 64, seed: int = 0
    ) -> Basins:
        """Where pairs of agents end that learn against each other in this pool, by AdamW in logits at `rate`.

        `starts`: pairs of policies [n, 2, 5], or how many random ones, N(0, 1) in logits; `nodes`: initial naive
        learners, the same at every step.

        Raises:
            ValueError: for starts of another shape or with probabilities of 0 or 1, and for counts that are none.
        """
        if np.ndim(starts) == 0:
            check_count("starts", starts)
            starts = expit(random_pairs(starts, seed))
        return basins(self.setting(nodes), starts, steps, rate)

    def schedule(
        self,
        stages: Any,
        starts: Any = 32,
        *,
        agents: Any = 2,
        nodes: Any = 64,
        seed: int = 0,
        **integration: Any,
    ) -> Any:
        """Where runs of agents end that learn in this pool under a schedule; `p_naive` is that of the stages.

        Args:
            stages: a sequence of `lapg_theory.basin.Stage`: (effective) shares, entropy bonus, rate, naive rate.
            starts: initial logits [runs, agents, 5], or how many runs of N(0, 1) ones.
            agents: in each run, where starts are drawn.
            nodes: initial naive learners, the same at every step.
            seed: of the starts.
            integration: `steps`, `every`, `optimiser`, `shared`, as for `lapg_theory.basin.integrate`.

        Returns:
            A `lapg_theory.basin.Course`: rewards among agents and from naive learners on the way, and the ends.

        Raises:
            ValueError: as for `lapg_theory.basin.integrate`, and for counts that are no integers >= 1.
        """
        from lapg_theory import basin

        if np.ndim(starts) == 0:
            check_count("starts", starts)
            check_count("agents", agents, least=2)
            starts = basin.random_starts(starts, agents, seed)
        return basin.integrate(basin.pool_of(self, nodes), stages, starts, **integration)

    def cooperation(self) -> cooperation.Cooperation:
        """The cooperative fixed point K (open with C, keep to it; elsewhere best for shaping), where it exists."""
        return self._cooperation

    @functools.cached_property
    def _cooperation(self) -> Cooperation:
        return cooperation.cooperation(self.setting(), self._coarse()[1])

    def p_critical(self) -> float:
        """The share p_naive (in this game's `weighting`) above which the cooperative fixed point K is gone.

        0 where it never exists, 1 where naive learners never undo it. Does not depend on this game's own `p_naive`. Under
        noise it is also gone below `forgiving_below`.
        """
        return self._own(self._at(lambda kind: kind.p_critical).p_critical)

    def forgiving_below(self) -> float:
        """The share p_naive (in this game's `weighting`) below which K gives way to policies that forgive; 0 without noise.

        After a slip K defects for ever, which among agents costs more, the more often they slip. Does not depend on this
        game's own `p_naive`.
        """
        return self._own(self._at(lambda kind: kind.forgiving_below).forgiving_below)

    def _critical(self, kinds: Sequence[Cooperation]) -> Sequence[Cooperation]:
        """K where its opening gives way, for this pool's initial learners and other scramblings of them, from those here."""
        if self.game.noise is None:
            return kinds
        last = self._at(lambda kind: kind.p_critical)
        there = [setting._replace(share=last.p_critical) for setting in self._others(len(kinds) - 1)]
        return [last, *(cooperation.near(setting, last.policy) for setting in there)]

    def _at(self, share: Callable[[Cooperation], float]) -> Cooperation:
        """K at the effective share which that K itself names; without noise K is the same at every share."""
        kind = self.cooperation()
        for _ in range(0 if self.game.noise is None else 6):
            kind = cooperation.near(self.setting()._replace(share=share(kind)), kind.policy)
        return kind

    def _own(self, share: float) -> float:
        """The share in this game's weighting that has an effective share."""
        return share / (share + (1 - share) * (self.updates + 1 if self.weighting == "sum" else 1))

    def basin_boundary(self) -> float:
        """The opening p_s0 on the edge between K and its defecting twin (same but s0) below which learning leads away.

        0 or less: no boundary, cooperation is reached from the whole edge; 1 or more: never.
        """
        return self.cooperation().basin_boundary(self.share)

    def boundary_pull(self) -> float:
        """F_CD, the field after CD, where `basin_boundary` lies on the edge; NaN where it lies nowhere on it.

        Positive: the edge repels, learning leaves it towards forgiveness, and the boundary is none of the basin as a whole
        (opening less may lead to K by way of p_CD). Per step, in payoffs.
        """
        kind = self.cooperation()
        boundary = kind.basin_boundary(self.share)
        if not 0 < boundary < 1:
            return np.nan
        point = np.append(boundary, kind.policy[1:])
        return float(self.field(point, point)[CD])

    def errors(self, scramblings: Any = 4) -> dict[str, float]:
        """Quadrature standard errors of `p_critical` and `basin_boundary`, from other scramblings of the learners.

        The standard deviation over this pool's initial learners and `scramblings` other sets of as many, with K sought
        anew for each; NaN where a boundary is infinite.

        Raises:
            ValueError: for a number of scramblings that is no integer >= 1.
        """
        check_count("scramblings", scramblings)
        kinds = [self.cooperation()]
        kinds += [cooperation.near(setting, kinds[0].policy) for setting in self._others(scramblings)]
        critical = [self._own(kind.p_critical) for kind in self._critical(kinds)]
        boundary = np.array([kind.basin_boundary(self.share) for kind in kinds])
        spread = float(boundary.std(ddof=1)) if np.isfinite(boundary).all() else np.nan
        return {"p_critical": float(np.std(critical, ddof=1)), "basin_boundary": spread}
