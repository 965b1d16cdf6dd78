"""The defection certificate in symbols: components at defection for any payoffs, and the thresholds that are algebraic.

Everything is derived here from the Bellman equation of the pair, so it is a second route to the numbers of the
certificate. Learning rates are on returns per step. States: s0, DC, DD of the agent; the learner's own view is s0, CD,
DD.
"""

import dataclasses
import functools
from typing import Any

import sympy as sp

from lapg_theory.symbolic.symbols import P, R, S, T, b, c, eta, gamma, p_cc, p_cd, q0, q_cc, q_cd, q_dc, q_dd, shaping

PLAYED = (q0, q_cd, q_dd)
STATES = ("s0", "DC", "DD")
#: Payoffs of the agent and of the learner by outcome CC, CD, DC, DD in the agent's view.
AGENT, LEARNER = (R, S, T, P), (R, T, S, P)
#: The donation game: cooperating costs c and gives the other b.
DONATION = {T: b, R: b - c, P: 0, S: -c}
COIN = dict.fromkeys((q0, q_cc, q_cd, q_dc, q_dd), sp.Rational(1, 2))


@dataclasses.dataclass(frozen=True)
class Statement:
    """A derived quantity: what it says in words, its expression, and a numeric twin that takes symbols by name."""

    name: str
    says: str
    expression: sp.Expr

    @functools.cached_property
    def _function(self) -> tuple[list[str], Any]:
        symbols = sorted(self.expression.free_symbols, key=str)
        return [str(symbol) for symbol in symbols], sp.lambdify(symbols, self.expression, "numpy")

    def __call__(self, **numbers: Any) -> Any:
        """The expression at numbers or arrays given by the symbols' names; names it does not contain are ignored.

        Raises:
            ValueError: where a symbol of the expression is given no number.
        """
        names, function = self._function
        missing = [name for name in names if name not in numbers]
        if missing:
            raise ValueError(f"{self.name} needs a number for {', '.join(missing)}")
        return function(*(numbers[name] for name in names))


def cooperations() -> sp.Expr:
    """Discounted number of cooperations of a learner against an agent that never cooperates: X."""
    return (q0 + gamma * q_dd / (1 - gamma)) / (1 - gamma * (q_cd - q_dd))


@functools.cache
def outcome_values(payoffs: tuple[sp.Symbol, ...]) -> tuple[sp.Expr, ...]:
    """Discounted payoff from each outcome CC, CD, DC, DD on, if the agent cooperates after CC and CD at most."""
    values = sp.symbols("V_CC V_CD V_DC V_DD")
    moves = ((p_cc, q_cc), (p_cd, q_dc), (sp.S.Zero, q_cd), (sp.S.Zero, q_dd))
    equations = [
        sp.Eq(value, payoff + gamma * _next(p, q, values))
        for value, payoff, (p, q) in zip(values, payoffs, moves, strict=True)
    ]
    found = sp.solve(equations, values, dict=True)[0]
    return tuple(sp.factor(found[value]) for value in values)


def _next(p: sp.Expr, q: sp.Expr, values: Any) -> sp.Expr:
    chances = (p * q, p * (1 - q), (1 - p) * q, (1 - p) * (1 - q))
    return sum(chance * value for chance, value in zip(chances, values, strict=True))


@functools.cache
def component(state: str, payoffs: tuple[sp.Symbol, ...] = AGENT, face: bool = False) -> sp.Expr:
    """dJ/dp_s of the agent (`AGENT`) or the learner (`LEARNER`) at defection, J the discounted sum; also on its `face`.

    visits(s) times the value of cooperating minus that of defecting there; on the face p = (0, p_CC, p_CD, 0, 0).
    """
    X = cooperations()
    visits = dict(zip(STATES, (1, gamma * X, gamma / (1 - gamma) - gamma * X), strict=True))
    z = dict(zip(STATES, PLAYED, strict=True))[state]
    values = outcome_values(payoffs)
    gain = visits[state] * (_next(sp.S.One, z, values) - _next(sp.S.Zero, z, values))
    return gain if face else gain.subs({p_cc: 0, p_cd: 0})


def closed_component(state: str, payoffs: tuple[sp.Symbol, ...] = AGENT) -> sp.Expr:
    """`component` at unconditional defection, written the short way: mu (-cost now + gamma (c_DC - c_DD) Delta / D).

    z is the learner's chance to cooperate in that state, Delta = z (q_CC - q_CD) + (1 - z) (q_DC - q_DD) how much
    likelier cooperating makes the learner's next cooperation, and X its discounted number of cooperations.
    """
    X, D = cooperations(), 1 - gamma * (q_cd - q_dd)
    mu = dict(zip(STATES, (1, gamma * X, gamma / (1 - gamma) - gamma * X), strict=True))[state]
    z = dict(zip(STATES, PLAYED, strict=True))[state]
    delta = z * (q_cc - q_cd) + (1 - z) * (q_dc - q_dd)
    both, alone, free, none = payoffs
    return mu * (z * (both - free) + (1 - z) * (alone - none) + gamma * (free - none) * delta / D)


def _by_differences(expression: sp.Expr) -> sp.Expr:
    """The expression factored in T - P, R - P and S - P: adding a number to all payoffs changes no threshold."""
    parts = sp.fraction(sp.factor(expression.subs(P, 0)))
    above, below = (sp.collect(part, gamma) for part in parts)
    return (above / below).subs({T: T - P, R: R - P, S: S - P}, simultaneous=True)


def _slopes(space: str) -> tuple[sp.Expr, ...]:
    """dq/dtheta of the learner's coordinates: q (1 - q) for logits, 1 for probabilities."""
    if space not in ("logit", "probability"):
        raise ValueError(f'space must be "logit" or "probability", got {space!r}')
    return tuple(q * (1 - q) if space == "logit" else sp.S.One for q in PLAYED)


@functools.cache
def via_learning_rate(space: str = "logit") -> sp.Expr:
    """First order in eta of what one naive update at q adds to dJ/dp_DC (sums over steps, eta on returns per step).

    -(P - S) grad d1 . W^2 grad X (the learner defects more) + (T - P) grad X . W^2 grad d2 (it is drawn to cooperate),
    times 1 - gamma, with d1, d2 the components of the agent and of the learner and W the slopes of the coordinates.
    """
    X, mine, its = cooperations(), component("DC", AGENT), component("DC", LEARNER)
    terms = [
        w**2 * sp.diff(X, q) * ((T - P) * sp.diff(its, q) - (P - S) * sp.diff(mine, q))
        for q, w in zip(PLAYED, _slopes(space), strict=True)
    ]
    return (1 - gamma) * sum(terms)


@functools.cache
def linearised_time(space: str = "logit") -> Statement:
    """Critical learning time eta * updates of small steps at q = 1/2, to first order: updates * eta > -2 d1 / rate."""
    direct, rate = (x.subs(COIN) for x in (component("DC"), via_learning_rate(space)))
    return Statement(
        f"linearised critical time, {space} learner from q = 1/2",
        "to first order in eta the DC component is positive where eta * updates exceeds it",
        _by_differences(-2 * direct / rate),
    )


@functools.cache
def single_update() -> tuple[Statement, Statement, Statement]:
    """The exact window of learning rates for one update from q = 1/2 in probability space, before clipping sets in.

    The DC component is a quadratic in eta: returns it and its two roots (complex where there is no window).
    """
    X, mine, its = cooperations(), component("DC", AGENT), component("DC", LEARNER)
    slopes = [sp.diff(X, q) for q in PLAYED]
    moved = {q: q - eta * (1 - gamma) * (P - S) * slope.subs(COIN) for q, slope in zip(PLAYED, slopes, strict=True)}
    after = COIN | {q: q.subs(COIN) + sp.simplify(new.subs(COIN) - q.subs(COIN)) for q, new in moved.items()}
    learnt = sum(
        slope.subs(after, simultaneous=True) * sp.diff(its, q).subs(COIN)
        for q, slope in zip(PLAYED, slopes, strict=True)
    )
    total = mine.subs(COIN) + mine.subs(after, simultaneous=True) + eta * (1 - gamma) * (T - P) * learnt
    quadratic = sp.Poly(sp.factor((1 - gamma) * total / 2), eta)
    square, linear, constant = (_by_differences(quadratic.coeff_monomial(eta**k)) for k in (2, 1, 0))
    root = sp.sqrt(linear**2 - 4 * square * constant)
    lower, upper = ((-linear + sign * root) / (2 * square) for sign in (1, -1))
    where = "one update in probability space from q = 1/2"
    return (
        Statement(f"DC component, {where}", "per step, a quadratic in eta", square * eta**2 + linear * eta + constant),
        Statement(f"lower edge, {where}", "the DC component is positive above this eta", lower),
        Statement(f"upper edge, {where}", "and below this one if that is positive, or where clipping sets in", upper),
    )


def critical_share(state: str) -> Statement:
    """Share of naive learners above which the component of s0 or DD is positive, given its shaping gradient G > 0.

    The agent's partial gradient against its like, a defector (all q = 0), is -(P - S) times the visits; DC is not
    visited.
    """
    cost = sp.factor((gamma - 1) * component(state).subs(dict.fromkeys((q0, q_cc, q_cd, q_dc, q_dd), 0)))
    return Statement(
        f"critical share, {state}",
        "the component is positive for a larger share of naive learners, if its shaping gradient G is",
        cost / (cost + shaping),
    )


def critical_batch() -> Statement:
    """B* = via / (-direct): where direct + via / B, which the biased estimators expect, changes sign."""
    direct, via, batch = sp.symbols("direct via B", real=True)
    (root,) = sp.solve(direct + via / batch, batch)
    return Statement("critical batch size", "the biased estimators leave defection only below it", root)


def statements() -> tuple[Statement, ...]:
    """Every algebraic statement of the certificate, in the order of a reading."""
    parts = [
        Statement(
            f"{whose} component, {state}", f"dJ_{whose}/dp at defection, sum over steps", closed_component(state, who)
        )
        for whose, who in (("agent", AGENT), ("learner", LEARNER))
        for state in STATES
    ]
    times = [linearised_time(space) for space in ("logit", "probability")]
    return (*parts, *times, *single_update(), critical_share("s0"), critical_share("DD"), critical_batch())
