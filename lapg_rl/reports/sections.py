"""The sections of a report, each `(groups of results by estimator, prediction or None) -> HTML`, empty where it can't be."""

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from lapg_rl import config
from lapg_rl.config import Config
from lapg_rl.reports import crossplay, figures
from lapg_rl.reports import findings as found
from lapg_rl.reports.figures import Groups, colour, draw, evaluated
from lapg_rl.reports.figures import label as name_of
from lapg_rl.reports.html import dot, figure, number, prose, table
from lapg_rl.study.names import is_strategy
from lapg_rl.study.records import ExtortionFit, PayoffLine, Prediction
from lapg_rl.study.results import LAST, Result, summary
from lapg_theory.game.extortion import NEAR
from lapg_theory.game.words import LITTLE, MUCH, RARELY

READING = (
    f"Means over the last {LAST} updates and over seeds; rewards per step. Measured in shares of what mutual cooperation "
    f"yields over mutual defection, an agent <em>extorts</em> if it takes at least {MUCH} and leaves at most {LITTLE}, "
    f"<em>cooperates</em> if both take at least {MUCH}, and <em>defects</em> if it cooperates in less than "
    f"{RARELY:.0%} of the steps."
)


def title(cfg: Config) -> str:
    """Whom the agents meet."""
    pool = cfg.pool
    if cfg.schedule:
        return f"{pool.agents} learning-aware agents, whose company changes on a schedule"
    if pool.p_meta == 1:
        return "Learning-aware agents among themselves"
    if pool.p_naive == 1:
        return "Learning-aware agents against naive learners"
    shares = {"naive learners": pool.p_naive, "fixed": pool.p_fixed, "random memory-one": pool.p_memory_one}
    shares["frozen agents"] = pool.p_frozen
    met = [f"{share:.0%} {kind}" for kind, share in shares.items() if share]
    return f"{pool.agents} learning-aware agents in a mixed pool ({', '.join(met)})"


def findings(results: Sequence[Result], files: Mapping[str, Path]) -> str:
    """The findings of the paper beside ours; shown where at least one of them has a run."""
    rows = [row for row in found.rows(results, files) if row.folders]
    if not rows:
        return ""
    cells = [[escape(cell) for cell in found.cells(row, lambda folder: folder.name)] for row in rows]
    at = found.HEADS.index("command")
    cells = [[*row[:at], f"<code>{row[at]}</code>", *row[at + 1 :]] for row in cells]
    return f'<h2>Findings</h2><p class="note">{prose(found.INTRODUCTION)}</p>' + table(found.HEADS, cells)


def lead(cfg: Config) -> str:
    """What was played, in two sentences."""
    T, R, P, S = cfg.game.build().trps
    return (
        f"Iterated prisoner's dilemma, (T, R, P, S) = ({T:g}, {R:g}, {P:g}, {S:g}), in inner episodes "
        f"of {cfg.steps} steps. A naive co-player learns after each of {cfg.inner_episodes} inner episodes from "
        f"{cfg.batch} parallel games; the agent ({cfg.model.kind}) plays them all and is trained on what it earns over "
        "the whole course."
    )


def card(name: str, results: Sequence[Result]) -> str:
    """The headline of one estimator."""
    verdicts = [r.verdict if "reward_vs_naive" in r.last else f"{r.pool_verdict} among themselves" for r in results]
    most = max(verdicts, key=verdicts.count)
    count = "" if len(results) == 1 else f" <small>in {verdicts.count(most)} of {len(results)} runs</small>"
    shown = {"agent": "reward_vs_naive", "naive co-player": "naive_reward", "cooperation": "cooperation_vs_naive"}
    shown |= {"among agents": "reward_vs_meta", "cooperation there": "cooperation_vs_meta"}
    rows = "".join(
        f"<dt>{label}</dt><dd>{number(np.mean([r.last[metric] for r in results]))}</dd>"
        for label, metric in shown.items()
        if all(metric in r.last for r in results)
    )
    return (
        f'<div class="card" style="--colour: {colour(name)}"><div class="name">{name_of(name)}</div>'
        f'<div class="verdict">{most}{count}</div><dl>{rows}</dl></div>'
    )


def shared_prediction(results: Iterable[Result]) -> Prediction | None:
    """The theory's prediction, which comparable runs share."""
    return next((r.prediction for r in results if r.prediction), None)


def training(groups: Groups, prediction: Prediction | None) -> str:
    """Learning curves."""
    caption = (
        "Rewards per step in the meta-episodes that the agents learn from; mean and range over seeds. Black: what the "
        "exact theory says that the best memory-one policy earns from such learners, and what a defector earns; the grey "
        "bands span the calibrated learning rates."
    )
    return "<h2>Training</h2>" + figure(draw(figures.training, groups, prediction), caption)


def course(groups: Groups, prediction: Prediction | None) -> str:
    """Behaviour within a meta-episode."""
    if not evaluated(groups):
        return '<p class="note">No run is evaluated yet: <code>lapg evaluate RUN</code>.</p>'
    caption = (
        f"The trained agents meet {figures.naive_met(groups)}, who change from one inner episode to the next. Mean and range "
        "over seeds; the theory's course is that of the best memory-one policy for LAPG and that of a defector for the others."
    )
    return "<h2>Within a meta-episode</h2>" + figure(draw(figures.course, groups, prediction), caption)


def signature(groups: Groups, prediction: Prediction | None) -> str:
    """The policy signature."""
    if not evaluated(groups):
        return ""
    caption = (
        "How often an agent cooperates with naive learners in the first step of an inner episode, and after each joint "
        "action (its own first). Whiskers: range over seeds; faint bars: states that make up less than 2 % of its steps. "
        "Diamonds: the theory's best memory-one policy."
    )
    return "<h2>What the agents learnt to do</h2>" + figure(draw(figures.signature, groups, prediction), caption)


def extortion(groups: Groups, prediction: Prediction | None) -> str:
    """Fitted extortion factors beside the theory's, and payoff lines."""
    if not evaluated(groups):
        return ""
    rows = [
        [dot(colour(name)) + escape(r.name), *_fit(fits.get(line.agent)), _slope(line), number(line.intercept)]
        for name, results in evaluated(groups).items()
        for r in results
        for fits in [{fit.agent: fit for fit in r.evaluation.extortion}]  # type: ignore
        for line in r.evaluation.lines  # type: ignore
    ]
    for fit, told in zip(prediction.extortion, prediction.best, strict=True) if prediction else ():
        rows.append(
            [f"theory, naive rate {told.rate:.2f}", *_fit(fit), number(told.slope), number(told.intercept)]
        )  # fmt: skip
    text = (
        "<h2>Extortion</h2><p>An extortionate zero-determinant strategy keeps its surplus over mutual defection at a fixed "
        "multiple, the extortion factor, of its co-player's. The factor is fitted to the agent's signature; the distance "
        f"(root mean square) says how near to that family the agent is; above {NEAR:g} no factor is given. "
        "Slope (95 % interval) and intercept need no such family: they say what random memory-one co-players gain "
        "for each 1 that they give the agent. An extorter of factor x has slope 1/x; at 0 the co-player is left with the same "
        "whatever it does; at -1/2 it pays for what it gives.</p>"
    )
    caption = (
        "One point a random memory-one co-player; shaded: what the game allows. On the grey diagonal both earn the same. An "
        "extorter's points lie above it on a rising line: the co-player can gain only by giving the agent more. A "
        "defector's line falls: what the co-player gives, it loses."
    )
    heads = ["", "factor", "scale", "distance", "slope", "intercept"]
    return text + table(heads, rows) + figure(draw(figures.payoff_lines, groups, prediction), caption)


def _slope(line: PayoffLine) -> str:
    interval = "" if line.low is None else f" [{number(line.low)}, {number(line.high)}]"
    return number(line.slope) + interval


def _fit(fit: ExtortionFit | None) -> list[str]:
    if fit is None:
        return ["-"] * 3
    if not fit.near:
        return ["-", "-", number(fit.residual)]
    return ["unbounded" if fit.factor is None else number(fit.factor), number(fit.scale), number(fit.residual)]


def pools(groups: Groups, prediction: Prediction | None) -> str:
    """Who earns how much from whom within each run of several agents."""
    del prediction
    runs = [r for results in evaluated(groups).values() for r in results if crossplay.met(r)]
    if not runs:
        return ""
    caption = (
        "Reward per step of the row agent against each agent of its run, itself included, and against "
        f"{figures.naive_met(groups)}; small: half the width of the 95 % interval over meta-episodes."
    )
    return "<h2>Who earns how much from whom</h2>" + figure(draw(crossplay.pools, runs), caption)


def strategies(groups: Groups, prediction: Prediction | None) -> str:
    """Rewards against strategies that don't learn."""
    del prediction
    groups = evaluated(groups)
    if not groups:
        return ""
    results = [r for rs in groups.values() for r in rs]
    met = dict.fromkeys(m.opponent for r in results for m in r.evaluation.matches)  # type: ignore
    names = [name for name in met if is_strategy(name) and all(name in r.opponents for r in results)]
    if not names:
        return ""
    rows = []
    for strategy in names:
        met = [[m for r in rs for m in r.evaluation.matches if m.opponent == strategy] for rs in groups.values()]  # type: ignore
        cells = [number(np.mean([getattr(m, side).reward for m in ms])) for ms in met for side in ("own", "other")]
        rows.append([strategy, *cells])
    heads = ["", *(h for name in groups for h in (dot(colour(name)) + name_of(name), "other"))]
    return (
        "<h2>Against fixed strategies</h2><p>Rewards per step against memory-one strategies that do not learn and that the "
        "agents never met in training.</p>" + table(heads, rows)
    )


def theory(groups: Groups, prediction: Prediction | None) -> str:
    """What was predicted, how it was calibrated, and why the estimators part ways."""
    if prediction is None:
        return ""
    spell = lambda policy: " ".join(number(p) for p in policy)  # noqa: E731
    rows = [
        [f"exact, rate {told.rate:.2f}", kind, spell(told.policy), number(told.reward), number(told.naive_reward)]
        for kind, many in (("best memory-one", prediction.best), ("always defect", prediction.defection))
        for told in many
    ]
    for kind, met in (
        ("best memory-one", prediction.simulated_best),
        ("always defect", prediction.simulated_defection),
    ):
        rows.append(["simulated", kind, spell(met.policy), number(met.reward), number(met.naive_reward)])
    caption = (
        "Reward per step of naive learners against a defector and against tit-for-tat: simulated, and the exact learner "
        "at the rate that fits best."
    )
    return (
        "<h2>What the theory says</h2><p>The theory plays the same game exactly, with naive learners that climb the "
        "gradient of their own return. Their learning rate is the one number that it takes from simulation: from naive "
        "learners that meet two fixed strategies, before any agent is trained. Predictions span the two rates.</p>"
        + figure(draw(figures.calibration, groups, prediction), caption)
        + "<p>What the best memory-one policy and a defector earn, by exact computation and from the simulated naive "
        "learners. A sequence agent may do better than any memory-one policy: it can count steps.</p>"
        + table(["naive learners", "policy", "cooperation after s0, CC, CD, DC, DD", "agent", "naive"], rows)
        + _escape(groups, prediction)
    )


def _escape(groups: Groups, prediction: Prediction) -> str:
    told, batch = prediction.escape, next(iter(groups.values()))[0].config.batch
    where = "for no B" if told.critical_batch is None else f"only for B below {told.critical_batch:.1f}"
    return (
        "<p>Why the estimators part ways: where an agent always defects, cooperating a little after DC changes its return "
        f"per step at the rate {told.direct:+.3f} directly and {told.via_learning:+.3f} through what the co-player learns "
        "from it. LAPG sees the sum. For a policy without memory of earlier inner episodes, batch-unaware and M-FOS credits "
        f"see only 1/B of the second part, so they point away from defection {where}; here B is {batch}.</p>"
    )


def runs(groups: Groups, prediction: Prediction | None) -> str:
    """Results, configuration and provenance of every run."""
    del prediction
    results = [r for group in groups.values() for r in group]
    rows = summary(results)
    cells = [[number(v) if isinstance(v, float) or v is None else escape(str(v)) for v in row.values()] for row in rows]
    return (
        "<h2>Runs</h2>" + table([name.replace("_", " ") for name in rows[0]], cells)
        + "<details><summary>Configuration</summary>" + _configuration(results)
        + "</details><details><summary>Provenance</summary>" + _provenance(results) + "</details>"
    )  # fmt: skip


def _configuration(results: Sequence[Result]) -> str:
    flat = [_flatten(config.to_dict(r.config)) for r in results]
    rows = [
        [f"<code>{key}</code>", escape(", ".join(dict.fromkeys(str(f[key]) for f in flat)))] for key in flat[0]
    ]  # fmt: skip
    return table(["key", "value (several where the runs differ)"], rows)


def _flatten(data: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat = {}
    for key, value in data.items():
        flat.update(_flatten(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value})
    return flat


def _provenance(results: Sequence[Result]) -> str:
    rows = []
    for r in results:
        for row in r.provenance:
            if "started" in row:
                versions = ", ".join(f"{name} {version}" for name, version in row["versions"].items())
                fields = (r.name, row["started"], row["commit"], ", ".join(row["devices"]), row["platform"])
                rows.append([*fields, f"Python {row['python']}, {versions}", "-"])
            elif "finished_after_s" in row and rows:
                rows[-1][-1] = f"{row['finished_after_s']:.0f} s"
    heads = ["run", "started (UTC)", "commit", "device", "platform", "versions", "time"]
    return table(heads, [[escape(str(cell)) for cell in row] for row in rows])


SECTIONS = (training, pools, course, signature, extortion, strategies, theory, runs)
