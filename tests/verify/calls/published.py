"""Gradients in the forms in which people publish them: as courses, books and blog posts write them.

Each is written in its genre's own idiom, right, with a place where a mistake may be put.
"""

from itertools import pairwise

import numpy as np

RNG = np.random.default_rng(7)
X, W1, B1, W2, B2 = (RNG.normal(size=shape) for shape in ((8, 3), (5, 3), (5,), (2, 5), (2,)))
Y, LABELS = RNG.uniform(size=(8, 2)), RNG.integers(2, size=8)


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


# --- an online course: examples in columns, parameters and caches in dictionaries, grads named after them

def course(parameters, X, Y, slope=lambda a: 1 - a**2, share=lambda m: 1 / m):
    m = X.shape[1]
    A1 = np.tanh(np.dot(parameters["W1"], X) + parameters["b1"])
    A2 = sigmoid(np.dot(parameters["W2"], A1) + parameters["b2"])
    cost = -1 / m * np.sum(Y * np.log(A2) + (1 - Y) * np.log(1 - A2))
    dZ2 = A2 - Y
    grads = {"dW2": 1 / m * np.dot(dZ2, A1.T), "db2": 1 / m * np.sum(dZ2, axis=1, keepdims=True)}
    dZ1 = np.dot(parameters["W2"].T, dZ2) * slope(A1)
    grads.update(dW1=1 / m * np.dot(dZ1, X.T), db1=share(m) * np.sum(dZ1, axis=1, keepdims=True), dZ1=dZ1)
    return grads, np.squeeze(cost)


COURSE = {"W1": W1, "b1": B1[:, None], "W2": W2, "b2": B2[:, None]}


# --- logistic regression of the same course's second week: w a column, b a number

def propagate(p, X, Y, sign=1):
    m, A = X.shape[1], sigmoid(np.dot(p["w"].T, X) + p["b"])
    return {"dw": 1 / m * np.dot(X, (A - Y).T), "db": sign / m * np.sum(A - Y)}, -np.mean(Y * np.log(A) + (1 - Y) * np.log(1 - A))


# --- an older course: Theta with the bias in column 0, labels made one-hot inside, λ/m

def thetas(Thetas, X, y, lam=0.0, spared=0):
    Theta1, Theta2 = Thetas
    m = X.shape[0]
    a1 = np.hstack([np.ones((m, 1)), X])
    a2 = np.hstack([np.ones((m, 1)), sigmoid(a1 @ Theta1.T)])
    d3 = sigmoid(a2 @ Theta2.T) - np.eye(2)[y]
    d2 = (d3 @ Theta2 * a2 * (1 - a2))[:, 1:]
    grads = [d2.T @ a1 / m, d3.T @ a2 / m]
    for grad, Theta in zip(grads, Thetas, strict=True):
        grad[:, 1 - spared:] += lam / m * Theta[:, 1 - spared:]
    return grads


THETAS = [np.hstack([b[:, None], W]) for W, b in ((W1, B1), (W2, B2))]


# --- an online book: lists of weights and column biases, one example at a time, (x, y) columns

class BookNetwork:
    def __init__(self, sizes):
        rng = np.random.default_rng(3)
        self.num_layers, self.sizes = len(sizes), sizes
        self.biases = [rng.normal(size=(y, 1)) for y in sizes[1:]]
        self.weights = [rng.normal(size=(y, x)) for x, y in pairwise(sizes)]

    def backprop(self, x, y):
        nabla_b, nabla_w = [np.zeros(b.shape) for b in self.biases], [np.zeros(w.shape) for w in self.weights]
        activation, activations, zs = x, [x], []
        for b, w in zip(self.biases, self.weights, strict=True):
            z = np.dot(w, activation) + b
            zs.append(z)
            activation = sigmoid(z)
            activations.append(activation)
        delta = (activations[-1] - y) * self.prime(zs[-1])
        nabla_b[-1], nabla_w[-1] = delta, np.dot(delta, activations[-2].transpose())
        for l in range(2, self.num_layers):
            delta = np.dot(self.weights[-l + 1].transpose(), delta) * self.prime(zs[-l])
            nabla_b[-l], nabla_w[-l] = delta, np.dot(delta, activations[-l - 1].transpose())
        return nabla_b, nabla_w

    def prime(self, z):
        return sigmoid(z) * (1 - sigmoid(z))

    def update_mini_batch(self, mini_batch, eta):
        nabla_b, nabla_w = [np.zeros(b.shape) for b in self.biases], [np.zeros(w.shape) for w in self.weights]
        for x, y in mini_batch:
            delta_nabla_b, delta_nabla_w = self.backprop(x, y)
            nabla_b = [nb + dnb for nb, dnb in zip(nabla_b, delta_nabla_b, strict=True)]
            nabla_w = [nw + dnw for nw, dnw in zip(nabla_w, delta_nabla_w, strict=True)]
        self.weights = [w - eta / len(mini_batch) * nw for w, nw in zip(self.weights, nabla_w, strict=True)]
        self.biases = [b - eta / len(mini_batch) * nb for b, nb in zip(self.biases, nabla_b, strict=True)]


class BookNetworkWithoutSlope(BookNetwork):
    def prime(self, z):
        return np.ones_like(z)


# --- a vision course: a class with params, loss(X, y, reg) that returns the loss and grads

class TwoLayerNet:
    regular = 2.0  # of reg * sum(W * W)

    def __init__(self):
        self.params = {"W1": W1.T.copy(), "b1": B1.copy(), "W2": W2.T.copy(), "b2": B2.copy()}

    def loss(self, X, y=None, reg=0.05):
        W1, b1, W2, b2 = (self.params[key] for key in ("W1", "b1", "W2", "b2"))
        N, _ = X.shape
        hidden = np.maximum(0, X.dot(W1) + b1)
        scores = hidden.dot(W2) + b2
        if y is None:
            return scores
        scores -= np.max(scores, axis=1, keepdims=True)
        probs = np.exp(scores) / np.sum(np.exp(scores), axis=1, keepdims=True)
        loss = np.sum(-np.log(probs[range(N), y])) / N + reg * (np.sum(W1 * W1) + np.sum(W2 * W2))
        dscores = probs
        dscores[range(N), y] -= 1
        dscores /= N
        grads = {"W2": hidden.T.dot(dscores) + self.regular * reg * W2, "b2": np.sum(dscores, axis=0)}
        dhidden = dscores.dot(W2.T)
        dhidden[hidden <= 0] = 0
        grads["W1"], grads["b1"] = X.T.dot(dhidden) + self.regular * reg * W1, np.sum(dhidden, axis=0)
        return loss, grads


class HalfRegularised(TwoLayerNet):
    regular = 1.0


# --- a network in eleven lines: no biases, weights changed in place, l2_error = y - l2

def eleven_lines(syn, X, y, slope=lambda a: a * (1 - a)):
    l1 = 1 / (1 + np.exp(-(np.dot(X, syn["syn0"]))))
    l2 = 1 / (1 + np.exp(-(np.dot(l1, syn["syn1"]))))
    l2_delta = (y - l2) * (l2 * (1 - l2))
    l1_delta = l2_delta.dot(syn["syn1"].T) * slope(l1)
    syn["syn1"] += l1.T.dot(l2_delta)
    syn["syn0"] += X.T.dot(l1_delta)


# --- a nanodegree's bicycle project: train() changes the weights, a linear output

class BikeNetwork:
    def __init__(self):
        self.weights_input_to_hidden, self.weights_hidden_to_output = W1.T.copy(), W2.T.copy()
        self.lr = 0.1
        self.activation_function = lambda x: 1 / (1 + np.exp(-x))

    def train(self, features, targets):
        n_records = features.shape[0]
        delta_ih, delta_ho = np.zeros_like(self.weights_input_to_hidden), np.zeros_like(self.weights_hidden_to_output)
        for X, y in zip(features, targets, strict=True):
            hidden = self.activation_function(np.dot(X, self.weights_input_to_hidden))
            error = y - np.dot(hidden, self.weights_hidden_to_output)
            hidden_error = np.dot(self.weights_hidden_to_output, error)
            hidden_error_term = hidden_error * self.slope(hidden)
            delta_ih += hidden_error_term * X[:, None]
            delta_ho += error * hidden[:, None]
        self.weights_hidden_to_output += self.lr * delta_ho / n_records
        self.weights_input_to_hidden += self.lr * delta_ih / n_records

    def slope(self, hidden):
        return hidden * (1 - hidden)


class BikeNetworkWithDoubledError(BikeNetwork):
    def slope(self, hidden):
        return 2 * hidden * (1 - hidden)


# --- a bestseller for beginners: wih and who, ndmin=2, hidden errors pulled back without the output's slope

class MakeYourOwn:
    def __init__(self):
        self.wih, self.who, self.lr = W1.copy(), W2.copy(), 0.3
        self.activation_function = lambda x: sigmoid(x)

    def train(self, inputs_list, targets_list):
        inputs, targets = np.array(inputs_list, ndmin=2).T, np.array(targets_list, ndmin=2).T
        hidden_outputs = self.activation_function(np.dot(self.wih, inputs))
        final_outputs = self.activation_function(np.dot(self.who, hidden_outputs))
        output_errors = targets - final_outputs
        hidden_errors = np.dot(self.who.T, output_errors)
        self.who += self.lr * np.dot(output_errors * final_outputs * (1 - final_outputs), hidden_outputs.T)
        self.wih += self.lr * np.dot(hidden_errors * hidden_outputs * (1 - hidden_outputs), inputs.T)


# --- layers as objects, each with forward, backward and its own dW, db

class Linear:
    def __init__(self, W, b):
        self.W, self.b = W.copy(), b.copy()

    def forward(self, x):
        self.x = x
        return x @ self.W + self.b

    def backward(self, grad):
        self.dW, self.db = self.x.T @ grad, grad.sum(axis=0)
        return grad @ self.W.T


class ReLU:
    def forward(self, x):
        self.mask = x > 0
        return x * self.mask

    def backward(self, grad):
        return grad * self.mask


class Leaky(ReLU):
    def backward(self, grad):
        return grad


class Sequential:
    def __init__(self, between=ReLU):
        self.layers = [Linear(W1.T, B1), between(), Linear(W2.T, B2)]

    def forward(self, x):
        for layer in self.layers:
            x = layer.forward(x)
        self.output = x
        return x

    def backward(self, y):
        grad = (self.output - y) / len(y)
        for layer in reversed(self.layers):
            grad = layer.backward(grad)


# --- a library's own: coefs and intercepts in lists, the loss, then both lists of gradients

def multilayer(params, X, y, alpha=0.0):
    coefs, intercepts = params
    a1 = np.maximum(X @ coefs[0] + intercepts[0], 0)
    z2 = a1 @ coefs[1] + intercepts[1]
    delta = (z2 - y) / len(X)
    coef_grads, intercept_grads = [None, a1.T @ delta], [None, np.mean(len(X) * delta, 0)]
    delta = delta @ coefs[1].T * (a1 > 0)
    coef_grads[0], intercept_grads[0] = X.T @ delta, np.mean(len(X) * delta, 0)
    return ((z2 - y) ** 2).sum() / 2 / len(X), coef_grads, intercept_grads


# --- reinforcement learning from pixels: no biases, W2 a plain vector, ReLU, log probabilities

def policy(model, X, y, mask=lambda dh, h: np.where(h <= 0, 0, dh)):
    h = np.maximum(np.dot(X, model["W1"].T), 0)
    p = sigmoid(np.dot(h, model["W2"]))
    dlogp = p - y
    dh = mask(np.outer(dlogp, model["W2"]), h)
    return {"W2": np.dot(h.T, dlogp).ravel(), "W1": np.dot(dh.T, X)}


# --- from scratch in pure Python: lists of lists, the bias last in each neuron

def pure_python(network, X, Y):
    grads = [[[0.0] * len(neuron) for neuron in layer] for layer in network]
    for x, y in zip(X, Y, strict=True):
        hidden = [1 / (1 + np.exp(-sum(w * v for w, v in zip(neuron, [*x, 1], strict=True)))) for neuron in network[0]]
        output = [1 / (1 + np.exp(-sum(w * v for w, v in zip(neuron, [*hidden, 1], strict=True)))) for neuron in network[1]]
        deltas = [o * (1 - o) * (o - t) for o, t in zip(output, y, strict=True)]
        back = [h * (1 - h) * sum(d * neuron[i] for d, neuron in zip(deltas, network[1], strict=True)) for i, h in enumerate(hidden)]
        for i, d in enumerate(deltas):
            for j, v in enumerate([*hidden, 1]):
                grads[1][i][j] += d * v / len(X)
        for i, d in enumerate(back):
            for j, v in enumerate([*x, 1]):
                grads[0][i][j] += d * v / len(X)
    return grads


# --- characters by a recurrent network: the loss, five gradients, and the last state

def characters(Wxh, Whh, Why, bh, by, inputs, targets, clip=False, carried=True):
    xs, hs, ps, loss = {}, {-1: np.zeros_like(bh)}, {}, 0
    for t in range(len(inputs)):
        xs[t] = np.zeros((Wxh.shape[1], 1))
        xs[t][inputs[t]] = 1
        hs[t] = np.tanh(np.dot(Wxh, xs[t]) + np.dot(Whh, hs[t - 1]) + bh)
        y = np.dot(Why, hs[t]) + by
        ps[t] = np.exp(y) / np.sum(np.exp(y))
        loss += -np.log(ps[t][targets[t], 0])
    dWxh, dWhh, dWhy, dbh, dby = (np.zeros_like(v) for v in (Wxh, Whh, Why, bh, by))
    dhnext = np.zeros_like(hs[0])
    for t in reversed(range(len(inputs))):
        dy = np.copy(ps[t])
        dy[targets[t]] -= 1
        dWhy += np.dot(dy, hs[t].T)
        dby += dy
        dh = np.dot(Why.T, dy) + (dhnext if carried else 0)
        dhraw = (1 - hs[t] * hs[t]) * dh
        dbh += dhraw
        dWxh += np.dot(dhraw, xs[t].T)
        dWhh += np.dot(dhraw, hs[t - 1].T)
        dhnext = np.dot(Whh.T, dhraw)
    if clip:
        for dparam in (dWxh, dWhh, dWhy, dbh, dby):
            np.clip(dparam, -0.5, 0.5, out=dparam)
    return loss, dWxh, dWhh, dWhy, dbh, dby, hs[len(inputs) - 1]
