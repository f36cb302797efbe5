"""Gradients of costs that are no networks, as people publish them: each right, or with a mistake."""

import numpy as np

RNG = np.random.default_rng(1)
N = RNG.normal
X, HOT, CLASS = N(size=(12, 3)), RNG.integers(2, size=12).astype(float), RNG.integers(4, size=12)


def sig(z):
    return 1 / (1 + np.exp(-z))


def soft(z):
    p = np.exp(z - z.max(-1, keepdims=True))
    return p / p.sum(-1, keepdims=True)


# --- logistic regression: the bias is spared by the penalty λ / 2m

def logistic(w, X, y, lam):
    p = sig(X @ w)
    return -np.mean(y * np.log(p) + (1 - y) * np.log(1 - p)) + lam / (2 * len(y)) * np.sum(w[1:]**2)


def logistic_grad(w, X, y, lam, wrong=""):
    times = {"forgotten": 0, "doubled": 2, "flipped": -1, "halved": 0.5}.get(wrong, 1)
    penalty = times * lam / len(y) * w * (1 if wrong == "bias too" else np.arange(len(w)) > 0)
    return X.T @ (sig(X @ w) - y) / len(y) + penalty


# --- a Gaussian likelihood by log σ

def gauss(p, x):
    return np.sum(0.5 * ((x - p["mu"]) / np.exp(p["log_sigma"]))**2 + p["log_sigma"])


def gauss_grad(p, x, wrong=""):
    s = np.exp(p["log_sigma"])
    z = (x - p["mu"]) / s
    return {"mu": -np.sum(z) / s, "log_sigma": np.sum(1 - z**2) / (s if wrong == "by sigma" else 1)}


# --- attention with one head

def attention(p, x, g):
    q, k, v = (x @ p[name] for name in ("Wq", "Wk", "Wv"))
    return np.sum(g * (soft(q @ k.T / np.sqrt(q.shape[1])) @ v))


def attention_grad(p, x, g, wrong=""):
    q, k, v = (x @ p[name] for name in ("Wq", "Wk", "Wv"))
    a = soft(q @ k.T / np.sqrt(q.shape[1]))
    da = g @ v.T
    ds = a * (1 - a) * da if wrong == "diagonal" else a * (da - (da * a).sum(1, keepdims=True))
    ds = ds if wrong == "unscaled" else ds / np.sqrt(q.shape[1])
    return {"Wq": x.T @ (ds @ k), "Wk": x.T @ (ds.T @ q), "Wv": x.T @ (a.T @ g)}


# --- objectives of boosting return (gradient, hessian) by the raw score

def boosting(s, y):
    return np.sum(np.logaddexp(0, s) - y * s)


def boosting_grad(s, y, wrong=""):
    p = sig(s)
    grad, hess = p - y, p * (1 - p)
    grad = np.where(y == 1, 2.0, 1.0) * grad if wrong == "weighted" else grad
    return (hess, grad) if wrong == "exchanged" else (grad, hess)


# --- word2vec with negative samples, one of them drawn twice

def words(p, c, o, drawn):
    v, u = p["V"][c], p["U"]
    return -np.log(sig(u[o] @ v)) - np.sum(np.log(sig(-u[drawn] @ v)))


def words_grad(p, c, o, drawn, wrong=""):
    v, u = p["V"][c], p["U"]
    gv, gu, a, b = np.zeros_like(p["V"]), np.zeros_like(u), sig(u[o] @ v) - 1, sig(u[drawn] @ v)
    gv[c], gu[o] = a * u[o] + b @ u[drawn], a * v
    if wrong == "drawn twice":
        gu[drawn] += b[:, None] * v
    else:
        np.add.at(gu, drawn, b[:, None] * v)
    gu[drawn] *= -1 if wrong == "sign" else 1
    return {"V": gv, "U": gu}


# --- a local level by the Kalman filter: p = (log q, log r)

def kalman(p, ys, wrong=None):
    q, r = np.exp(p)
    m, P, cost = 0.0, 1.0, 0.0
    dm, dP, slope = np.zeros(2), np.zeros(2), np.zeros(2)
    dq, dr = np.eye(2) * (1 if wrong == "by q" else np.exp(p))
    for y in ys:
        P, dP = P + q, dP + dq
        S, dS, e, de = P + r, dP + dr, y - m, -dm
        cost += 0.5 * (np.log(S) + e * e / S)
        slope = slope + 0.5 * (dS / S + 2 * e * de / S - e * e * dS / S**2)
        K, dK = P / S, dP / S - P * dS / S**2
        m, dm = m + K * e, dm + dK * e + K * de
        P, dP = (1 - K) * P, (1 - K) * dP - (0 if wrong == "gain held" else dK * P)
    return cost, slope


# --- factors of a matrix, in a list; a mixture of Gaussians; the softmax by its rows

def factors(p, R, M, lam):
    return np.sum(M * (R - p[0] @ p[1].T)**2) + lam * (np.sum(p[0]**2) + np.sum(p[1]**2))


def factors_grad(p, R, M, lam, wrong=""):
    E = M * (R - p[0] @ p[1].T)
    grads = [-2 * E @ p[1] + 2 * lam * p[0], -2 * E.T @ p[0] + 2 * lam * p[1]]
    return grads[::-1] if wrong == "order" else grads


def mixture(p, x):
    q = np.log(soft(p["logits"])) - 0.5 * (x[:, None] - p["mu"])**2
    m = q.max(1)
    return -np.sum(m + np.log(np.exp(q - m[:, None]).sum(1)))


def mixture_grad(p, x, wrong=""):
    R = soft(np.log(soft(p["logits"])) - 0.5 * (x[:, None] - p["mu"])**2)
    mu = -(R * (x[:, None] - p["mu"])).sum(0)
    return {"logits": -(R.sum(0) - (1 if wrong == "N" else len(x)) * soft(p["logits"])),
            "mu": mu[::-1] if wrong == "sorted" else mu}


def rows(z, g):
    return np.sum(g * soft(z))


def rows_grad(z, g, wrong=""):
    p = soft(z)
    return g * p * (1 - p) if wrong == "diagonal" else p * (g - (g * p).sum(-1, keepdims=True))


# --- Q-learning with a target network; a variational autoencoder with its noise given

TARGET = N(size=(3, 2))


def td(w, s, a, r, after):
    target = r + 0.9 * np.max(after @ TARGET, 1)
    return 0.5 * np.mean((target - (s @ w)[np.arange(len(a)), a])**2)


def td_grad(w, s, a, r, after, wrong=""):
    target = r + 0.9 * np.max(after @ (w if wrong == "online" else TARGET), 1)
    d, G = ((s @ w)[np.arange(len(a)), a] - target) / len(a), np.zeros((len(a), 2))
    G[np.arange(len(a)), a] = -d if wrong == "sign" else d
    return s.T @ G


def vae(p, x, eps):
    mu, lv = x @ p["Wm"], x @ p["Ws"]
    z = mu + np.exp(0.5 * lv) * eps
    return 0.5 * np.sum((x - z @ p["Wd"])**2) - 0.5 * np.sum(1 + lv - mu**2 - np.exp(lv))


def vae_grad(p, x, eps, wrong=""):
    mu, lv = x @ p["Wm"], x @ p["Ws"]
    z = mu + np.exp(0.5 * lv) * eps
    d = z @ p["Wd"] - x
    dz = d @ p["Wd"].T
    dmu, dlv = dz + (wrong != "no KL") * mu, dz * eps * np.exp(0.5 * lv) / 2 - 0.5 * (1 - np.exp(lv))
    return {"Wm": x.T @ dmu, "Ws": x.T @ dlv, "Wd": z.T @ d}


CASES = {  # name -> (f, gradient, the point, {mistake: the cause that is said})
    "logistic": (logistic, logistic_grad, (N(size=3), X, HOT, 0.7), {
        "forgotten": "penalty forgotten", "halved": "penalty forgotten", "doubled": "penalty doubled",
        "flipped": "sign", "bias too": "single entry"}),
    "gauss": (gauss, gauss_grad, ({"mu": 0.3, "log_sigma": -0.2}, N(size=9)), {
        "by sigma": "chain rule forgotten"}),
    "attention": (attention, attention_grad, (
        {name: N(size=(4, 3)) for name in ("Wq", "Wk", "Wv")}, N(size=(5, 4)), N(size=(5, 3))), {
            "unscaled": "factor", "diagonal": "unexplained"}),
    "boosting": (boosting, boosting_grad, (N(size=12), HOT), {
        "weighted": "factor", "exchanged": "second derivative"}),
    "words": (words, words_grad, (
        {"V": N(size=(6, 3)), "U": N(size=(6, 3))}, 2, 1, np.array([0, 4, 4, 5])), {
            "drawn twice": "factor", "sign": "sign"}),
    "kalman": (lambda *args: kalman(*args)[0], lambda *args, wrong=None: kalman(*args, wrong)[1],
               (np.array([-0.5, 0.2]), N(size=15)), {
                   "by q": "chain rule forgotten", "gain held": "unexplained"}),
    "factors": (factors, factors_grad, (
        [N(size=(5, 2)), N(size=(5, 2))], N(size=(5, 5)), (RNG.random((5, 5)) < 0.6) * 1.0, 0.1), {
            "order": "exchanged leaves"}),
    "mixture": (mixture, mixture_grad, ({"logits": N(size=3), "mu": 2 * N(size=3)}, N(size=20)), {
        "sorted": "swapped entries", "N": "unexplained"}),
    "rows": (rows, rows_grad, (N(size=(5, 4)), N(size=(5, 4))), {
        "diagonal": "cross terms forgotten"}),
    "td": (td, td_grad, (N(size=(3, 2)), X, RNG.integers(2, size=12), N(size=12), N(size=(12, 3))), {
        "sign": "sign", "online": "unexplained"}),
    "vae": (vae, vae_grad, ({"Wm": N(size=(3, 2)), "Ws": 0.3 * N(size=(3, 2)), "Wd": N(size=(2, 3))},
                            X[:5], N(size=(5, 2))), {"no KL": "unexplained"}),
}
