"""Do recurrent networks forecast the yearly sunspots better than a linear autoregression?

Cut by year: trained on targets up to 1899, the rate and the update to stop at chosen on 1900 to 1949,
tested on 1950 to 2008. A forecast sees the years before it and may go on, from its own numbers, for 11
years. Found are root mean squared errors in sunspot numbers: "validation", one year ahead; "test", for
1, 2, ... 11 years ahead. "linear" is no network: "AR p" predicts from the last p years, by least squares.
"""

import numpy as np
import torch
from lab.comparison import contenders, count, hidden_for, measure, start
from lab.datasets import sunspots
from torch import nn

SETTINGS = {
    "seeds": [0, 1, 2, 3, 4],
    "choosing": [100],
    "rates": [0.001, 0.003, 0.01, 0.03],
    "steps": 300,
    "every": 10,
    "width": 16,
    "horizon": 22,
    "window": 40,
    "warm_up": 10,
    "history": 60,
    "ahead": 11,
    "train_until": 1899,
    "validate_until": 1949,
    "max_norm": 1.0,
    "linear": ["mean", "last", "eleven years ago", *(f"AR {p}" for p in range(1, 21))],
}
REDUCED = {
    "seeds": [0],
    "rates": [0.003, 0.01],
    "steps": 4,
    "every": 2,
    "width": 4,
    "linear": ["last", "AR 9"],
}


def runs(settings: dict) -> list[dict]:
    return contenders() + [{"cell": "linear", "name": name} for name in settings["linear"]]


def run(settings: dict, cell: str, equal: str = "", init: str = "", name: str = "") -> dict:
    years, numbers = sunspots()
    seen = numbers[years <= settings["train_until"]]
    mean, scale = seen.mean(), seen.std()
    series = (numbers - mean) / scale
    split = (
        int((years <= settings["train_until"]).sum()),
        int((years <= settings["validate_until"]).sum()),
    )

    def errors(forecast, first: int, stop: int) -> list[float]:
        """For 1, 2, ... years ahead, over the years with numbers first to stop - 1."""
        origins = range(first, stop)
        history = np.stack([series[o - settings["history"] : o] for o in origins])
        guess = forecast(history, settings["ahead"])
        squares = [
            [(guess[row, h] - series[o + h]) ** 2 for row, o in enumerate(origins) if o + h < stop]
            for h in range(settings["ahead"])
        ]
        return [float(scale * np.sqrt(np.mean(square))) for square in squares]

    if cell == "linear":
        forecast = _linear(name, series[: split[0]])
        return {
            "validation": errors(forecast, *split)[0],
            "test": errors(forecast, split[1], len(series)),
        }
    hidden = hidden_for(cell, equal, 1, settings["width"], 1)

    def once(rate: float, seed: int) -> dict:
        torch.manual_seed(seed)
        model = _Forecaster(start(cell, init, 1, hidden, settings["horizon"]))
        best, curve = None, []
        for update, loss in enumerate(_updates(model, series[: split[0]], rate, settings), 1):
            if update % settings["every"] == 0:
                validation = errors(model.forecast, *split)[0]
                curve.append([float(scale * loss**0.5), validation])
                if best is None or validation < best["validation"]:
                    test = errors(model.forecast, split[1], len(series))
                    best = {"validation": validation, "test": test, "stopped": update}
        return {**best, "curve": curve}

    parameters = count(_Forecaster(start(cell, init, 1, hidden, 2)))
    found = measure(once, settings["rates"], settings["choosing"], settings["seeds"])
    return {"hidden": hidden, "parameters": parameters, **found}


class _Forecaster(nn.Module):
    def __init__(self, rnn):
        super().__init__()
        self.rnn = rnn
        self.readout = nn.Linear(rnn.hidden_size, 1)

    def forward(self, x, state=None):
        outputs, state = self.rnn(x, state)
        return self.readout(outputs), state

    @torch.no_grad()
    def forecast(self, history, steps):
        """history (B, years) to (B, steps): after the first, each forecast reads the one before."""
        guess, state = self(torch.from_numpy(history.T[..., None]).float())
        made = [guess[-1:]]
        for _ in range(steps - 1):
            guess, state = self(made[-1], state)
            made.append(guess)
        return torch.cat(made)[..., 0].T.double().numpy()


def _updates(model, series, rate, settings):
    """After each update on all windows of the series, its loss: the squared error after the warm-up."""
    windows = np.lib.stride_tricks.sliding_window_view(series, settings["window"] + 1).T.copy()
    x = torch.from_numpy(windows[..., None]).float()
    optimizer = torch.optim.Adam(model.parameters(), lr=rate)
    for _ in range(settings["steps"]):
        wrong = (model(x[:-1])[0] - x[1:])[settings["warm_up"] :]
        loss = wrong.square().mean()
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), settings["max_norm"])
        optimizer.step()
        yield loss.item()


def _linear(name, series):
    """A forecast by weights of the last years (the latest last) and a constant."""
    constant = 0.0  # the mean of the series
    if name.startswith("AR "):
        order = int(name.removeprefix("AR "))
        past = np.lib.stride_tricks.sliding_window_view(series[:-1], order)
        inputs = np.column_stack([past, np.ones(len(past))])
        *weights, constant = np.linalg.lstsq(inputs, series[order:], rcond=None)[0]
    else:
        weights = {"mean": [0.0], "last": [1.0], "eleven years ago": [1.0] + [0.0] * 10}[name]
    weights = np.array(weights)

    def forecast(history, steps):
        for _ in range(steps):
            following = history[:, -len(weights) :] @ weights + constant
            history = np.column_stack([history, following])
        return history[:, -steps:]

    return forecast
