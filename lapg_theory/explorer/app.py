"""The page of the explorer, a notebook of marimo: sliders, and what follows from where they stand."""

import marimo

app = marimo.App(width="medium", app_title="lapg explore", css_file="app.css")


@app.cell
def _():
    import marimo as mo

    from lapg_theory.explorer import views

    return mo, views


@app.cell
def _(mo):
    def slide(label, value, **range_):
        return mo.ui.slider(label=label, value=value, debounce=True, show_value=True, **range_)

    sliders = mo.ui.dictionary(
        {
            "T": slide("T, temptation", 2.0, start=-5, stop=10, step=0.5),
            "R": slide("R, reward", 1.0, start=-5, stop=10, step=0.5),
            "P": slide("P, punishment", 0.0, start=-5, stop=10, step=0.5),
            "S": slide("S, sucker", -1.0, start=-5, stop=10, step=0.5),
            "gamma": slide("gamma, discount", 0.95, steps=[0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 0.98, 0.99]),
            "eta": slide(
                "naive learning rate", 1.0, steps=[0.1, 0.2, 0.3, 0.5, 0.7, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 20.0]
            ),
            "updates": slide("naive updates", 20, steps=[2, 5, 10, 20, 40]),
            "p_naive": slide("share of naive learners", 0.5, start=0.0, stop=1.0, step=0.05),
            "noise": slide("noise, chance of a slip", 0.0, steps=[0.0, 0.005, 0.01, 0.02, 0.05, 0.1]),
        }
    )
    finer = mo.ui.checkbox(label="search all fixed points, too (some seconds)")
    return finer, sliders


@app.cell
def _(finer, mo, sliders):
    left, right = ["T", "R", "P", "S"], ["gamma", "eta", "updates", "p_naive", "noise"]
    mo.vstack(
        [
            mo.md("# When do learning agents cooperate?"),
            mo.hstack(
                [mo.vstack([sliders[n] for n in names]) for names in (left, right)], justify="start", wrap=True, gap=3
            ),
            finer,
        ]
    )
    return


@app.cell
def _(sliders, views):
    asked = views.Asked(**{name: round(value, 6) for name, value in sliders.value.items()})
    return (asked,)


@app.cell
def _(asked, mo, views):
    mo.vstack([mo.md("## Does defection last?"), mo.Html(views.window(asked))])
    return


@app.cell
def _(asked, mo, views):
    mo.vstack([mo.md("## Where pairs of agents end, and who earns what"), mo.Html(views.ends(asked))])
    return


@app.cell
def _(asked, mo, views):
    about = (
        "What can last, over the share of naive learners and their time: **D**efection, **E**xtortion, **C**ooperation."
    )
    mo.vstack([mo.md(f"## Around this setting\n\n{about} The ring is here."), mo.Html(views.phase(asked))])
    return


@app.cell
def _(asked, finer, mo, views):
    mo.stop(not finer.value)
    mo.vstack([mo.md("## Fixed points"), mo.Html(views.fixed_points(asked))])
    return


@app.cell
def _(asked, mo, views):
    def copied(text):
        from html import escape

        return mo.Html(f'<pre style="user-select: all; white-space: pre-wrap">{escape(text)}</pre>')

    coarse = (
        f"Coarse, so that it answers at once: the certificate by {views.SCRAMBLINGS} x {views.LEARNERS} naive learners, "
        f"all else by {views.FEW}; {views.PAIRS} random pairs and {views.STEPS} steps of AdamW at {views.RATE}, after which "
        "some may still move. What is below is at full precision; a click selects it."
    )
    mo.vstack([mo.md(f"## Take it along\n\n{coarse}"), copied(views.command(asked)), copied(views.python(asked))])
    return


if __name__ == "__main__":
    app.run()
